import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { parseNumber, splitFields } from "./fields.ts";
import { readText } from "./read.ts";

/** /proc/sys/fs/file-nr: allocated handles, a zero kept for compatibility, the limit. */
export const filefd = defineCollector({
  name: "filefd",
  description: "File handles in use and their limit from /proc/sys/fs/file-nr.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async ({ procPath }) => parseFileNr(readText(`${procPath}/sys/fs/file-nr`)),
  }),
});

export function parseFileNr(text: string): MetricFamily[] {
  const [allocated, , maximum] = splitFields(text);
  const out = createFamilySet();
  const help = (field: string): string => `File descriptor statistics: ${field}.`;
  out.gauge("node_filefd_allocated", help("allocated"), parseNumber(allocated));
  out.gauge("node_filefd_maximum", help("maximum"), parseNumber(maximum));
  return out.list();
}
