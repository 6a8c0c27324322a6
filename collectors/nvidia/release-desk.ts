import { describeError, type Logger } from "../../runtime/log.ts";
import { readReleaseRequest, type ReleaseRequest, type ReleaseState, writeReleaseState } from "./release.ts";
import type { GpuWatch } from "./watch.ts";

export interface ReleaseDeskOptions {
  readonly file: string;
  readonly watch: Pick<GpuWatch, "release" | "resume" | "round" | "abandoned">;
  readonly log: Logger;
  readonly now: () => number;
}

/** Looks whether somebody wants the devices, and says when they are free. */
export function createReleaseDesk({ file, watch, log, now }: ReleaseDeskOptions): { look(): Promise<void> } {
  let releasedUntil: number | undefined;
  let busy = false;

  const tell = (state: ReleaseState): void => {
    try {
      writeReleaseState(file, state);
    } catch (error) {
      log.warn("cannot say that the gpus are released", { file: `${file}.state`, error: describeError(error) });
    }
  };

  const giveAway = async ({ untilMs }: ReleaseRequest): Promise<void> => {
    releasedUntil = untilMs;
    await watch.release();
    const abandoned = watch.abandoned();
    log.info("gpus released", { until: new Date(untilMs).toISOString(), abandoned });
    tell({ released: true, abandoned, untilMs });
  };

  const takeBack = (): void => {
    releasedUntil = undefined;
    watch.resume();
    log.info("gpus are read again");
    tell({ released: false, abandoned: watch.abandoned(), untilMs: 0 });
    void watch.round();
  };

  const look = async (): Promise<void> => {
    const request = readReleaseRequest(file, now());
    if (request?.untilMs === releasedUntil || busy) return;
    busy = true;
    try {
      await (request === undefined ? takeBack() : giveAway(request));
    } finally {
      busy = false;
    }
  };
  return { look };
}
