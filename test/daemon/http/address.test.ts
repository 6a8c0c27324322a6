import { describe, expect, test } from "bun:test";
import { formatAddress, parseListenAddress } from "../../../daemon/http/address.ts";
import { addressOf, adoptListeningSocket } from "../../../daemon/http/raw-socket.ts";
import { bindUdp, hasIpv6, listenTcp, listenUnix } from "../../equipment/passed-socket.ts";
import { createWorkspace } from "../../harness/workspace.ts";

test.each([
  [":9100", { family: "tcp", hostname: "", port: 9100 }],
  ["localhost:0", { family: "tcp", hostname: "localhost", port: 0 }],
  ["[::1]:9100", { family: "tcp", hostname: "::1", port: 9100 }],
  ["vsock://:9100", { family: "vsock", cid: undefined, port: 9100 }],
  ["vsock://3:4294967294", { family: "vsock", cid: 3, port: 4_294_967_294 }],
] as const)("%s is read and written alike", (text, address) => {
  expect(parseListenAddress(text)).toEqual(address);
  expect(formatAddress(address)).toBe(text);
});

test.each(["9100", "::1:9100", ":65536", ":http", "vsock://9100", "vsock://host:1", "vsock://:4294967295", "unix:/a"])(
  "%s is refused",
  (text) => {
    expect(() => parseListenAddress(text)).toThrow(`listen address "${text}": expected`);
  },
);

test("an address with a zone is refused", () => {
  expect(() => parseListenAddress("[fe80::1%eth0]:9100")).toThrow("an address with a zone cannot be listened on");
});

describe("a socket that somebody else opened", () => {
  test("is called by its address", () => {
    using workspace = createWorkspace();
    using tcp = listenTcp("127.0.0.1");
    using unix = listenUnix(workspace.file("a.sock"));
    using abstract = listenUnix("\0aami-test-address");
    expect(addressOf(tcp.fd)).toBe(`127.0.0.1:${tcp.port}`);
    expect(addressOf(unix.fd)).toBe(`unix:${workspace.file("a.sock")}`);
    expect(addressOf(abstract.fd)).toStartWith("unix:@aami-test-address");
  });

  test.skipIf(!hasIpv6)("is called by its address, IPv6", () => {
    using tcp = listenTcp("::1");
    expect(addressOf(tcp.fd)).toBe(`[::1]:${tcp.port}`);
  });

  test("has to be one that listens", () => {
    using udp = bindUdp();
    expect(() => adoptListeningSocket(udp.fd)).toThrow("not a listening stream socket");
    expect(() => adoptListeningSocket(9999)).toThrow("getsockopt(2) failed with EBADF");
  });
});
