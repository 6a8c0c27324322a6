import { isDeviceGone, isLibraryGone, NvmlCode, NvmlError } from "./errors.ts";
import type { Nvml, NvmlArgument, NvmlHandle } from "./nvml.ts";
import type { NvmlFunction } from "./signatures.ts";

/** Calls about one device that know what it does not support and what has failed. */
export interface DeviceCaller {
  readonly handle: NvmlHandle;
  /** True when the outputs are filled. Throws NvmlError when the device or the library is gone. */
  try(call: NvmlFunction, ...args: readonly NvmlArgument[]): boolean;
  /** The unsigned ints that a call writes behind its arguments. */
  numbers(call: NvmlFunction, args: readonly number[], count: number): readonly number[] | undefined;
  /** The unsigned long long that a call writes behind its arguments. */
  wide(call: NvmlFunction, args: readonly number[]): number | undefined;
  text(call: NvmlFunction, args: readonly number[], bytes: number): string | undefined;
  /** What was not supported may be now (MIG was switched). */
  forget(): void;
  /** Failures since the last call of this, by function. */
  takeFailures(): Record<string, number>;
}

export interface CallerOptions {
  readonly nvml: Nvml;
  readonly handle: NvmlHandle;
  /** Tells the daemon what is about to be called. */
  readonly announce: (step: string) => void;
}

export function createDeviceCaller({ nvml, handle, announce }: CallerOptions): DeviceCaller {
  const unsupported = new Set<string>();
  const outputs = Array.from({ length: 4 }, () => new Uint32Array(1));
  const wideOutput = new BigUint64Array(1);
  let failures: Record<string, number> = {};

  const attempt: DeviceCaller["try"] = (call, ...args) => {
    const key = `${call} ${args.filter((argument) => typeof argument === "number").join(" ")}`;
    if (unsupported.has(key)) return false;
    announce(call);
    const code = nvml.call(call, handle, ...args);
    if (code === NvmlCode.success) return true;
    if (code === NvmlCode.notSupported || code === NvmlCode.functionNotFound) unsupported.add(key);
    // Not found is an answer about what was asked for (a place for a MIG instance), not about the device.
    else if (code === NvmlCode.notFound) return false;
    else if (isDeviceGone(code) || isLibraryGone(code)) throw new NvmlError(call, code);
    else failures[call] = code;
    return false;
  };

  return {
    handle,
    try: attempt,
    numbers: (call, args, count) => {
      const used = outputs.slice(0, count);
      return attempt(call, ...args, ...used) ? used.map(([value = 0]) => value) : undefined;
    },
    wide: (call, args) => (attempt(call, ...args, wideOutput) ? Number(wideOutput[0]) : undefined),
    text: (call, args, bytes) => {
      const buffer = Buffer.alloc(bytes);
      return attempt(call, ...args, buffer, bytes) ? readCString(buffer) : undefined;
    },
    forget: () => unsupported.clear(),
    takeFailures: () => {
      const taken = failures;
      failures = {};
      return taken;
    },
  };
}

/** Text of a fixed field: never past its end, whether or not the library has terminated it. */
export function readCString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end).trim();
}
