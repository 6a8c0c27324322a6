import { Type } from "@sinclair/typebox";
import { defineCollector, type Labels, type MetricFamily } from "./collector.ts";
import { createFamilySet, type FamilySet, gauge, untyped } from "./families.ts";
import type { Host } from "./host.ts";
import { detectPath, listIfPresent, parseDecimal, readAttribute } from "./read.ts";

/** The part of the metric name for each kstat file of /proc/spl/kstat/zfs; a ZFS without the feature has no file. */
const subsystems: Readonly<Record<string, string>> = {
  abdstats: "abd",
  arcstats: "arc",
  dbufstats: "dbuf",
  dmu_tx: "dmu_tx",
  dnodestats: "dnode",
  fm: "fm",
  vdev_cache_stats: "vdev_cache",
  vdev_mirror_stats: "vdev_mirror",
  xuio_stats: "xuio",
  zfetchstats: "zfetch",
  zil: "zil",
};

const poolStates = ["online", "degraded", "faulted", "offline", "removed", "unavail", "suspended"] as const;
const poolState = gauge("node_zfs_zpool_state", "kstat.zfs.misc.state");

/** Column 2 of a kstat line: KSTAT_DATA_INT64 and KSTAT_DATA_UINT64 of OpenZFS' spl kstat.h. */
const int64 = "3";
const uint64 = "4";

export const zfs = defineCollector({
  name: "zfs",
  description: "ZFS caches, pools and datasets from /proc/spl/kstat/zfs.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    detect: async ({ procPath }) => detectPath(`${procPath}/spl/kstat/zfs`, "the ZFS module is not loaded"),
    collect: async (host): Promise<MetricFamily[]> => {
      const families = createFamilySet();
      const folder = `${host.procPath}/spl/kstat/zfs`;
      for (const entry of listIfPresent(folder)) {
        const subsystem = subsystems[entry];
        if (subsystem === undefined) addPool(host, families, entry, `${folder}/${entry}`);
        else addKstat(host, families, `node_zfs_${subsystem}_`, entry, `${folder}/${entry}`);
      }
      return families.list();
    },
  }),
});

function addKstat(host: Host, families: FamilySet, prefix: string, source: string, path: string): void {
  for (const { name, value } of parseKstat(readAttribute(host, path) ?? "", [int64, uint64]).numbers) {
    addNumber(host, families, prefix, `${source}.${name}`, {}, value);
  }
}

/** A folder is a pool; the other entries are files with tables for people, which have no such parts. */
function addPool(host: Host, families: FamilySet, zpool: string, path: string): void {
  for (const entry of listIfPresent(path)) {
    if (entry !== "io" && entry !== "state" && !entry.startsWith("objset-")) continue;
    // An exported pool takes its files along between the listing and the reading.
    const text = readAttribute(host, `${path}/${entry}`) ?? "";
    if (entry === "io") {
      for (const { name, value } of parseIo(text))
        addNumber(host, families, "node_zfs_zpool_", `io.${name}`, { zpool }, value);
    } else if (entry === "state") {
      for (const state of poolStates) {
        families.add(
          poolState,
          { zpool, state },
          text === "" ? undefined : Number(text.trim().toLowerCase() === state),
        );
      }
    } else {
      const { dataset, numbers } = parseKstat(text, [uint64]);
      if (dataset === "" && numbers.length > 0) {
        host.skipped(`${entry} of ${zpool}`, new Error("no dataset_name"));
        continue;
      }
      for (const { name, value } of numbers) {
        addNumber(host, families, "node_zfs_zpool_dataset_", `objset.${name}`, { zpool, dataset }, value);
      }
    }
  }
}

function addNumber(
  host: Host,
  families: FamilySet,
  prefix: string,
  key: string,
  labels: Labels,
  value: number | undefined,
): void {
  if (value === undefined) host.skipped(`kstat.zfs.misc.${key}`, new Error("not a number"));
  const name = key.slice(key.lastIndexOf(".") + 1).replaceAll("-", "_");
  families.add(untyped(prefix + name, `kstat.zfs.misc.${key}`), labels, value);
}

export interface KstatNumber {
  readonly name: string;
  /** Undefined for what is no number. */
  readonly value: number | undefined;
}

/** Lines "NAME TYPE VALUE" after the line "name type data". A dataset's name may hold spaces. */
export function parseKstat(text: string, types: readonly string[]): { dataset: string; numbers: KstatNumber[] } {
  const numbers: KstatNumber[] = [];
  let dataset = "";
  const [, body = ""] = text.split(/^name\s+type\s+data\s*$/m);
  for (const line of body.split("\n")) {
    const [, name, type, rest = ""] = /^(\S+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    if (name === undefined || type === undefined) continue;
    if (name === "dataset_name") dataset = rest;
    if (types.includes(type)) numbers.push({ name, value: parseDecimal(rest) });
  }
  return { dataset, numbers };
}

/** kstat_io_t: a line of column names that starts with nread, then a line of numbers. */
export function parseIo(text: string): KstatNumber[] {
  const lines = text.split("\n").map((line) => line.trim().split(/\s+/));
  const header = lines.findIndex((words) => words[0] === "nread");
  const names = lines[header] ?? [];
  return names.map((name, column) => ({ name, value: parseDecimal(lines[header + 1]?.[column] ?? "") }));
}
