import { Type } from "@sinclair/typebox";
import { defineCollector, NoDataError } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { splitFields, splitLines } from "./fields.ts";
import type { Host } from "./host.ts";
import { readAttribute } from "./read.ts";

/** Bytes queued on all UDP sockets: /proc/net/udp and udp6, each absent where its IP version is off. */
export const udpQueues = defineCollector({
  name: "udp_queues",
  description: "Bytes queued on UDP sockets from /proc/net/udp and udp6.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => {
      const out = createFamilySet();
      const help = "Number of allocated memory in the kernel for UDP datagrams in bytes.";
      for (const [file, ip] of [["udp", "v4"] as const, ["udp6", "v6"] as const]) {
        const text = readAttribute(host, `${host.procPath}/net/${file}`);
        if (text === undefined) continue;
        const { tx, rx } = sumQueues(text, host);
        out.gauge("node_udp_queues", help, tx, { ip, queue: "tx" });
        out.gauge("node_udp_queues", help, rx, { ip, queue: "rx" });
      }
      const families = out.list();
      if (families.length === 0) throw new NoDataError("no UDP");
      return families;
    },
  }),
});

/** The fifth column, `tx:rx` in hexadecimal, of every line but the header. */
export function sumQueues(text: string, host: Pick<Host, "skipped">): { tx: number; rx: number } {
  const sums = { tx: 0, rx: 0 };
  for (const line of splitLines(text).slice(1)) {
    const [tx = Number.NaN, rx = Number.NaN] = (splitFields(line)[4] ?? "")
      .split(":")
      .map((word) => Number.parseInt(word, 16));
    if (Number.isNaN(tx + rx)) {
      host.skipped("socket in net/udp", new Error(`no queue lengths in ${JSON.stringify(line.slice(0, 80))}`));
      continue;
    }
    sums.tx += tx;
    sums.rx += rx;
  }
  return sums;
}
