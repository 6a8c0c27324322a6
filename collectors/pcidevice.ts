import { Type } from "@sinclair/typebox";
import { readlinkSync } from "node:fs";
import { defineCollector, type Labels, type MetricFamily } from "./collector.ts";
import { createFamilySet, type FamilyHead, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { type PciNames, readPciNames } from "./pci-names.ts";
import { detectPath, listAttributes, listIfPresent, parseDecimal, readAttribute } from "./read.ts";

const value = (name: string, help: string): FamilyHead => gauge(`node_pcidevice_${name}`, help);
const info = value("info", "Non-numeric data from /sys/bus/pci/devices/<location>, value is always 1.");
const powerState = value(
  "power_state",
  "PCIe device power state, one of: D0, D1, D2, D3hot, D3cold, unknown or error.",
);
const powerStates = ["D0", "D1", "D2", "D3hot", "D3cold", "unknown", "error"] as const;
const numaNode = value("numa_node", "NUMA node number for the PCI device. -1 indicates unknown or not available.");

/** Families by attribute, and what stands for a device that has no such attribute. */
const numbers: Readonly<Record<string, readonly [family: FamilyHead, absent: number]>> = {
  max_link_width: [value("max_link_width", "Value of maximum link's width (number of lanes)"), -1],
  current_link_width: [value("current_link_width", "Value of current link's width (number of lanes)"), -1],
  max_link_speed: [value("max_link_transfers_per_second", "Value of maximum link's transfers per second (T/s)"), -1],
  current_link_speed: [
    value("current_link_transfers_per_second", "Value of current link's transfers per second (T/s)"),
    -1,
  ],
  d3cold_allowed: [value("d3cold_allowed", "Whether the PCIe device supports D3cold power state (0/1)."), 0],
  sriov_drivers_autoprobe: [
    value("sriov_drivers_autoprobe", "Whether SR-IOV drivers autoprobe is enabled for the device (0/1)."),
    0,
  ],
  sriov_numvfs: [value("sriov_numvfs", "Number of Virtual Functions (VFs) currently enabled for SR-IOV."), 0],
  sriov_totalvfs: [value("sriov_totalvfs", "Total number of Virtual Functions (VFs) supported by the device."), 0],
  sriov_vf_total_msix: [value("sriov_vf_total_msix", "Total number of MSI-X vectors for Virtual Functions."), 0],
};

const ids = {
  class_id: "class",
  vendor_id: "vendor",
  device_id: "device",
  subsystem_vendor_id: "subsystem_vendor",
  subsystem_device_id: "subsystem_device",
  revision: "revision",
} as const;

export const pcidevice = defineCollector({
  name: "pcidevice",
  description: "PCI devices: link speed and width, power state, SR-IOV, NUMA node.",
  enabledByDefault: false,
  options: Type.Object(
    {
      idsfile: Type.String({
        default: "",
        flag: "collector.pcidevice.idsfile",
        path: true,
        description: "Path of the pci.ids file; empty looks in /usr/share/misc and /usr/share/hwdata.",
      }),
      names: Type.Boolean({
        default: false,
        flag: "collector.pcidevice.names",
        description: "Add the names from pci.ids to node_pcidevice_info.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ idsfile, names }) => {
    // A megabyte of text that changes with a package at most; read once.
    let known: PciNames | undefined;
    return {
      detect: async ({ sysPath }) => detectPath(`${sysPath}/bus/pci/devices`, "no PCI bus"),
      collect: async (host): Promise<MetricFamily[]> => {
        if (names) known ??= readPciNames(host, idsfile);
        const families = createFamilySet();
        for (const slot of listIfPresent(`${host.sysPath}/bus/pci/devices`)) addDevice(host, families, slot, known);
        return families.list();
      },
    };
  },
});

function addDevice(host: Host, families: FamilySet, slot: string, names: PciNames | undefined): void {
  const path = `${host.sysPath}/bus/pci/devices/${slot}`;
  const location = parseLocation(slot);
  if (location === undefined) return;
  const present = new Set(listAttributes(path));
  const read = (attribute: string): string | undefined =>
    present.has(attribute) ? readAttribute(host, `${path}/${attribute}`)?.trim() : "";

  const own = Object.fromEntries(Object.entries(ids).map(([label, attribute]) => [label, read(attribute) ?? ""]));
  families.add(info, { ...location, ...readParent(host, path), ...own, ...names?.describe(own) }, 1);
  for (const [attribute, [family, absent]] of Object.entries(numbers)) {
    const text = read(attribute);
    if (text !== undefined) families.add(family, location, parsePciNumber(text, absent));
  }
  const node = parseDecimal(read("numa_node") ?? "");
  if (node !== -1) families.add(numaNode, location, node);
  const current = read("power_state");
  if (current === undefined || current === "") return;
  for (const state of powerStates) families.add(powerState, { ...location, state }, Number(state === current));
}

/** "16.0 GT/s PCIe" in transfers per second; empty and "Unknown" as for a device without the attribute. */
export function parsePciNumber(text: string, absent: number): number | undefined {
  if (text === "" || text.startsWith("Unknown")) return absent;
  const speed = /^([\d.]+) GT\/s/.exec(text)?.[1];
  return speed === undefined ? parseDecimal(text) : Number(speed) * 1e9;
}

/** "0000:45:00.0" */
function parseLocation(slot: string): Labels | undefined {
  const [, segment, bus, device, function_] =
    /^([0-9a-f]{4,}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-9a-f])$/.exec(slot) ?? [];
  if (segment === undefined || bus === undefined || device === undefined || function_ === undefined) return undefined;
  return { segment, bus, device, function: function_ };
}

/** The bridge above: the last but one part of where the entry links to. A root bus ("pci0000:40") is none. */
function readParent(host: Host, path: string): Labels {
  let parent: Labels | undefined;
  try {
    parent = parseLocation(readlinkSync(path).split("/").at(-2) ?? "");
  } catch (error) {
    host.skipped(path, error);
  }
  return Object.fromEntries(
    ["segment", "bus", "device", "function"].map((part) => [`parent_${part}`, parent?.[part] ?? "*"]),
  );
}
