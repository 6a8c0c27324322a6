import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily, NoDataError } from "./collector.ts";
import { createFamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { readAttribute, readTextIfPresent } from "./read.ts";

const configured = gauge("node_bonding_slaves", "Number of configured slaves per bonding interface.");
const active = gauge("node_bonding_active", "Number of active slaves per bonding interface.");

/** /sys/class/net/bonding_masters is there as soon as the bonding module is loaded. */
export const bonding = defineCollector({
  name: "bonding",
  description: "Configured and active members of bonding interfaces.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({ collect: async (host) => collectBonds(host) }),
});

function collectBonds(host: Host): MetricFamily[] {
  const families = createFamilySet();
  const masters = readTextIfPresent(`${host.sysPath}/class/net/bonding_masters`);
  if (masters === undefined) throw new NoDataError("the bonding module is not loaded");
  for (const master of splitWords(masters)) {
    const path = `${host.sysPath}/class/net/${master}`;
    const members = readAttribute(host, `${path}/bonding/slaves`);
    if (members === undefined) continue;
    const links = splitWords(members).map((member) => readLinkStatus(host, path, member));
    families.add(configured, { master }, links.length);
    // A count that leaves out what could not be read would look like a lost link.
    if (!links.includes(undefined)) families.add(active, { master }, links.filter((link) => link === "up").length);
  }
  return families.list();
}

/** Kernels before 3.17 call the link to a member slave_NAME instead of lower_NAME. */
function readLinkStatus(host: Host, path: string, member: string): string | undefined {
  const read = (prefix: string) => readAttribute(host, `${path}/${prefix}_${member}/bonding_slave/mii_status`)?.trim();
  return read("lower") ?? read("slave");
}

function splitWords(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
