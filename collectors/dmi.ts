import { Type } from "@sinclair/typebox";
import { defineCollector, type Labels, type MetricFamily, NoDataError } from "./collector.ts";
import { gauge } from "./families.ts";
import { readFreeText } from "./free-text.ts";
import type { Host } from "./host.ts";
import { listIfPresent } from "./read.ts";

const attributes = [
  "bios_date",
  "bios_release",
  "bios_vendor",
  "bios_version",
  "board_asset_tag",
  "board_name",
  "board_serial",
  "board_vendor",
  "board_version",
  "chassis_asset_tag",
  "chassis_serial",
  "chassis_vendor",
  "chassis_version",
  "product_family",
  "product_name",
  "product_serial",
  "product_sku",
  "product_uuid",
  "product_version",
  "sys_vendor",
] as const;

const toLabel = (attribute: string): string => (attribute === "sys_vendor" ? "system_vendor" : attribute);

const info = gauge(
  "node_dmi_info",
  `A metric with a constant '1' value labeled by ${attributes.map(toLabel).join(", ")} if provided by DMI.`,
);

/** The firmware's tables do not change before the next boot, so they are read once. */
export const dmi = defineCollector({
  name: "dmi",
  description: "Desktop Management Interface: vendor, product, BIOS from /sys/class/dmi/id.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => {
    let labels: Labels | undefined;
    return {
      collect: async (host): Promise<MetricFamily[]> => {
        labels ??= readDmi(host);
        return [{ ...info, samples: [{ labels, value: 1 }] }];
      },
    };
  },
});

function readDmi(host: Host): Labels {
  const folder = `${host.sysPath}/class/dmi/id`;
  const present = new Set(listIfPresent(folder));
  const labels: Record<string, string> = {};
  for (const attribute of attributes) {
    const value = present.has(attribute) ? readFreeText(host, `${folder}/${attribute}`) : undefined;
    if (value !== undefined) labels[toLabel(attribute)] = value.trim();
  }
  if (Object.keys(labels).length === 0) throw new NoDataError("no DMI tables on this platform");
  return labels;
}
