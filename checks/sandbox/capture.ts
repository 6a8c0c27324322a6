import { closeSync } from "node:fs";

/** Reads one pipe of a run up to a limit. */
export interface Capture {
  /** Resolves when every writer has closed the pipe, the limit was reached, or `stop` was called. */
  readonly done: Promise<void>;
  bytes(): Uint8Array;
  readonly cut: () => boolean;
  /** Gives up: a process that no signal ends may hold the other end for ever. */
  stop(): void;
}

export interface CaptureOptions {
  readonly maxBytes: number;
  onCut?(): void;
  onChunk?(): void;
}

export function captureOutput(fd: number, options: CaptureOptions): Capture {
  const { maxBytes } = options;
  const chunks: Uint8Array[] = [];
  let length = 0;
  let cut = false;
  const reader = Bun.file(fd).stream().getReader();
  const read = async (): Promise<void> => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const kept = value.subarray(0, maxBytes - length);
      chunks.push(kept);
      length += kept.length;
      options.onChunk?.();
      if (kept.length === value.length) continue;
      cut = true;
      options.onCut?.();
      return;
    }
  };
  const done = read().finally(async () => {
    await reader.cancel();
    closeSync(fd);
  });
  return {
    done,
    bytes: () => Buffer.concat(chunks),
    cut: () => cut,
    stop: () => void reader.cancel(),
  };
}
