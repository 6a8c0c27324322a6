import type { CommandDef } from "citty";
import { writeSync } from "node:fs";
import { resolve } from "node:path";
import { ExitCode, ExitError } from "../../runtime/exit.ts";
import { serveJobs } from "../probe/worker.ts";
import { probeMount } from "./probe.ts";
import { type Mount, readMountTable, topMounts } from "./table.ts";
import { mountHandlers } from "./worker.ts";

/** Without a path this is the worker that the daemon starts; with one it is for people who ask where a mount hangs. */
export const mountProbeCommand: CommandDef = {
  meta: {
    description: "Asks a mount (statfs, stat, readdir) and shows where it hangs or fails.",
  },
  args: {
    path: { type: "positional", required: false, description: "Where it is mounted; the daemon asks without one" },
  },
  run: async ({ args: { path } }) => {
    if (path !== undefined) return probeByHand(String(path));
    if (process.stdin.isTTY) throw new ExitError(ExitCode.usage, "which mount? aami probe mount PATH");
    await serveJobs(() => mountHandlers);
  },
};

function probeByHand(path: string): void {
  const table = new Map(
    topMounts(readMountTable({ procPath: "/proc", skipped: warn })).map((mount) => [mount.mountPoint, mount]),
  );
  if (!probeOne(resolve(path), table)) throw new ExitError(ExitCode.failure, `not in order: ${path}`);
}

function warn(what: string, error: unknown): void {
  writeSync(2, `${what} is left out: ${String(error)}\n`);
}

// Steps go to stderr before they begin, so that the last line names the one that hangs; results to stdout for scripts.
function probeOne(path: string, table: ReadonlyMap<string, Mount>): boolean {
  const mount = table.get(path);
  const refusal =
    mount === undefined ? "nothing is mounted there" : mount.fstype === "autofs" ? "automount" : undefined;
  if (mount === undefined || refusal !== undefined) {
    writeResult({ mountpoint: path, success: false, error: refusal });
    return false;
  }
  const { id, device, fstype, source } = mount;
  const { durationSeconds, space, failure, ext4Errors } = probeMount(
    { id, path, device, fstype, sysPath: "/sys" },
    (step) => void writeSync(2, `${path}: ${step}\n`),
  );
  writeResult({
    mountpoint: path,
    device: source,
    fstype,
    success: failure === undefined,
    duration_seconds: durationSeconds,
    step: failure?.step,
    error: failure?.errno,
    size_bytes: space?.sizeBytes,
    avail_bytes: space?.availBytes,
    files: space?.files,
    files_free: space?.filesFree,
    filesystem_errors: ext4Errors,
  });
  return failure === undefined;
}

function writeResult(result: Readonly<Record<string, unknown>>): void {
  writeSync(1, `${JSON.stringify(result)}\n`);
}
