/** nvmlReturn_t. */
export const NvmlCode = {
  success: 0,
  uninitialized: 1,
  invalidArgument: 2,
  notSupported: 3,
  noPermission: 4,
  notFound: 6,
  insufficientSize: 7,
  driverNotLoaded: 9,
  timeout: 10,
  functionNotFound: 13,
  gpuIsLost: 15,
  resetRequired: 16,
  libraryMismatch: 18,
  gpuNotFound: 28,
  unknown: 999,
} as const;

const names: Readonly<Record<number, string>> = {
  0: "SUCCESS",
  1: "UNINITIALIZED",
  2: "INVALID_ARGUMENT",
  3: "NOT_SUPPORTED",
  4: "NO_PERMISSION",
  5: "ALREADY_INITIALIZED",
  6: "NOT_FOUND",
  7: "INSUFFICIENT_SIZE",
  8: "INSUFFICIENT_POWER",
  9: "DRIVER_NOT_LOADED",
  10: "TIMEOUT",
  11: "IRQ_ISSUE",
  12: "LIBRARY_NOT_FOUND",
  13: "FUNCTION_NOT_FOUND",
  14: "CORRUPTED_INFOROM",
  15: "GPU_IS_LOST",
  16: "RESET_REQUIRED",
  17: "OPERATING_SYSTEM",
  18: "LIB_RM_VERSION_MISMATCH",
  19: "IN_USE",
  20: "MEMORY",
  21: "NO_DATA",
  22: "VGPU_ECC_NOT_SUPPORTED",
  23: "INSUFFICIENT_RESOURCES",
  24: "FREQ_NOT_SUPPORTED",
  25: "ARGUMENT_VERSION_MISMATCH",
  26: "DEPRECATED",
  27: "NOT_READY",
  28: "GPU_NOT_FOUND",
  29: "INVALID_STATE",
  999: "UNKNOWN",
};

export function nvmlCodeName(code: number): string {
  return names[code] ?? `code ${code}`;
}

/** A call that failed, as plain data: it travels from the helper process. */
export interface NvmlFault {
  readonly call: string;
  readonly code: number;
}

export function describeFault({ call, code }: NvmlFault): string {
  return `${call}: ${nvmlCodeName(code)}`;
}

/** After one of these nothing more is to be had from this device, or from the whole library. */
export class NvmlError extends Error implements NvmlFault {
  override readonly name = "NvmlError";
  readonly call: string;
  readonly code: number;
  constructor(call: string, code: number) {
    super(describeFault({ call, code }));
    this.call = call;
    this.code = code;
  }
}

const deviceGone: ReadonlySet<number> = new Set([
  NvmlCode.gpuIsLost,
  NvmlCode.resetRequired,
  NvmlCode.gpuNotFound,
  NvmlCode.notFound,
]);

/** The device is out of reach, the library as such is well. */
export function isDeviceGone(code: number): boolean {
  return deviceGone.has(code);
}

const libraryGone: ReadonlySet<number> = new Set([
  NvmlCode.uninitialized,
  NvmlCode.driverNotLoaded,
  NvmlCode.libraryMismatch,
]);

/** The driver was unloaded or replaced: only a new process with a freshly loaded library can go on. */
export function isLibraryGone(code: number): boolean {
  return libraryGone.has(code);
}
