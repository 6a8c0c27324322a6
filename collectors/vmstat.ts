import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { parseNumber, toMetricName } from "./fields.ts";
import type { Host } from "./host.ts";
import { compilePattern } from "./pattern.ts";
import { readText } from "./read.ts";

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
    const wanted = rememberAnswers(compilePattern(fields, "--collector.vmstat.fields"));
    return {
      collect: async (host) => parseVmstat(readText(`${host.procPath}/vmstat`), { wanted, host }),
    };
  },
});

// The file has some 200 fields, always the same: each is matched once.
function rememberAnswers(pattern: { test(text: string): boolean }): (field: string) => boolean {
  const answers = new Map<string, boolean>();
  return (field) => {
    let answer = answers.get(field);
    if (answer === undefined) {
      answer = pattern.test(field);
      answers.set(field, answer);
    }
    return answer;
  };
}

interface Reading {
  readonly wanted: (field: string) => boolean;
  readonly host: Pick<Host, "skipped">;
}

export function parseVmstat(text: string, { wanted, host }: Reading): MetricFamily[] {
  const out = createFamilySet();
  for (const line of text.split("\n")) {
    const space = line.indexOf(" ");
    const field = line.slice(0, space);
    if (space < 0 || !wanted(field)) continue;
    try {
      const help = `/proc/vmstat information field ${field}.`;
      out.untyped(`node_vmstat_${toMetricName(field)}`, help, parseNumber(line.slice(space + 1)));
    } catch (error) {
      host.skipped(`${field} in vmstat`, error);
    }
  }
  return out.list();
}
