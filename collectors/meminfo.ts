import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet, type FamilyHead, gauge } from "./families.ts";
import { parseNumber } from "./fields.ts";
import { createNamedLines } from "./named-lines.ts";
import { readText } from "./read.ts";

/** /proc/meminfo, see proc_meminfo(5). */
export const meminfo = defineCollector({
  name: "meminfo",
  description: "Memory statistics from /proc/meminfo.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => {
    const readFields = createNamedLines(/^([^:]+):/, toField);
    return {
      collect: async (host) => {
        const out = createFamilySet();
        readFields(readText(`${host.procPath}/meminfo`), ({ name, family, isCount }, amount) => {
          try {
            out.add(family, {}, parseAmount(amount, isCount));
          } catch (error) {
            host.skipped(`${name} in meminfo`, error);
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
  /** Numbers of huge pages, not bytes. */
  readonly isCount: boolean;
}

/** Every field of the kernel, as node_exporter published them up to 1.8; undefined for what is no name. */
function toField(name: string): Field | undefined {
  const field = name.replace("(", "_").replace(")", "");
  if (!/^[A-Za-z]\w*$/.test(field)) return undefined;
  const isCount = field.startsWith("HugePages_");
  const published = isCount ? field : `${field}_bytes`;
  return { name, family: gauge(`node_memory_${published}`, `Memory information field ${published}.`), isCount };
}

/** `  16 kB`, or a number of pages or bytes. */
function parseAmount(text: string, isCount: boolean): number {
  const unit = " kB";
  if (!text.endsWith(unit)) return parseNumber(text);
  return parseNumber(text.slice(0, -unit.length)) * (isCount ? 1 : 1024);
}
