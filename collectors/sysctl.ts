import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet, type FamilySet } from "./families.ts";
import { parseNumber, splitFields, toMetricName } from "./fields.ts";
import { readText } from "./read.ts";

/** Chosen kernel parameters, as numbers or as the text of a label. */
export const sysctl = defineCollector({
  name: "sysctl",
  description: "Chosen kernel parameters from /proc/sys.",
  enabledByDefault: false,
  options: Type.Object(
    {
      include: Type.Array(Type.String(), {
        default: [],
        flag: "collector.sysctl.include",
        description: 'Parameters to publish as numbers: "fs.file-nr", or with a name per value "fs.file-nr:a,b,c".',
      }),
      include_info: Type.Array(Type.String(), {
        default: [],
        flag: "collector.sysctl.include-info",
        description: "Parameters to publish as the label of an info series.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ include, include_info: includeInfo }) => ({
    collect: async (host) => {
      const out = createFamilySet();
      const each = (parameter: string, add: typeof addNumbers): void => {
        const [name = "", names] = parameter.split(/:(.*)/s);
        try {
          const values = splitFields(readText(`${host.procPath}/sys/${name.replaceAll(".", "/")}`));
          if (values.length === 0) throw new Error("no values");
          add(out, { name, names: names === undefined ? [] : names.split(","), values });
        } catch (error) {
          host.skipped(`sysctl ${name}`, error);
        }
      };
      for (const parameter of include) each(parameter, addNumbers);
      for (const parameter of includeInfo) each(parameter, addInfo);
      return out.list();
    },
  }),
});

interface Parameter {
  readonly name: string;
  /** One per value, or none. */
  readonly names: readonly string[];
  readonly values: readonly string[];
}

function addNumbers(out: FamilySet, { name, names, values }: Parameter): void {
  const metric = `node_sysctl_${toMetricName(name)}`;
  const numbers = values.map(parseNumber);
  if (names.length > 0) {
    if (names.length !== values.length || values.length === 1) {
      throw new Error(`${values.length} values for ${names.length} names`);
    }
    for (const [index, number] of numbers.entries()) {
      out.untyped(`${metric}_${toMetricName(names[index] ?? "")}`, `sysctl ${name}, field ${index}`, number);
    }
    return;
  }
  for (const [index, number] of numbers.entries()) {
    out.untyped(metric, `sysctl ${name}`, number, numbers.length === 1 ? {} : { index: String(index) });
  }
}

function addInfo(out: FamilySet, { name, names, values }: Parameter): void {
  if (names.length > 0) throw new Error("an info series has no names per value");
  for (const [index, value] of values.entries()) {
    out.gauge("node_sysctl_info", "sysctl info", 1, { name, value, index: String(index) });
  }
}
