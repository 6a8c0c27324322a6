import { CString, dlopen, FFIType, linkSymbols, type Pointer } from "bun:ffi";
import { NvmlCode, NvmlError } from "./errors.ts";
import { type NvmlFunction, nvmlSignatures } from "./signatures.ts";

/** An opaque pointer of the library: a device, an event set, a GPM sample. Never looked into. */
export type NvmlHandle = number;
export type NvmlArgument = NvmlHandle | bigint | NodeJS.TypedArray | null;

/** The loaded library. Every call may block for ever, so it belongs into the helper process. */
export interface Nvml {
  /** The return code; functionNotFound where this library lacks the function. */
  call(name: NvmlFunction, ...args: readonly NvmlArgument[]): number;
  has(name: NvmlFunction): boolean;
}

const types: Readonly<Record<string, FFIType>> = {
  h: FFIType.ptr,
  p: FFIType.ptr,
  u: FFIType.u32,
  i: FFIType.i32,
  U: FFIType.u64,
};

const rtldNow = 2;

/**
 * Loads libnvidia-ml and binds what it exports. Each symbol is looked up on its own, because drivers of different age
 * have different sets, and bun:ffi's own dlopen refuses a library that lacks one.
 */
export function openNvml(path: string): Nvml {
  const loader = openLoader();
  const library = loader.dlopen(Buffer.from(`${path}\0`), rtldNow);
  if (library === null) throw new Error(`cannot load ${path}: ${loader.lastError()}`);
  const symbols: Record<string, { ptr: Address; args: FFIType[]; returns: FFIType }> = {};
  for (const [name, signature] of Object.entries(nvmlSignatures)) {
    const pointer = loader.dlsym(library, Buffer.from(`${name}\0`));
    if (pointer === null) continue;
    const args = [...signature].map((letter) => types[letter] ?? FFIType.ptr);
    symbols[name] = { ptr: pointer, args, returns: FFIType.i32 };
  }
  if (!("nvmlInit_v2" in symbols)) throw new NvmlError("nvmlInit_v2", NvmlCode.functionNotFound);
  const bound = linkSymbols(symbols).symbols as Readonly<Record<string, (...args: readonly NvmlArgument[]) => number>>;
  return {
    call: (name, ...args) => bound[name]?.(...args) ?? NvmlCode.functionNotFound,
    has: (name) => name in bound,
  };
}

type Address = Pointer | bigint;

interface Loader {
  dlopen(path: Buffer, mode: number): Address | null;
  dlsym(library: Address, name: Buffer): Address | null;
  lastError(): string;
}

/** glibc moved these from libdl into libc in 2.34 and kept libdl.so.2 as an empty shell that still leads to them. */
function openLoader(): Loader {
  const {
    dlopen: open,
    dlsym,
    dlerror,
  } = dlopen("libdl.so.2", {
    dlopen: { args: ["ptr", "i32"], returns: "ptr" },
    dlsym: { args: ["ptr", "ptr"], returns: "ptr" },
    dlerror: { args: [], returns: "ptr" },
  }).symbols;
  return {
    dlopen: open,
    dlsym,
    lastError: () => {
      const message = dlerror();
      return message === null ? "unknown error" : new CString(message).toString();
    },
  };
}
