import { nodePaths } from "../../protocol/status.ts";
import type { NodeStatus } from "../../protocol/status.ts";
import type { Logger } from "../../runtime/log.ts";
import { AppError } from "../../protocol/errors.ts";
import type { NodeClient } from "./client.ts";
import type { Sleep } from "./sleep.ts";

export interface ReporterOptions {
  readonly report: () => NodeStatus;
  readonly log: Logger;
  readonly sleep: Sleep;
  readonly random: () => number;
}

/** Tells the server how the node is: soon after a change, and every few minutes. Nothing depends on it arriving. */
export interface Reporter {
  /** Something changed that the server should know soon. */
  changed(): void;
  run(client: NodeClient, signal: AbortSignal): Promise<void>;
}

const everyMs = 300_000;
const afterChangeMs = 2000;
const deadlineMs = 20_000;

export function createReporter({ report, log, sleep, random }: ReporterOptions): Reporter {
  let wake = () => {};
  let isChanged = false;

  const send = async (client: NodeClient, signal: AbortSignal) => {
    try {
      const body = JSON.stringify(report());
      const headers = { "content-type": "application/json" };
      await client.request({
        method: "POST",
        path: nodePaths.status,
        headers,
        body,
        maxBytes: 65_536,
        deadlineMs,
        signal,
      });
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof AppError)) throw error;
      log.debug("status report failed", { code: error.code, error });
    }
  };

  return {
    changed: () => {
      isChanged = true;
      wake();
    },
    run: async (client, signal) => {
      while (!signal.aborted) {
        // Changes come in bursts (an activation, then the first results), so one report waits for the others.
        await sleep(afterChangeMs * (1 + random()), signal);
        if (signal.aborted) return;
        isChanged = false;
        await send(client, signal);
        if (isChanged) continue;
        const change = new AbortController();
        wake = () => change.abort();
        await sleep(everyMs * (0.9 + 0.2 * random()), AbortSignal.any([signal, change.signal]));
      }
    },
  };
}
