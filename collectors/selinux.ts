import { existsSync } from "node:fs";
import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import type { Host } from "./host.ts";
import { readAttribute, readNumber } from "./read.ts";

/** SELinux as the kernel runs it and as its configuration wants it; modes are 1 enforcing, 0 permissive, -1 disabled. */
export const selinux = defineCollector({
  name: "selinux",
  description: "Whether SELinux is enabled, and its configured and current mode.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => {
      const out = createFamilySet();
      const enabled = isEnabled(host);
      out.gauge("node_selinux_enabled", "SELinux is enabled, 1 is true, 0 is false", enabled ? 1 : 0);
      if (!enabled) return out.list();
      const config = readAttribute(host, `${host.rootPath.replace(/\/$/, "")}/etc/selinux/config`) ?? "";
      const current = readNumber(host, `${host.sysPath}/fs/selinux/enforce`) ?? -1;
      out.gauge("node_selinux_config_mode", "Configured SELinux enforcement mode", parseConfiguredMode(config));
      out.gauge("node_selinux_current_mode", "Current SELinux enforcement mode", current);
      return out.list();
    },
  }),
});

// selinuxfs is mounted, and a policy is loaded: before that every process is labelled "kernel".
function isEnabled(host: Host): boolean {
  if (!existsSync(`${host.sysPath}/fs/selinux/enforce`)) return false;
  const label = readAttribute(host, `${host.procPath}/self/attr/current`) ?? "";
  return label.replace(/[\0\s]+$/, "") !== "kernel";
}

const modes = new Map([
  ["enforcing", 1],
  ["permissive", 0],
]);

export function parseConfiguredMode(text: string): number {
  const mode = /^[ \t]*SELINUX=[ \t]*(\S*)/m.exec(text)?.[1];
  return modes.get(mode ?? "") ?? -1;
}
