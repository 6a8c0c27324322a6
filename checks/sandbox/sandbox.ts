import { readFileSync, readlinkSync } from "node:fs";
import { parseMountInfo } from "../../collectors/mounts/table.ts";
import { isErrno } from "../../collectors/read.ts";
import { describeError } from "../../runtime/log.ts";
import { type CheckDefinition, type CheckRun, noRun } from "../check.ts";
import type { GrantedPermissions } from "../permissions.ts";
import { type CgroupTree, openCgroupTree } from "./cgroup.ts";
import type { CheckUser, SandboxPrograms } from "./command.ts";
import type { RunProcesses } from "./processes.ts";
import { runInSandbox } from "./run.ts";
import { assembleSeccomp, seccompArchitecture } from "./seccomp.ts";
import { openSkeletonStore, type SkeletonStore } from "./skeleton.ts";
import { createView } from "./view.ts";

export interface SandboxOptions {
  readonly user: string;
  readonly concurrency: number;
  readonly cgroup: "auto" | "off";
  readonly memoryBytes: number;
  /** Hidden in the hostfs view; root directories of checks are built below it where it is on the root file system. */
  readonly stateDirectory?: string | undefined;
}

export interface SandboxParts {
  readonly programs: SandboxPrograms;
  readonly user: CheckUser;
  readonly seccomp: Uint8Array;
  readonly cgroups: CgroupTree | undefined;
  readonly skeletons: SkeletonStore;
  readonly concurrency: number;
}

/** What is used on this machine, for `aami doctor` and the status page. */
export interface SandboxFacts {
  readonly user: string;
  readonly cgroup: string;
  readonly kernelLimits: readonly string[];
}

export interface Sandbox {
  readonly facts: SandboxFacts;
  readonly user: CheckUser;
  /** Never rejects. Not started again while an earlier run of the same check is stuck in the kernel. */
  run(definition: CheckDefinition, granted: GrantedPermissions, signal: AbortSignal): Promise<CheckRun>;
}

/** A sandbox, or every reason why this machine cannot have one, each with its remedy. */
export type SandboxState = { readonly sandbox: Sandbox } | { readonly problems: readonly string[] };

export function openSandbox(options: SandboxOptions): SandboxState {
  const problems: string[] = [];
  const architecture = seccompArchitecture();
  if (architecture === undefined)
    problems.push(`no system call filter for ${process.arch}: checks need x86_64 or aarch64`);
  if (process.getuid?.() !== 0)
    problems.push("not root: run the daemon as root, it gives its rights up for every check");
  const programs = findPrograms(problems);
  const user = findUser(options.user);
  if (user === undefined)
    problems.push(
      `no user ${options.user}: useradd --system --no-create-home --shell /usr/sbin/nologin ${options.user}`,
    );
  if (user?.uid === 0) problems.push(`the user ${options.user} is root: checks need a user without rights`);
  if (architecture === undefined || user === undefined || programs === undefined || problems.length > 0) {
    return { problems };
  }
  const cgroupState =
    options.cgroup === "off"
      ? { reason: "switched off (checks.cgroup)" }
      : openCgroupTree({ memoryBytes: options.memoryBytes });
  const cgroups = "tree" in cgroupState ? cgroupState.tree : undefined;
  const places = [options.stateDirectory, "/usr/lib/aami", "/etc/aami"].filter((place) => place !== undefined);
  const parts: SandboxParts = {
    programs,
    user,
    seccomp: assembleSeccomp({ architecture, allowUnixSockets: false }),
    cgroups,
    skeletons: openSkeletonStore(
      places.map((place) => `${place}/sandbox-root`),
      parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8")),
    ),
    concurrency: options.concurrency,
  };
  const facts = {
    user: options.user,
    cgroup: "reason" in cgroupState ? cgroupState.reason : "v2",
    kernelLimits: Object.entries(cgroups?.limits ?? {}).flatMap(([name, on]) => (on ? [name] : [])),
  };
  return { sandbox: createSandbox(parts, facts, options.stateDirectory) };
}

function createSandbox(parts: SandboxParts, facts: SandboxFacts, stateDirectory: string | undefined): Sandbox {
  const remains = new Map<string, Pick<RunProcesses, "kill" | "isEmpty" | "close">>();
  for (const [check, leaf] of parts.cgroups?.leftovers() ?? []) remains.set(check, { ...leaf, close: leaf.remove });
  return {
    facts,
    user: parts.user,
    run: async (definition, granted, signal) => {
      const left = remains.get(definition.name);
      if (left !== undefined && !left.isEmpty()) return stuckRun();
      left?.close();
      remains.delete(definition.name);
      try {
        const mountinfo = readHostMountinfo();
        const view = createView(granted, {
          mounts: parseMountInfo(mountinfo),
          stateDirectory,
          buildRoot: (entries) => parts.skeletons.build(entries),
        });
        const devices = granted.devices.flatMap((pattern) => [...new Bun.Glob(pattern.slice(5)).scanSync(deviceScan)]);
        const request = {
          definition,
          granted,
          view,
          devices: devices.map((name) => `/dev/${name}`),
          mountinfo,
          signal,
        };
        const outcome = await runInSandbox(parts, request);
        if (outcome.remains !== undefined) remains.set(definition.name, outcome.remains);
        return outcome.run;
      } catch (error) {
        return noRun("sandbox_error", `the sandbox did not start: ${String(describeError(error))}`);
      }
    },
  };
}

const deviceScan = { cwd: "/dev", onlyFiles: false };

/** The host's mounts: the daemon's own table would lie if its unit gave it a mount namespace. */
function readHostMountinfo(): string {
  try {
    return readFileSync("/proc/1/mountinfo", "utf8");
  } catch (error) {
    if (!isErrno(error, "EACCES", "EPERM", "ENOENT")) throw error;
    return readFileSync("/proc/self/mountinfo", "utf8");
  }
}

/** Whether binds made by the daemon are binds of the host's mounts. */
export function sharesHostMounts(): boolean {
  try {
    return readlinkSync("/proc/1/ns/mnt") === readlinkSync("/proc/self/ns/mnt");
  } catch (error) {
    if (!isErrno(error, "EACCES", "EPERM", "ENOENT")) throw error;
    return true;
  }
}

function stuckRun(): CheckRun {
  const message = "not started: a process of an earlier run survives SIGKILL, waiting in the kernel";
  return { ...noRun("stuck", message), leftBehind: true };
}

function findPrograms(problems: string[]): SandboxPrograms | undefined {
  const packages = { bwrap: "bubblewrap", setpriv: "util-linux", prlimit: "util-linux" } as const;
  const found: Record<string, string> = {};
  for (const [program, name] of Object.entries(packages)) {
    const path = Bun.which(program, { PATH: "/usr/bin:/usr/sbin:/bin:/sbin:/usr/local/bin" });
    if (path === null) problems.push(`no ${program}: install ${name}`);
    else found[program] = path;
  }
  const { bwrap, setpriv, prlimit } = found;
  return bwrap === undefined || setpriv === undefined || prlimit === undefined
    ? undefined
    : { bwrap, setpriv, prlimit };
}

/** From the host's own file: a user that only a directory service knows may be gone when it is needed. */
function findUser(name: string): CheckUser | undefined {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(":") ?? [];
  return uid === undefined || gid === undefined ? undefined : { name, uid: Number(uid), gid: Number(gid) };
}
