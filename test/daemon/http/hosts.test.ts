import { expect, test } from "bun:test";
import type { LookupAddress } from "node:dns";
import { toHosts } from "../../../daemon/http/hosts.ts";
import { listen } from "../../../daemon/http/listen.ts";
import { silentLogger } from "../../../runtime/log.ts";
import { hasIpv6 } from "../../equipment/passed-socket.ts";

const v4 = { address: "127.0.0.1", family: 4 };
const v6 = { address: "::1", family: 6 };

test.each<[string, string, readonly LookupAddress[], readonly string[]]>([
  ["no host is every address", "", [], ["::", "0.0.0.0"]],
  ["so is the unspecified address", "0.0.0.0", [], ["::", "0.0.0.0"]],
  ["that of IPv6 needs IPv6", "::", [], ["::"]],
  ["an address is itself", "127.0.0.2", [], ["127.0.0.2"]],
  ["a name is its IPv4 address", "localhost", [v6, v4], ["127.0.0.1"]],
  ["one without is its first", "ip6-localhost", [v6], ["::1"]],
  ["one that nobody knows is nothing", "nowhere", [], []],
])("%s", async (_, hostname, found, expected) => {
  expect(await toHosts(hostname, async () => found)).toEqual([...expected]);
});

test("a name of this machine", async () => {
  expect(await toHosts("localhost")).toEqual(["127.0.0.1"]);
});

test.skipIf(!hasIpv6)("who listens on 0.0.0.0 answers IPv6 too, as node_exporter does", async () => {
  const handler = async (): Promise<Response> => new Response("here");
  const options = { webConfigFile: "", handler, log: silentLogger };
  const { addresses, stop } = await listen({ addresses: ["0.0.0.0:0"], ...options });
  const [, port] = /^0\.0\.0\.0:(\d+)$/.exec(addresses[0] ?? "") ?? [];
  for (const host of ["127.0.0.1", "[::1]"]) expect(await (await fetch(`http://${host}:${port}/`)).text()).toBe("here");
  await stop(0);
});
