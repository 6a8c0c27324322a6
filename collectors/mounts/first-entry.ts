import { dlopen, FFIType, ptr, read } from "bun:ffi";
import { closeSync, constants, openSync } from "node:fs";
import { getSystemErrorName } from "node:util";

// The system call's number; glibc has a function of this name only since 2.30.
const getdents64 = process.arch === "arm64" ? 61 : 217;

let opened: ReturnType<typeof open> | undefined;

function open() {
  return dlopen("libc.so.6", {
    syscall: { args: [FFIType.i64, FFIType.i32, FFIType.ptr, FFIType.u64], returns: FFIType.i64 },
    __errno_location: { args: [], returns: FFIType.ptr },
  }).symbols;
}

/**
 * Opens a folder and reads the first few of its entries. Bun's opendir would read all of them, which takes minutes for
 * the root of some parallel filesystems and says no more.
 */
export function readFirstEntries(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NONBLOCK);
  try {
    opened ??= open();
    const buffer = Buffer.alloc(1024);
    if (opened.syscall(getdents64, fd, ptr(buffer), BigInt(buffer.length)) >= 0n) return;
    const location = opened.__errno_location();
    const code = location === null ? "EIO" : getSystemErrorName(-read.i32(location));
    throw Object.assign(new Error(`cannot read the folder ${path}`), { code });
  } finally {
    closeSync(fd);
  }
}
