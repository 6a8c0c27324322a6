import { CString, dlopen, ptr, read } from "bun:ffi";
import { closeSync, ftruncateSync } from "node:fs";

// Opened with the first call, so that importing a collector loads no library.
let opened: ReturnType<typeof open> | undefined;

function open() {
  return dlopen("libc.so.6", {
    clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
    getpagesize: { args: [], returns: "i32" },
    uname: { args: ["ptr"], returns: "i32" },
    tzset: { args: [], returns: "void" },
    localtime_r: { args: ["ptr", "ptr"], returns: "ptr" },
    adjtimex: { args: ["ptr"], returns: "i32" },
    memfd_create: { args: ["ptr", "u32"], returns: "i32" },
    fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
    __errno_location: { args: [], returns: "ptr" },
  }).symbols;
}

function libc() {
  opened ??= open();
  return opened;
}

/** errno of the call just made; nothing may come between the two. */
export function lastErrno(): number {
  const location = libc().__errno_location();
  return location === null ? 0 : read.i32(location, 0);
}

/** Unix time finer than the millisecond of Date.now(). */
export function readWallClock(): number {
  const realtime = 0;
  const timespec = new BigInt64Array(2);
  if (libc().clock_gettime(realtime, ptr(timespec)) !== 0) throw new Error("clock_gettime(2) failed");
  const [seconds = 0n, nanoseconds = 0n] = timespec;
  return Number(seconds) + Number(nanoseconds) / 1e9;
}

/**
 * A file of this many bytes that exists in memory only, by memfd_create(2). Nobody can change its length: who maps a file
 * that another process makes shorter dies of it. `name` is seen in /proc/PID/maps.
 */
export function createMemoryFile(name: string, bytes: number): number {
  const [MFD_CLOEXEC, MFD_ALLOW_SEALING] = [1, 2];
  const F_ADD_SEALS = 1033;
  const [F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW] = [1, 2, 4];
  const fd = libc().memfd_create(ptr(Buffer.from(`${name}\0`)), MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) throw new Error(`memfd_create(2) failed: errno ${lastErrno()}`);
  try {
    ftruncateSync(fd, bytes);
    if (libc().fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) !== 0) {
      throw new Error(`fcntl(2) F_ADD_SEALS failed: errno ${lastErrno()}`);
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}

export function pageSizeBytes(): number {
  return libc().getpagesize();
}

export interface SystemName {
  readonly sysname: string;
  readonly nodename: string;
  readonly release: string;
  readonly version: string;
  readonly machine: string;
  readonly domainname: string;
}

/** uname(2): six fields of 65 bytes, in this order. */
export function readSystemName(): SystemName {
  const width = 65;
  const buffer = Buffer.alloc(6 * width);
  if (libc().uname(ptr(buffer)) !== 0) throw new Error("uname(2) failed");
  const field = (index: number): string => {
    const bytes = buffer.subarray(index * width, (index + 1) * width);
    return bytes.toString("utf8", 0, bytes.indexOf(0));
  };
  const [sysname, nodename, release] = [field(0), field(1), field(2)];
  return { sysname, nodename, release, version: field(3), machine: field(4), domainname: field(5) };
}

export interface ZoneOffset {
  /** The abbreviation in force, such as CET or CEST, which Intl does not give for most zones. */
  readonly zone: string;
  readonly offsetSeconds: number;
}

/** The local time zone at one moment by localtime(3); follows a changed /etc/localtime. */
export function readZoneOffset(epochSeconds: number): ZoneOffset {
  const time = new BigInt64Array([BigInt(Math.floor(epochSeconds))]);
  // struct tm: nine ints, then tm_gmtoff (long) and tm_zone (char *) at offsets 40 and 48
  const tm = Buffer.alloc(56);
  libc().tzset();
  if (libc().localtime_r(ptr(time), ptr(tm)) === null) throw new Error("localtime_r(3) failed");
  const zone = new CString(read.ptr(ptr(tm), 48)).toString();
  return { zone, offsetSeconds: Number(tm.readBigInt64LE(40)) };
}

/** struct timex of Linux's 64-bit platforms as adjtimex(2) fills it, and its return value, the clock's state. */
export interface ClockState {
  readonly state: number;
  readonly timex: Buffer;
}

/** Reads and changes nothing; undefined where the process may not even read (EPERM, some container runtimes). */
export function readClockState(): ClockState | undefined {
  const timex = Buffer.alloc(208);
  const state = libc().adjtimex(ptr(timex));
  if (state >= 0) return { state, timex };
  const errno = lastErrno();
  if (errno === 1) return undefined;
  throw new Error(`adjtimex(2) failed: errno ${errno}`);
}
