import packageJson from "../package.json" with { type: "json" };

// Replaced by `bun build --define AAMI_REVISION='"…"' --define AAMI_BUILD_DATE='"…"'`; absent when run from sources.
declare const AAMI_REVISION: string | undefined;
declare const AAMI_BRANCH: string | undefined;
declare const AAMI_BUILD_DATE: string | undefined;

const notRecorded = "unknown";

/** What was built, from what and when. A part that the build did not record says "unknown". */
export const buildInfo = {
  version: packageJson.version,
  revision: typeof AAMI_REVISION === "string" ? AAMI_REVISION : notRecorded,
  branch: typeof AAMI_BRANCH === "string" ? AAMI_BRANCH : notRecorded,
  buildDate: typeof AAMI_BUILD_DATE === "string" ? AAMI_BUILD_DATE : notRecorded,
  runtime: `bun ${Bun.version}`,
  platform: `${process.platform}/${goArchitecture(process.arch)}`,
} as const;

/** The node_exporter release whose names, flags and HTTP surface the daemon follows. */
export const compatibleNodeExporter = "1.12.1";

/** The layout of every Prometheus exporter's --version, which deployment tools parse. */
export function versionText(): string {
  const { version, branch, revision, buildDate, runtime, platform } = buildInfo;
  return [
    `aami, version ${version} (branch: ${branch}, revision: ${revision})`,
    `  build date:       ${buildDate}`,
    `  runtime:          ${runtime}`,
    `  platform:         ${platform}`,
    `  compatible with:  node_exporter ${compatibleNodeExporter}`,
  ].join("\n");
}

/** Dashboards and rules compare goarch/platform in Go's spelling. */
export function goArchitecture(architecture: string): string {
  return architecture === "x64" ? "amd64" : architecture;
}
