import { realpathSync } from "node:fs";
import { basename, dirname } from "node:path";
import type { Host } from "./host.ts";
import { cleanName } from "./hwmon-sensors.ts";
import { isErrno, listAttributes, listIfPresent, readAttribute } from "./read.ts";

export interface Chip {
  /** The `chip` label: unique, and the same after the next boot where the bus allows it. */
  readonly chip: string;
  /** What the driver calls itself; several chips may share it. */
  readonly chipName: string | undefined;
  readonly path: string;
  /** The names in its folder. */
  readonly attributes: readonly string[];
}

/**
 * hwmonN numbers follow the order of module loading, so a chip is named after its device (platform_coretemp_0), else
 * after its name file, else hwmonN. Where chips share a device, the name file tells them apart, else hwmonN again.
 */
export function listChips(host: Host): Chip[] {
  const folder = `${host.sysPath}/class/hwmon`;
  const found = listIfPresent(folder).flatMap((entry) => {
    const path = `${folder}/${entry}`;
    const attributes = listAttributes(path);
    const text = readAttribute(host, `${path}/name`)?.trim() ?? "";
    const device = attributes.includes("device") ? deviceName(host, path) : "";
    const base = device || cleanName(text) || cleanName(basename(resolve(host, path) ?? ""));
    return base === "" ? [] : { entry, path, attributes, text, base };
  });
  const bases = countBy(found, ({ base }) => base);
  const names = countBy(found, ({ base, text }) => `${base}\0${text}`);
  return found.map(({ entry, path, attributes, text, base }) => {
    const distinct = names.get(`${base}\0${text}`) === 1 ? cleanName(text) : "";
    const suffix = bases.get(base) === 1 ? "" : `_${distinct || cleanName(entry)}`;
    return { chip: `${base}${suffix}`, chipName: cleanName(text) || undefined, path, attributes };
  });
}

/** "BUS_DEVICE" from the last two parts of where the device link leads; empty without a link. */
function deviceName(host: Host, path: string): string {
  const device = resolve(host, `${path}/device`);
  if (device === undefined) return "";
  const name = cleanName(basename(device));
  const bus = cleanName(basename(dirname(device)));
  return bus !== "" && name !== "" ? `${bus}_${name}` : name;
}

function resolve(host: Host, path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR")) host.skipped(path, error);
    return undefined;
  }
}

function countBy<T>(items: readonly T[], key: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1);
  return counts;
}
