import { dlopen, ptr } from "bun:ffi";
import { existsSync } from "node:fs";
import type { ProcessOptions } from "../harness/process.ts";

/*
 * The part of a service manager in socket activation: it opens the listening sockets, keeps them, and hands copies to
 * whatever it starts. They block, as systemd's do without NonBlocking=yes.
 */
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const loopback = { "127.0.0.1": [127, 0, 0, 1], "::1": [...Array.from({ length: 15 }, () => 0), 1] } as const;

const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
});

export interface PassedSocket extends Disposable {
  readonly fd: number;
  /** 0 for a Unix socket. */
  readonly port: number;
}

export const hasIpv6 = existsSync("/proc/net/if_inet6");

export function listenTcp(host: keyof typeof loopback): PassedSocket {
  return open(host === "::1" ? AF_INET6 : AF_INET, toInternetAddress(host), SOCK_STREAM_CLOEXEC);
}

export function listenUnix(path: string): PassedSocket {
  const address = Buffer.from(`\0\0${path}\0`);
  address.writeUInt16LE(AF_UNIX, 0);
  return open(AF_UNIX, address, SOCK_STREAM_CLOEXEC);
}

/** What ListenDatagram= makes; nothing for an HTTP server. */
export function bindUdp(): PassedSocket {
  return open(AF_INET, toInternetAddress("127.0.0.1"), SOCK_DGRAM_CLOEXEC);
}

/** Starts a program with these sockets as descriptors 3, 4, …, the way systemd does. */
export function withPassedSockets(options: ProcessOptions, sockets: readonly PassedSocket[]): ProcessOptions {
  return {
    ...options,
    // LISTEN_PID is the pid of the program itself, which the shell becomes.
    argv: ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", ...options.argv],
    env: { ...options.env, LISTEN_FDS: String(sockets.length) },
    descriptors: sockets.map(({ fd }) => fd),
  };
}

/** struct sockaddr_in or sockaddr_in6 with port 0. */
function toInternetAddress(host: keyof typeof loopback): Buffer {
  const isIpv6 = host === "::1";
  const address = Buffer.alloc(isIpv6 ? 28 : 16);
  address.writeUInt16LE(isIpv6 ? AF_INET6 : AF_INET, 0);
  address.set(loopback[host], isIpv6 ? 8 : 4);
  return address;
}

function open(family: number, address: Buffer, type: number): PassedSocket {
  const fd = libc.socket(family, type, 0);
  if (fd < 0 || libc.bind(fd, ptr(address), address.length) !== 0) throw new Error("cannot bind a socket");
  if (type === SOCK_STREAM_CLOEXEC && libc.listen(fd, 128) !== 0) throw new Error("cannot listen");
  const bound = Buffer.alloc(28);
  libc.getsockname(fd, ptr(bound), ptr(new Uint32Array([bound.length])));
  return { fd, port: family === AF_UNIX ? 0 : bound.readUInt16BE(2), [Symbol.dispose]: () => void libc.close(fd) };
}
