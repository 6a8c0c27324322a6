import { dlopen, FFIType, ptr } from "bun:ffi";

/** mount(2) and pipe2(2), for filesystems that no mount program sets up without a server of its own. */
export function mountWith(source: string, target: string, fstype: string, options: string): void {
  const { symbols } = dlopen("libc.so.6", {
    mount: { args: [FFIType.ptr, FFIType.ptr, FFIType.ptr, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
  });
  const [from, to, type, data] = [source, target, fstype, options].map((text) => Buffer.from(`${text}\0`));
  if (from === undefined || to === undefined || type === undefined || data === undefined) return;
  if (symbols.mount(ptr(from), ptr(to), ptr(type), 0n, ptr(data)) !== 0) {
    throw new Error(`cannot mount ${fstype} at ${target} (it needs root and the kernel module)`);
  }
}

/** A pipe whose reading end does not block. */
export function openPipe(): { reading: number; writing: number } {
  const { symbols } = dlopen("libc.so.6", { pipe2: { args: [FFIType.ptr, FFIType.i32], returns: FFIType.i32 } });
  const ends = new Int32Array(2);
  const [O_NONBLOCK, O_DIRECT] = [0o4000, 0o40000];
  if (symbols.pipe2(ptr(ends), O_NONBLOCK | O_DIRECT) !== 0) throw new Error("pipe2(2) failed");
  return { reading: ends[0] ?? -1, writing: ends[1] ?? -1 };
}
