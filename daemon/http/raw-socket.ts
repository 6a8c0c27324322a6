import { dlopen, ptr } from "bun:ffi";
import { getSystemErrorName } from "node:util";
import { lastErrno } from "../../collectors/libc.ts";
import { formatAddress, type VsockAddress } from "./address.ts";

/*
 * What node:net has no call for: sockets that another process opened, and AF_VSOCK. The descriptors made and checked
 * here are then listened on by node:net like any other. Numbers of Linux.
 */
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_VSOCK = 40;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
const SOL_SOCKET = 1;
const SO_TYPE = 3;
const SO_ACCEPTCONN = 30;
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const VMADDR_ANY = 0xffff_ffff;
const backlog = 511;
const longestAddressBytes = 128;

let opened: ReturnType<typeof open> | undefined;

function open() {
  return dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
    listen: { args: ["i32", "i32"], returns: "i32" },
    getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
    getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
    fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
    close: { args: ["i32"], returns: "i32" },
  }).symbols;
}

function libc() {
  opened ??= open();
  return opened;
}

/** A listening socket that the caller owns. Throws an Error with the kernel's `code`. */
export function listenVsock({ cid, port }: Pick<VsockAddress, "cid" | "port">): number {
  const fd = checked(libc().socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK_CLOEXEC, 0), "socket");
  // struct sockaddr_vm of linux/vm_sockets.h
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_VSOCK, 0);
  address.writeUInt32LE(port === 0 ? VMADDR_ANY : port, 4);
  address.writeUInt32LE(cid ?? VMADDR_ANY, 8);
  try {
    checked(libc().bind(fd, ptr(address), address.length), "bind");
    checked(libc().listen(fd, backlog), "listen");
    return fd;
  } catch (error) {
    libc().close(fd);
    throw error;
  }
}

/**
 * Makes a socket that another process opened fit for an event loop, which would hang in accept(2) on one that blocks.
 * Throws when it is not a listening stream socket.
 */
export function adoptListeningSocket(fd: number): void {
  if (socketOption(fd, SO_TYPE) !== SOCK_STREAM || socketOption(fd, SO_ACCEPTCONN) !== 1) {
    throw new Error("not a listening stream socket");
  }
  const flags = checked(libc().fcntl(fd, F_GETFL, 0), "fcntl");
  checked(libc().fcntl(fd, F_SETFL, flags | O_NONBLOCK), "fcntl");
}

function socketOption(fd: number, option: number): number {
  const value = new Int32Array(1);
  const length = new Uint32Array([value.byteLength]);
  checked(libc().getsockopt(fd, SOL_SOCKET, option, ptr(value), ptr(length)), "getsockopt");
  return value[0] ?? 0;
}

/** Where a socket listens: "127.0.0.1:9100", "[::]:9100", "unix:/run/aami.sock", "vsock://:9100". */
export function addressOf(fd: number): string {
  const address = Buffer.alloc(longestAddressBytes);
  const length = new Uint32Array([address.length]);
  checked(libc().getsockname(fd, ptr(address), ptr(length)), "getsockname");
  return formatSocketAddress(address.subarray(0, length[0]));
}

function formatSocketAddress(address: Buffer): string {
  const family = address.readUInt16LE(0);
  switch (family) {
    case AF_UNIX: {
      const path = address.toString("utf8", 2);
      // A leading zero byte is an abstract name, written with an @; a path ends at its zero byte.
      return `unix:${path.startsWith("\0") ? `@${path.slice(1)}` : path.replace(/\0.*$/s, "")}`;
    }
    case AF_INET:
      return formatAddress({
        family: "tcp",
        hostname: [...address.subarray(4, 8)].join("."),
        port: address.readUInt16BE(2),
      });
    case AF_INET6: {
      const groups = Array.from({ length: 8 }, (_, index) => address.readUInt16BE(8 + 2 * index).toString(16));
      const hostname = new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
      return formatAddress({ family: "tcp", hostname, port: address.readUInt16BE(2) });
    }
    case AF_VSOCK: {
      const cid = address.readUInt32LE(8);
      return formatAddress({
        family: "vsock",
        cid: cid === VMADDR_ANY ? undefined : cid,
        port: address.readUInt32LE(4),
      });
    }
    default:
      return `address family ${family}`;
  }
}

function checked(result: number, call: string): number {
  if (result >= 0) return result;
  const code = getSystemErrorName(-lastErrno());
  throw Object.assign(new Error(`${call}(2) failed with ${code}`), { code });
}
