import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { detectPath, listIfPresent, readAttribute } from "./read.ts";

const info = gauge("node_nvmesubsystem_info", "Non-numeric information about an NVMe subsystem.");
const namespaceInfo = gauge(
  "node_nvmesubsystem_namespace_info",
  "Maps an NVMe namespace block device to its subsystem.",
);
const paths = gauge("node_nvmesubsystem_paths", "Number of controller paths for an NVMe subsystem.");
const pathsLive = gauge(
  "node_nvmesubsystem_paths_live",
  "Number of controller paths in live state for an NVMe subsystem.",
);
const pathState = gauge(
  "node_nvmesubsystem_path_state",
  "Current NVMe controller path state (1 for the current state, 0 for all others).",
);

const states = ["connecting", "dead", "deleting", "live", "new", "resetting", "unknown"] as const;

/** Paths to NVMe subsystems; several where a drive or an array is reached over more than one fabric link. */
export const nvmesubsystem = defineCollector({
  name: "nvmesubsystem",
  description: "State of the controller paths of each NVMe subsystem from /sys/class/nvme-subsystem.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    detect: async ({ sysPath }) => detectPath(`${sysPath}/class/nvme-subsystem`, "no NVMe subsystem"),
    collect: async (host): Promise<MetricFamily[]> => {
      const families = createFamilySet();
      const folder = `${host.sysPath}/class/nvme-subsystem`;
      for (const subsystem of listIfPresent(folder).filter((name) => name.startsWith("nvme-subsys"))) {
        addSubsystem(host, families, subsystem, `${folder}/${subsystem}`);
      }
      return families.list();
    },
  }),
});

function addSubsystem(host: Host, families: FamilySet, subsystem: string, path: string): void {
  const read = (attribute: string): string => readAttribute(host, `${path}/${attribute}`)?.trim() ?? "";
  const names = { nqn: read("subsysnqn"), model: read("model"), serial: read("serial"), iopolicy: read("iopolicy") };
  families.add(info, { subsystem, ...names }, 1);
  const entries = listIfPresent(path);
  for (const device of entries.filter((name) => /^nvme\d+n\d+$/.test(name))) {
    families.add(namespaceInfo, { subsystem, device }, 1);
  }
  const controllers = entries.filter((name) => /^nvme\d+$/.test(name));
  const found = controllers.map((controller) => {
    const raw = readAttribute(host, `${path}/${controller}/state`)?.trim();
    const state = raw === undefined ? undefined : toState(raw);
    const transport = read(`${controller}/transport`);
    for (const candidate of state === undefined ? [] : states) {
      families.add(pathState, { subsystem, controller, transport, state: candidate }, candidate === state ? 1 : 0);
    }
    return state;
  });
  families.add(paths, { subsystem }, controllers.length);
  // A count that leaves out a path whose state could not be read would look like a lost path.
  if (!found.includes(undefined)) families.add(pathsLive, { subsystem }, found.filter((s) => s === "live").length);
}

/** "deleting (no IO)" is a way of deleting. */
function toState(raw: string): (typeof states)[number] {
  const word = raw === "deleting (no IO)" ? "deleting" : raw;
  return states.find((state) => state === word) ?? "unknown";
}
