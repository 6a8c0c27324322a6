import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet, type FamilySet } from "./families.ts";
import { splitFields, splitLines, toMetricName } from "./fields.ts";
import type { Host } from "./host.ts";
import { listIfPresent, readAttribute } from "./read.ts";

/** Caches of the network stack: every file of /proc/net/stat, a header line and one of hexadecimal numbers per CPU. */
export const lnstat = defineCollector({
  name: "lnstat",
  description: "Neighbour, route and connection tracking caches from /proc/net/stat.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => {
      const out = createFamilySet();
      for (const subsystem of listIfPresent(`${host.procPath}/net/stat`)) {
        const text = readAttribute(host, `${host.procPath}/net/stat/${subsystem}`);
        if (text !== undefined) addCache(out, text, { subsystem, host });
      }
      return out.list();
    },
  }),
});

interface Cache {
  readonly subsystem: string;
  readonly host: Pick<Host, "skipped">;
}

export function addCache(out: FamilySet, text: string, { subsystem, host }: Cache): void {
  const [header = "", ...rows] = splitLines(text);
  const names = splitFields(header);
  for (const [cpu, row] of rows.entries()) {
    for (const [index, word] of splitFields(row).entries()) {
      const name = names[index];
      if (name === undefined || !/^[0-9a-f]+$/i.test(word)) {
        host.skipped(`column ${index + 1} of net/stat/${subsystem}`, new Error(`unexpected ${JSON.stringify(word)}`));
        continue;
      }
      const labels = { subsystem, cpu: String(cpu) };
      out.counter(
        `node_lnstat_${toMetricName(name)}_total`,
        "linux network cache stats",
        Number.parseInt(word, 16),
        labels,
      );
    }
  }
}
