import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet, type FamilyHead, untyped } from "./families.ts";
import { parseNumber, toMetricName } from "./fields.ts";
import { createNamedLines } from "./named-lines.ts";
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
    const wanted = compilePattern(fields, "--collector.vmstat.fields");
    const readFields = createNamedLines(/^(\S+) /, (field) => (wanted.test(field) ? toField(field) : undefined));
    return {
      collect: async (host) => {
        const out = createFamilySet();
        readFields(readText(`${host.procPath}/vmstat`), ({ name, family }, value) => {
          try {
            out.add(family, {}, parseNumber(value));
          } catch (error) {
            host.skipped(`${name} in vmstat`, error);
          }
        });
        return out.list();
      },
    };
  },
});

interface Field {
  readonly name: string;
  readonly family: FamilyHead;
}

function toField(name: string): Field {
  return { name, family: untyped(`node_vmstat_${toMetricName(name)}`, `/proc/vmstat information field ${name}.`) };
}
