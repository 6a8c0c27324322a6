import { hostname } from "node:os";
import { join } from "node:path";
import { selfCommand } from "../runtime/self.ts";
import { type BackgroundContext, defineBackgroundCollector, type MetricFamily } from "./collector.ts";
import { createDeviceComparison, readExpected } from "./mounts/expected.ts";
import { toFilesystemFamilies } from "./mounts/families.ts";
import { findKernelTrouble } from "./mounts/kernel-trouble.ts";
import { createMountFilter } from "./mounts/filter.ts";
import { FilesystemOptions } from "./mounts/options.ts";
import { toMountFamilies } from "./mounts/own-families.ts";
import { createPoolClient } from "./mounts/pool-client.ts";
import { waitForFirstRound } from "./mounts/first-round.ts";
import { createMountProber, type MountProber, type ProberSettings } from "./mounts/prober.ts";
import type { MountsStatus } from "./mounts/status.ts";
import { readTextIfPresent } from "./read.ts";
import { readMountTable, stripRoot } from "./mounts/table.ts";

/**
 * Mounts: node_exporter's node_filesystem_*, and what it cannot say (which step hangs, expected mounts, writes). All
 * values come from probes in the background, so a page neither asks a mount nor waits for one.
 */
export const filesystem = defineBackgroundCollector({
  name: "filesystem",
  description: "Filesystem space and the health of every mount.",
  enabledByDefault: true,
  options: FilesystemOptions,
  create: (options) => {
    const isWatched = createMountFilter(options);
    let running: RunningProber | undefined;
    let isFirstPage = true;
    const toFamilies = createMountsFamilies();
    return {
      start: (context) => {
        running = startProber(options, isWatched, context);
        isFirstPage = true;
      },
      stop: async () => {
        running?.stop();
        running = undefined;
      },
      collect: async (_host, signal) => {
        if (running === undefined) throw new Error("the mounts are not watched yet");
        const { prober, tableError } = running;
        if (isFirstPage) await waitForFirstRound(prober, signal);
        isFirstPage = false;
        if (tableError() !== undefined) throw new Error("cannot read the mount table", { cause: tableError() });
        return toFamilies(prober.status());
      },
    };
  },
});

/** The same array as before while nothing has changed: pages may come more often than probes. */
function createMountsFamilies(): (status: MountsStatus) => MetricFamily[] {
  let known = "";
  let families: MetricFamily[] = [];
  return (status) => {
    const facts = JSON.stringify([status, ...status.changes]);
    if (facts !== known) families = [...toFilesystemFamilies(status.mounts), ...toMountFamilies(status)];
    known = facts;
    return families;
  };
}

interface RunningProber {
  readonly prober: MountProber;
  /** Why the last look at the mount table failed, if it did. */
  tableError(): unknown;
  stop(): void;
}

function startProber(
  options: FilesystemOptions,
  isWatched: ProberSettings["isWatched"],
  { host, log, events }: BackgroundContext,
): RunningProber {
  const bootId = readTextIfPresent(`${host.procPath}/sys/kernel/random/boot_id`)?.trim();
  const probes = createPoolClient({
    command: selfCommand("probe", "mount"),
    maxStuckProbes: options.max_stuck_probes,
    log,
  });
  const prober = createMountProber({
    settings: toSettings(options, isWatched, host.sysPath, join(host.rootPath, "etc/fstab")),
    probes,
    readTable: () => readMountTable(host),
    toHostPath: (mountPoint) => stripRoot(host.rootPath, mountPoint),
    toLocalPath: (hostPath) => join(host.rootPath, hostPath),
    kernelTrouble: (mount) => findKernelTrouble(mount, { events, sysPath: host.sysPath, bootId }),
    isSameDevice: createDeviceComparison(host.rootPath),
    log,
    now: () => ({ monotonicMs: performance.now(), epochMs: Date.now() }),
    random: Math.random,
  });
  let tableError: unknown;
  const refresh = (): void => {
    try {
      prober.refresh();
      tableError = undefined;
    } catch (error) {
      // Told to the scrape, which reports it; said here once, as this runs every few seconds.
      if (tableError === undefined) log.error("mount table cannot be read", { error });
      tableError = error;
    }
  };
  refresh();
  const refreshing = setInterval(refresh, options.table_interval_seconds * 1000);
  const ticking = setInterval(prober.tick, Math.min(1000, options.probe_interval_seconds * 500));
  return {
    prober,
    tableError: () => tableError,
    stop: () => {
      clearInterval(refreshing);
      clearInterval(ticking);
      probes.close();
    },
  };
}

function toSettings(
  options: FilesystemOptions,
  isWatched: ProberSettings["isWatched"],
  sysPath: string,
  fstabPath: string,
): ProberSettings {
  const policy = options.expected.map(({ mount_point, fs_types, source, read_only, level }) => ({
    mountPoint: mount_point,
    level,
    ...(fs_types === undefined ? {} : { fstypes: fs_types }),
    ...(source === undefined ? {} : { source }),
    ...(read_only === undefined ? {} : { readOnly: read_only }),
  }));
  const { mount_points, interval_seconds, timeout_seconds, directory, node_name, uid } = options.write_tests;
  return {
    sysPath,
    probeIntervalSeconds: options.probe_interval_seconds,
    deadlineSeconds: options.mount_timeout_seconds,
    maxStuckProbes: options.max_stuck_probes,
    isWatched,
    expected: readExpected(policy, options.expect_fstab ? fstabPath : undefined),
    writeTests: {
      mountPoints: mount_points,
      intervalSeconds: interval_seconds,
      deadlineSeconds: timeout_seconds,
      directory,
      nodeName: node_name === "" ? hostname() : node_name,
      ...(uid === undefined ? {} : { uid }),
    },
  };
}
