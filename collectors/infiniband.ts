import { Type } from "@sinclair/typebox";
import { defineCollector, type Labels, type MetricFamily } from "./collector.ts";
import { createDeviceFilter } from "./device-filter.ts";
import { createFamilySet, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { type CounterFile, hardwareCounters, legacyCounters, portCounters } from "./infiniband-counters.ts";
import { addPortInfo, otherHardwareCounter } from "./infiniband-extras.ts";
import {
  detectPath,
  errnoOf,
  listAttributes,
  listIfPresent,
  parseDecimal,
  readAttribute,
  readIntegerOrText,
} from "./read.ts";
import { remember } from "./remember.ts";

const info = gauge("node_infiniband_info", "Non-numeric data from /sys/class/infiniband/<device>, value is always 1.");
const state = gauge(
  "node_infiniband_state_id",
  "State of the InfiniBand port (0: no change, 1: down, 2: init, 3: armed, 4: active, 5: act defer)",
);
const physicalState = gauge(
  "node_infiniband_physical_state_id",
  "Physical state of the InfiniBand port (0: no change, 1: sleep, 2: polling, 3: disable, 4: shift, 5: link up, 6: link error recover, 7: phytest)",
);
const rate = gauge("node_infiniband_rate_bytes_per_second", "Maximum signal transfer rate");
const lifespan = gauge(
  "node_infiniband_lifespan_seconds",
  "The maximum period in ms which defines the aging of the counter reads. Two consecutive reads within this period might return the same values.",
);

const folders = { counters: portCounters, counters_ext: legacyCounters, hw_counters: hardwareCounters } as const;

/** A file that cannot be read is left alone for a while after so many tries. */
const refusalsBeforeRest = 3;
const restMilliseconds = 10 * 60 * 1000;
/** Firmware that refuses a counter (mlx5's ACCESS_REG) has the driver write a line to the kernel log for each read. */
const refusedByFirmware = "EINVAL";
const restAfterFirmwareMilliseconds = 24 * 60 * 60 * 1000;

type Refusals = Map<string, { count: number; restUntil: number; error: unknown }>;

export const infiniband = defineCollector({
  name: "infiniband",
  description: "InfiniBand and RoCE ports: state, rate and counters from /sys/class/infiniband.",
  enabledByDefault: true,
  options: Type.Object(
    {
      device_include: Type.String({
        default: "",
        flag: "collector.infiniband.device-include",
        description: "Regular expression of devices to read, all others are left out; excludes device_exclude.",
      }),
      device_exclude: Type.String({
        default: "",
        flag: "collector.infiniband.device-exclude",
        description: "Regular expression of devices to leave out.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ device_include, device_exclude }) => {
    const keeps = createDeviceFilter({
      flag: "collector.infiniband.device",
      include: device_include,
      exclude: device_exclude,
    });
    const refusals: Refusals = new Map();
    return {
      detect: async ({ sysPath }) => detectPath(`${sysPath}/class/infiniband`, "no InfiniBand or RoCE device"),
      collect: async (host): Promise<MetricFamily[]> => {
        const families = createFamilySet();
        const folder = `${host.sysPath}/class/infiniband`;
        for (const device of listIfPresent(folder).filter(keeps)) {
          addDevice(host, families, device, `${folder}/${device}`, refusals);
        }
        return families.list();
      },
    };
  },
});

const labelsOf = remember((device) => remember((port) => ({ device, port })));

function addDevice(host: Host, families: FamilySet, device: string, path: string, refusals: Refusals): void {
  // Not every driver has all three.
  const read = (attribute: string): string => readAttribute(host, `${path}/${attribute}`)?.trim() ?? "";
  const versions = { board_id: read("board_id"), firmware_version: read("fw_ver"), hca_type: read("hca_type") };
  families.add(info, { device, ...versions }, 1);
  for (const port of listAttributes(`${path}/ports`)) {
    const labels = labelsOf(device)(port);
    const portPath = `${path}/ports/${port}`;
    families.add(state, labels, readState(host, `${portPath}/state`));
    families.add(physicalState, labels, readState(host, `${portPath}/phys_state`));
    families.add(rate, labels, readRate(host, `${portPath}/rate`));
    addPortInfo(host, families, labels, { device: path, port: portPath });
    for (const entry of listAttributes(portPath)) {
      if (!Object.hasOwn(folders, entry)) continue;
      const table: Readonly<Record<string, CounterFile>> = folders[entry as keyof typeof folders];
      addCounters({ host, families, labels, table, path: `${portPath}/${entry}`, refusals });
    }
  }
}

interface CounterFolder {
  readonly host: Host;
  readonly families: FamilySet;
  readonly labels: Labels;
  readonly table: Readonly<Record<string, CounterFile>>;
  readonly path: string;
  readonly refusals: Refusals;
}

function addCounters({ host, families, labels, table, path, refusals }: CounterFolder): void {
  for (const name of listAttributes(path)) {
    if (name === "lifespan") {
      const milliseconds = readCounter(host, `${path}/${name}`, refusals);
      families.add(lifespan, labels, milliseconds === undefined ? undefined : milliseconds / 1000);
    }
    const counter = Object.hasOwn(table, name) ? table[name] : undefined;
    if (counter !== undefined) {
      const value = readCounter(host, `${path}/${name}`, refusals);
      families.add(counter.family, labels, value === undefined ? undefined : value * counter.unit);
    } else if (table === hardwareCounters && name !== "lifespan") {
      families.add(otherHardwareCounter, { ...labels, counter: name }, readCounter(host, `${path}/${name}`, refusals));
    }
  }
}

function readCounter(host: Host, path: string, refusals: Refusals): number | undefined {
  const refused = refusals.get(path);
  if (refused !== undefined && performance.now() < refused.restUntil) {
    host.skipped(path, refused.error);
    return undefined;
  }
  try {
    const reading = readIntegerOrText(path);
    refusals.delete(path);
    if (typeof reading === "number") return reading;
    const text = reading.trim();
    // A port without a performance management agent, as some virtual functions are.
    if (text.startsWith("N/A")) return undefined;
    const value = parseDecimal(text);
    if (value === undefined) throw new Error(`not a number: ${text}`);
    return value;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    host.skipped(path, error);
    const count = (refused?.count ?? 0) + 1;
    const restUntil = performance.now() + restAfter(error, count);
    refusals.set(path, { count, restUntil, error });
    return undefined;
  }
}

function restAfter(error: unknown, refusals: number): number {
  if (errnoOf(error) === refusedByFirmware) return restAfterFirmwareMilliseconds;
  return refusals < refusalsBeforeRest ? 0 : restMilliseconds;
}

/** "4: ACTIVE" */
function readState(host: Host, path: string): number | undefined {
  const text = readAttribute(host, path);
  if (text === undefined) return undefined;
  const value = parseDecimal(text.split(":")[0] ?? "");
  if (value === undefined) host.skipped(path, new Error(`not a port state: ${text}`));
  return value;
}

function readRate(host: Host, path: string): number | undefined {
  const text = readAttribute(host, path);
  if (text === undefined) return undefined;
  const value = parseRate(text);
  if (value === undefined) host.skipped(path, new Error(`not a rate: ${text}`));
  return value;
}

/** "400 Gb/sec (4X NDR)" in bytes per second; undefined for anything else. */
export function parseRate(text: string): number | undefined {
  const gigabits = /^([\d.]+) Gb\/sec/.exec(text.trim())?.[1];
  return gigabits === undefined ? undefined : Math.trunc(Number(gigabits) * 125_000_000);
}
