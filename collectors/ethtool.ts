import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createDeviceFilter } from "./device-filter.ts";
import { type EthtoolDevice, openEthtool } from "./ethtool-ioctl.ts";
import { addLinkModes } from "./ethtool-link-modes.ts";
import { createFamilySet, type FamilyHead, type FamilySet, gauge, untyped } from "./families.ts";
import { detectPath, listIfPresent } from "./read.ts";
import { compilePattern } from "./pattern.ts";

const info = gauge(
  "node_ethtool_info",
  "A metric with a constant '1' value labeled by bus_info, device, driver, expansion_rom_version, firmware_version, version.",
);
const autonegotiate = gauge("node_network_autonegotiate", "If this port is using autonegotiate");

/** Statistics that nearly every driver has under the same name. */
const common: Readonly<Record<string, FamilyHead>> = {
  rx_bytes: untyped("node_ethtool_received_bytes_total", "Network interface bytes received"),
  rx_dropped: untyped("node_ethtool_received_dropped_total", "Number of received frames dropped"),
  rx_errors: untyped("node_ethtool_received_errors_total", "Number of received frames with errors"),
  rx_packets: untyped("node_ethtool_received_packets_total", "Network interface packets received"),
  tx_bytes: untyped("node_ethtool_transmitted_bytes_total", "Network interface bytes sent"),
  tx_errors: untyped("node_ethtool_transmitted_errors_total", "Number of sent frames with errors"),
  tx_packets: untyped("node_ethtool_transmitted_packets_total", "Network interface packets sent"),
};

export const ethtool = defineCollector({
  name: "ethtool",
  description: "Driver statistics and link modes of network interfaces, as ethtool shows them.",
  enabledByDefault: false,
  options: Type.Object(
    {
      device_include: Type.String({
        default: "",
        flag: "collector.ethtool.device-include",
        description: "Regular expression of interfaces to read, no others; excludes device_exclude.",
      }),
      device_exclude: Type.String({
        default: "",
        flag: "collector.ethtool.device-exclude",
        description: "Regular expression of interfaces to leave out.",
      }),
      metrics_include: Type.String({
        default: ".*",
        flag: "collector.ethtool.metrics-include",
        description: "Regular expression of statistics to publish.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ device_include, device_exclude, metrics_include }) => {
    const keeps = createDeviceFilter({
      flag: "collector.ethtool.device",
      include: device_include,
      exclude: device_exclude,
    });
    const wanted = compilePattern(metrics_include, "--collector.ethtool.metrics-include");
    return {
      detect: async ({ sysPath }) => detectPath(`${sysPath}/class/net`, "no network interfaces in sysfs"),
      collect: async (host): Promise<MetricFamily[]> => {
        const families = createFamilySet();
        using kernel = openEthtool();
        for (const device of listIfPresent(`${host.sysPath}/class/net`).filter(keeps)) {
          addDevice(families, device, kernel.read(device), wanted);
        }
        return families.list();
      },
    };
  },
});

/** What a driver does not answer is left out. */
export function addDevice(families: FamilySet, device: string, answers: EthtoolDevice, wanted: RegExp): void {
  const { link, driver } = answers;
  if (link !== undefined) {
    addLinkModes(families, device, link);
    families.add(autonegotiate, { device }, link.autonegotiate);
  }
  if (driver !== undefined) families.add(info, { device, ...driver }, 1);
  const byFamily = new Map<string, { family: FamilyHead; value: number } | undefined>();
  for (const [raw, value] of answers.statistics) {
    const name = sanitize(raw);
    if (!wanted.test(name)) continue;
    const metric = toMetricName(name);
    const family = common[name] ?? untyped(metric, `Network interface ${name}`);
    // Names that become the same one cannot be told apart any more, so none of them is published.
    if (!byFamily.has(metric)) byFamily.set(metric, { family, value });
    else byFamily.set(metric, undefined);
  }
  for (const entry of byFamily.values()) if (entry !== undefined) families.add(entry.family, { device }, entry.value);
}

function sanitize(name: string): string {
  return name.replace(/[^a-zA-Z0-9_]/g, "_");
}

/** "rx_discards_phy" → node_ethtool_received_discards_phy */
export function toMetricName(name: string): string {
  const plain = sanitize(name).toLowerCase().replace(/^_+/, "");
  const received = plain.replace(/(^|_)rx(_|$)/g, "$1received$2");
  return `node_ethtool_${received.replace(/(^|_)tx(_|$)/g, "$1transmitted$2")}`;
}
