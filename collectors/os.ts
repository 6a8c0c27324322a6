import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily, NoDataError } from "./collector.ts";
import { createFamilySet } from "./families.ts";
import { parseNumber } from "./fields.ts";
import type { Host } from "./host.ts";
import { readTextIfPresent } from "./read.ts";

/** The distribution, see os-release(5). */
export const os = defineCollector({
  name: "os",
  description: "Name and version of the operating system from os-release.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host) => {
      for (const path of ["etc/os-release", "usr/lib/os-release"]) {
        const text = readTextIfPresent(`${host.rootPath.replace(/\/$/, "")}/${path}`);
        if (text !== undefined) return toFamilies(parseOsRelease(text, host), host);
      }
      throw new NoDataError("no os-release file");
    },
  }),
});

const labelNames = [
  ...["build_id", "id", "id_like", "image_id", "image_version", "name", "pretty_name"],
  ...["variant", "variant_id", "version", "version_codename", "version_id"],
];

function toFamilies(release: ReadonlyMap<string, string>, host: Pick<Host, "skipped">): MetricFamily[] {
  const out = createFamilySet();
  const pick = (names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [name, release.get(name.toUpperCase()) ?? ""]));
  const help = `A metric with a constant '1' value labeled by ${labelNames.join(", ")}.`;
  out.gauge("node_os_info", help, 1, pick(labelNames));

  const version = Number(/^[0-9]+\.?[0-9]*/.exec(release.get("VERSION_ID") ?? "")?.[0] ?? 0);
  if (version > 0) {
    const versionHelp = "Metric containing the major.minor part of the OS version.";
    out.gauge("node_os_version", versionHelp, version, pick(["id", "id_like", "name"]));
  }
  const supportEnd = release.get("SUPPORT_END") ?? "";
  if (supportEnd !== "") {
    try {
      const seconds = parseNumber(String(Date.parse(`${supportEnd}T00:00:00Z`))) / 1000;
      const endHelp = "Metric containing the end-of-life date timestamp of the OS.";
      out.gauge("node_os_support_end_timestamp_seconds", endHelp, seconds);
    } catch (error) {
      host.skipped("SUPPORT_END in os-release", error);
    }
  }
  return out.list();
}

/** Shell-like assignments; quotes as in a shell, without expansion. A line that is none of this is left out. */
export function parseOsRelease(text: string, host: Pick<Host, "skipped">): Map<string, string> {
  const release = new Map<string, string>();
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const match = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line);
    if (match === null) host.skipped(`os-release line ${index + 1}`, new Error("not an assignment"));
    else release.set(match[1] ?? "", unquote(match[2] ?? ""));
  }
  return release;
}

function unquote(value: string): string {
  if (/^'[^']*'$/.test(value)) return value.slice(1, -1);
  const inner = /^"(.*)"$/.exec(value)?.[1];
  return inner === undefined ? value : inner.replace(/\\(["$`\\])/g, "$1");
}
