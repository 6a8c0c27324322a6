import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet, type FamilyHead, untyped } from "./families.ts";
import { parseNumber, toMetricName } from "./fields.ts";
import type { Host } from "./host.ts";
import { compilePattern } from "./pattern.ts";
import { readText } from "./read.ts";
import { remember } from "./remember.ts";

/** Virtual memory counters of /proc/vmstat: one `name value` a line. */
export const vmstat = defineCollector({
  name: "vmstat",
  description: "Paging, swapping, page faults and OOM kills from /proc/vmstat.",
  enabledByDefault: true,
  options: Type.Object(
    {
      fields: Type.String({
        default: "^(oom_kill|pgpg|pswp|pg.*fault).*",
        flag: "collector.vmstat.fields",
        description: "Regexp of the fields to publish.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ fields }) => {
    const select = createFieldSelector(compilePattern(fields, "--collector.vmstat.fields"));
    return {
      collect: async (host) => parseVmstat(readText(`${host.procPath}/vmstat`), { select, host }),
    };
  },
});

type FieldSelector = (field: string) => FamilyHead | undefined;

/** The family of a wanted field. The file has some 200, always the same: each is matched once. */
export function createFieldSelector(wanted: { test(text: string): boolean }): FieldSelector {
  return remember((field) =>
    wanted.test(field)
      ? untyped(`node_vmstat_${toMetricName(field)}`, `/proc/vmstat information field ${field}.`)
      : undefined,
  );
}

interface Reading {
  readonly select: FieldSelector;
  readonly host: Pick<Host, "skipped">;
}

export function parseVmstat(text: string, { select, host }: Reading): MetricFamily[] {
  const out = createFamilySet();
  for (const line of text.split("\n")) {
    const space = line.indexOf(" ");
    const family = space < 0 ? undefined : select(line.slice(0, space));
    if (family === undefined) continue;
    try {
      out.add(family, {}, parseNumber(line.slice(space + 1)));
    } catch (error) {
      host.skipped(`${line.slice(0, space)} in vmstat`, error);
    }
  }
  return out.list();
}
