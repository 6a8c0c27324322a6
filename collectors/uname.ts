import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { readSystemName, type SystemName } from "./libc.ts";

/** uname(2) of the machine that the collector process runs on. */
export const uname = defineCollector({
  name: "uname",
  description: "Kernel name, release and version, machine, node name and domain name by uname(2).",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async () => toFamilies(readSystemName()),
  }),
});

function toFamilies(name: SystemName) {
  const out = createFamilySet();
  const help = "Labeled system information as provided by the uname system call.";
  out.gauge("node_uname_info", help, 1, { ...name });
  return out.list();
}
