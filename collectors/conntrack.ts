import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet, type FamilySet } from "./families.ts";
import { splitFields, splitLines } from "./fields.ts";
import type { Host } from "./host.ts";
import { detectPath, readAttribute, readNumber } from "./read.ts";

/** Connection tracking of netfilter, there once nf_conntrack is loaded. */
export const conntrack = defineCollector({
  name: "conntrack",
  description: "Size, limit and events of netfilter's connection tracking table.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    detect: async ({ procPath }) =>
      detectPath(`${procPath}/sys/net/netfilter/nf_conntrack_count`, "nf_conntrack is not loaded"),
    collect: async (host) => {
      const out = createFamilySet();
      const root = `${host.procPath}/sys/net/netfilter`;
      out.gauge(
        "node_nf_conntrack_entries",
        "Number of currently allocated flow entries for connection tracking.",
        readNumber(host, `${root}/nf_conntrack_count`),
      );
      const limitHelp = "Maximum size of connection tracking table.";
      out.gauge("node_nf_conntrack_entries_limit", limitHelp, readNumber(host, `${root}/nf_conntrack_max`));
      // Kernels without CONFIG_NF_CONNTRACK_PROCFS have the table's size and not its events.
      const events = readAttribute(host, `${host.procPath}/net/stat/nf_conntrack`);
      if (events !== undefined) addEvents(out, events, host);
      return out.list();
    },
  }),
});

const columns: readonly (readonly [name: string, help: string])[] = [
  ["found", "Number of searched entries which were successful."],
  ["invalid", "Number of packets seen which can not be tracked."],
  ["ignore", "Number of packets seen which are already connected to a conntrack entry."],
  ["insert", "Number of entries inserted into the list."],
  ["insert_failed", "Number of entries for which list insertion was attempted but failed."],
  ["drop", "Number of packets dropped due to conntrack failure."],
  ["early_drop", "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached."],
  ["search_restart", "Number of conntrack table lookups which had to be restarted due to hashtable resizes."],
];

/** A header line, then one line of hexadecimal numbers per CPU, which are summed up. */
export function addEvents(out: FamilySet, text: string, host: Pick<Host, "skipped">): void {
  const [header = "", ...cpus] = splitLines(text);
  const names = splitFields(header);
  const rows = cpus.map((line) => splitFields(line).map((word) => Number.parseInt(word, 16)));
  for (const [name, help] of columns) {
    const index = names.indexOf(name);
    if (index < 0) continue;
    const sum = rows.reduce((total, row) => total + (row[index] ?? Number.NaN), 0);
    if (Number.isNaN(sum)) host.skipped(`${name} in nf_conntrack`, new Error("not a number for every CPU"));
    else out.gauge(`node_nf_conntrack_stat_${name}`, help, sum);
  }
}
