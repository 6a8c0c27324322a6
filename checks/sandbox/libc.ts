import { dlopen, ptr } from "bun:ffi";
import { closeSync, constants, fchmodSync, fchownSync, openSync, writeSync } from "node:fs";

// Opened with the first call, so that importing this file loads no library.
let opened: ReturnType<typeof open> | undefined;

function open() {
  return dlopen("libc.so.6", {
    pipe2: { args: ["ptr", "i32"], returns: "i32" },
    memfd_create: { args: ["cstring", "u32"], returns: "i32" },
    fcntl: { args: ["i32", "i32", "i64"], returns: "i32" },
    getxattr: { args: ["cstring", "cstring", "ptr", "u64"], returns: "i64" },
    execve: { args: ["cstring", "ptr", "ptr"], returns: "i32" },
    poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
    syscall: { args: ["i64", "i64", "i64", "i64", "i64"], returns: "i64" },
  }).symbols;
}

function libc() {
  opened ??= open();
  return opened;
}

const O_CLOEXEC = 0o2000000;
const MFD_CLOEXEC = 1;
const F_SETFD = 2;
const POLLIN = 1;
// The same on x86_64 and aarch64.
const SYS_pidfd_send_signal = 424;
const SYS_pidfd_open = 434;

const cstring = (text: string): Buffer => Buffer.from(`${text}\0`);

/**
 * A pipe whose write end the given user may open again by /dev/stdout and /dev/stderr. Bun's own "pipe" is a socket
 * pair, which cannot be opened through /proc at all.
 */
export function createPipe(owner: { readonly uid: number; readonly gid: number }): { read: number; write: number } {
  const ends = new Int32Array(2);
  if (libc().pipe2(ptr(ends), O_CLOEXEC) !== 0) throw new Error("pipe2(2) failed");
  const [read = -1, write = -1] = ends;
  fchownSync(write, owner.uid, owner.gid);
  return { read, write };
}

/** A file that exists only as this descriptor, to be read from its beginning; the reader cannot change it. */
export function createMemoryFile(content: string | Uint8Array): number {
  const file = libc().memfd_create(cstring("check"), MFD_CLOEXEC);
  if (file < 0) throw new Error("memfd_create(2) failed");
  try {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
    fchmodSync(file, 0o444); // made with 0777: whoever has it open for reading could open it again for writing
    return openSync(`/proc/self/fd/${file}`, constants.O_RDONLY | O_CLOEXEC);
  } finally {
    closeSync(file);
  }
}

/** A descriptor that stays with this one process, whoever gets its number later; undefined when it is gone already. */
export function openPidfd(pid: number): number | undefined {
  const fd = Number(libc().syscall(SYS_pidfd_open, pid, 0, 0, 0));
  return fd < 0 ? undefined : fd;
}

/** Does nothing when the process has ended. */
export function signalPidfd(pidfd: number, signal: number): void {
  libc().syscall(SYS_pidfd_send_signal, pidfd, signal, 0, 0);
}

/** Whether the process has ended; a zombie that nobody has reaped yet has. */
export function hasEnded(pidfd: number): boolean {
  const request = new DataView(new ArrayBuffer(8));
  request.setInt32(0, pidfd, true);
  request.setInt16(4, POLLIN, true);
  return libc().poll(ptr(new Uint8Array(request.buffer)), 1, 0) === 1;
}

export function hasExtendedAttribute(path: string, name: string): boolean {
  return Number(libc().getxattr(cstring(path), cstring(name), null, 0)) >= 0;
}

/** Replaces this process with an empty environment; returns only by throwing. `kept` descriptors survive. */
export function execute(argv: readonly string[], kept: readonly number[]): never {
  for (const fd of kept) libc().fcntl(fd, F_SETFD, 0);
  const strings = argv.map(cstring);
  const vector = new BigUint64Array([...strings.map((text) => BigInt(ptr(text))), 0n]);
  const environment = new BigUint64Array([0n]);
  libc().execve(strings[0] ?? cstring(""), ptr(vector), ptr(environment));
  throw new Error(`cannot execute ${argv[0] ?? ""}`);
}
