import { Type } from "@sinclair/typebox";
import { defineCollector, type Labels, type MetricFamily, NoDataError } from "./collector.ts";
import { counter, createFamilySet, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { detectPath, listIfPresent, parseDecimal, readAttribute, readNumber } from "./read.ts";

const info = gauge("node_bcachefs_info", "Filesystem information.");
const btreeCacheSize = gauge("node_bcachefs_btree_cache_size_bytes", "Btree cache memory usage in bytes.");
const compressed = gauge("node_bcachefs_compression_compressed_bytes", "Compressed size by algorithm.");
const uncompressed = gauge("node_bcachefs_compression_uncompressed_bytes", "Uncompressed size by algorithm.");
const errors = counter("node_bcachefs_errors_total", "Error count by error type.");
const btreeWrites = counter("node_bcachefs_btree_writes_total", "Number of btree writes by type.");
const btreeWriteSize = gauge("node_bcachefs_btree_write_average_size_bytes", "Average btree write size by type.");
const deviceInfo = gauge("node_bcachefs_device_info", "Device information.");
const bucketSize = gauge("node_bcachefs_device_bucket_size_bytes", "Bucket size in bytes.");
const buckets = gauge("node_bcachefs_device_buckets", "Total number of buckets.");
const durability = gauge("node_bcachefs_device_durability", "Device durability setting.");
const ioDone = counter("node_bcachefs_device_io_done_bytes_total", "IO bytes by operation type and data type.");
const ioErrors = counter("node_bcachefs_device_io_errors_total", "IO errors by error type.");

export const bcachefs = defineCollector({
  name: "bcachefs",
  description: "bcachefs filesystems and their devices from /sys/fs/bcachefs.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    detect: async ({ sysPath }) => detectPath(`${sysPath}/fs/bcachefs`, "the bcachefs module is not loaded"),
    collect: async (host): Promise<MetricFamily[]> => {
      const folder = `${host.sysPath}/fs/bcachefs`;
      const mounted = listIfPresent(folder);
      if (mounted.length === 0) throw new NoDataError("no bcachefs is mounted");
      const families = createFamilySet();
      for (const uuid of mounted) addFilesystem(host, families, uuid, `${folder}/${uuid}`);
      return families.list();
    },
  }),
});

function addFilesystem(host: Host, families: FamilySet, uuid: string, path: string): void {
  families.add(info, { uuid }, 1);
  families.add(btreeCacheSize, { uuid }, readSize(host, `${path}/btree_cache_size`));
  for (const [algorithm = "", packed = "", plain = ""] of readTable(host, `${path}/compression_stats`, 1)) {
    const labels = { uuid, algorithm: algorithm.replace(/:$/, "") };
    families.add(compressed, labels, parseSize(packed));
    families.add(uncompressed, labels, parseSize(plain));
  }
  for (const [type = "", count = "", size = ""] of readTable(host, `${path}/btree_write_stats`, 1)) {
    const labels = { uuid, type: type.replace(/:$/, "") };
    families.add(btreeWrites, labels, parseDecimal(count));
    families.add(btreeWriteSize, labels, parseSize(size));
  }
  for (const [type = "", count = ""] of readTable(host, `${path}/errors`, 0)) {
    families.add(errors, { uuid, error_type: type }, parseDecimal(count));
  }
  for (const name of listIfPresent(`${path}/counters`)) addCounter(host, families, { uuid }, name, path);
  for (const entry of listIfPresent(path).filter((name) => name.startsWith("dev-"))) {
    addDevice(host, families, { uuid, device: entry.slice("dev-".length) }, `${path}/${entry}`);
  }
}

/** "since mount: 1.5k" and "since filesystem creation: 169308144", of which the second survives a remount. */
function addCounter(host: Host, families: FamilySet, labels: Labels, name: string, path: string): void {
  const text = readAttribute(host, `${path}/counters/${name}`);
  if (text === undefined) return;
  const value = parseSize(/^since filesystem creation:(.*)$/m.exec(text)?.[1] ?? "");
  if (value === undefined) host.skipped(`${path}/counters/${name}`, new Error("unexpected content"));
  const family = counter(
    `node_bcachefs_${name.replace(/[^a-zA-Z0-9_]/g, "_")}_total`,
    `Bcachefs counter ${name} since filesystem creation.`,
  );
  families.add(family, labels, value);
}

function addDevice(host: Host, families: FamilySet, labels: Labels, path: string): void {
  const read = (attribute: string): string => readAttribute(host, `${path}/${attribute}`)?.trim() ?? "";
  families.add(deviceInfo, { ...labels, label: read("label"), state: read("state") }, 1);
  families.add(bucketSize, labels, readSize(host, `${path}/bucket_size`));
  families.add(buckets, labels, readNumber(host, `${path}/nbuckets`));
  families.add(durability, labels, readNumber(host, `${path}/durability`));
  let operation = "";
  for (const { key, value } of parsePairs(read("io_done"))) {
    if (value === undefined) operation = key;
    else if (operation !== "") families.add(ioDone, { ...labels, operation, data_type: key }, value);
  }
  // The section after this one starts over with each "reset".
  const [, sinceCreation = ""] = read("io_errors").split(/^IO errors since.*$/m);
  for (const { key, value } of parsePairs(sinceCreation)) families.add(ioErrors, { ...labels, type: key }, value);
}

/** Lines "user : 512"; a line with nothing after the colon is a heading. */
function parsePairs(text: string): { key: string; value: number | undefined }[] {
  return text.split("\n").flatMap((line) => {
    const [, key, value = ""] = /^\s*([^:]*?)\s*:\s*(\d*)\s*$/.exec(line) ?? [];
    return key === undefined ? [] : { key, value: parseDecimal(value) };
  });
}

function readTable(host: Host, path: string, headerLines: number): string[][] {
  const lines = (readAttribute(host, path) ?? "").split("\n").slice(headerLines);
  return lines.map((line) => line.trim().split(/\s+/)).filter((words) => words.length > 1);
}

function readSize(host: Host, path: string): number | undefined {
  const text = readAttribute(host, path);
  if (text === undefined) return undefined;
  const value = parseSize(text);
  if (value === undefined) host.skipped(path, new Error(`not a size: ${text}`));
  return value;
}

/** "2.05G" in powers of 1024, whole bytes, towards zero. */
export function parseSize(text: string): number | undefined {
  const [, mantissa, unit = ""] = /^\s*(\d+(?:\.\d+)?)\s*([kKmMgGtTpPeE]?)\s*$/.exec(text) ?? [];
  if (mantissa === undefined) return undefined;
  return Math.trunc(Number(mantissa) * 1024 ** " kmgtpe".indexOf(unit.toLowerCase() || " "));
}
