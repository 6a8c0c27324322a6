import type { Labels } from "./collector.ts";
import type { Host } from "./host.ts";
import { readTextIfPresent } from "./read.ts";

/** What pci.ids says about the ids of a device. An id without a name stands for itself. */
export interface PciNames {
  describe(ids: Labels): Labels;
}

export function readPciNames(host: Host, file: string): PciNames {
  const root = host.rootPath.replace(/\/$/, "");
  const candidates = file === "" ? [`${root}/usr/share/misc/pci.ids`, `${root}/usr/share/hwdata/pci.ids`] : [file];
  for (const path of candidates) {
    const text = readTextIfPresent(path);
    if (text !== undefined) return createPciNames(text);
  }
  host.skipped("pci.ids", new Error(`not found: ${candidates.join(", ")}`));
  return createPciNames("");
}

/**
 * https://pci-ids.ucw.cz: a vendor, indented its devices, indented twice their subsystems; after them "C" and a class,
 * its subclasses, their programming interfaces. The keys here are the ids from the outermost to the line's own.
 */
export function createPciNames(text: string): PciNames {
  const names = new Map<string, string>();
  let path: string[] = [];
  for (const line of text.split("\n")) {
    const [, tabs = "", id, name = ""] = /^(\t{0,2})([^\s#](?:[^ ]| (?! ))*)\s{2,}(.*)$/.exec(line) ?? [];
    if (id === undefined) continue;
    path = [...path.slice(0, tabs.length), id];
    names.set(path.join("/"), name.trim());
  }
  return { describe: (ids) => describe(names, ids) };
}

function describe(names: ReadonlyMap<string, string>, ids: Labels): Labels {
  const plain = (label: string): string => (ids[label] ?? "").replace(/^0x/, "").toLowerCase();
  const [vendor, device] = [plain("vendor_id"), plain("device_id")];
  const [subsystemVendor, subsystem] = [plain("subsystem_vendor_id"), plain("subsystem_device_id")];
  const code = plain("class_id");
  const [base, subclass, interface_] = [`C ${code.slice(0, 2)}`, code.slice(2, 4), code.slice(4, 6)];
  return {
    vendor_name: names.get(vendor) ?? vendor,
    device_name: names.get(`${vendor}/${device}`) ?? device,
    subsystem_vendor_name: names.get(subsystemVendor) ?? subsystemVendor,
    subsystem_device_name: names.get(`${vendor}/${device}/${subsystemVendor} ${subsystem}`) ?? subsystem,
    class_name:
      names.get(`${base}/${subclass}/${interface_}`) ??
      names.get(`${base}/${subclass}`) ??
      names.get(base) ??
      `Unknown class (${code})`,
  };
}
