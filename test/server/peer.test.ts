import { describe, expect, test } from "bun:test";
import { parseTrustedProxies, peerAddress } from "../../server/http/peer.ts";
import { parseConfig } from "../../runtime/config.ts";
import { readTrustedProxies, ServerConfig } from "../../server/config.ts";

describe("the address of a caller", () => {
  const isTrusted = parseTrustedProxies(["127.0.0.1", "10.0.0.0/8", "fd00::/8"]);
  const from = (socket: string, forwarded?: string) => {
    const headers: Record<string, string> = forwarded === undefined ? {} : { "x-forwarded-for": forwarded };
    return peerAddress(new Request("http://aami.example.com", { headers }), socket, isTrusted);
  };

  test.each([
    ["nobody's word", "192.0.2.1", undefined, "192.0.2.1"],
    ["a stranger's word does not count", "192.0.2.1", "198.51.100.1", "192.0.2.1"],
    ["a proxy's word counts", "127.0.0.1", "198.51.100.1", "198.51.100.1"],
    ["of several the last that is no proxy", "10.1.2.3", "1.1.1.1, 198.51.100.1, 10.9.9.9", "198.51.100.1"],
    ["a proxy of a network, IPv4 in IPv6", "::ffff:10.1.2.3", "198.51.100.1", "198.51.100.1"],
    ["a proxy of an IPv6 network", "fd00::1", "2001:db8::1", "2001:db8::1"],
    ["a proxy that says nothing", "127.0.0.1", undefined, "127.0.0.1"],
  ])("%s", (_name, socket, forwarded, expected) => expect(from(socket, forwarded)).toBe(expected));
});

test.each(["proxy.example.com", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "fd00::/129", ""])(
  "trusted_proxies: %j ends the start with its name",
  (entry) => {
    const config = parseConfig(ServerConfig, JSON.stringify({ trusted_proxies: [entry] }), "test");
    expect(() => readTrustedProxies(config)).toThrow(`trusted_proxies: "${entry}" is neither an address nor a network`);
  },
);
