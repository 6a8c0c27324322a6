import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseMountInfo } from "../../collectors/mounts/table.ts";
import { isErrno } from "../../collectors/read.ts";
import { hasExtendedAttribute } from "./libc.ts";
import { readStartTime } from "./processes.ts";

/** One run's own control group: everything the run starts stays in it, however it forks. */
export interface CgroupLeaf {
  readonly path: string;
  kill(): void;
  isEmpty(): boolean;
  /** Whether the kernel killed something in it for memory. */
  oomKilled(): boolean;
  remove(): void;
}

export interface CgroupTree {
  readonly limits: { readonly memory: boolean; readonly pids: boolean };
  createLeaf(check: string, limits: { readonly memoryBytes: number; readonly pids: number }): CgroupLeaf;
  /** Leaves of an earlier process that could not be emptied, by check. */
  leftovers(): ReadonlyMap<string, CgroupLeaf>;
}

export type CgroupState = { readonly tree: CgroupTree } | { readonly reason: string };

/** For all checks of a node together, above what one may have. */
const totalMemoryBytes = 1024 ** 3;
const totalPids = 400;

/**
 * The daemon's own part of the cgroup v2 tree, if it was given one (`Delegate=yes`). The daemon moves into `daemon/`,
 * because a group with processes cannot hand controllers to its children, and the checks live in `checks/`.
 */
export function openCgroupTree(limits: { readonly memoryBytes: number }): CgroupState {
  const own = findOwnGroup();
  if ("reason" in own) return own;
  try {
    return { tree: createTree(own.base, limits.memoryBytes) };
  } catch (error) {
    if (!isErrno(error, "EROFS", "EACCES", "EPERM", "EBUSY", "ENOENT", "EOPNOTSUPP")) throw error;
    return { reason: `cannot use ${own.base}: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function findOwnGroup(): { base: string } | { reason: string } {
  const mount = parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8")).find(({ fstype }) => fstype === "cgroup2");
  const path = /^0::(\/.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1];
  if (mount === undefined || path === undefined) return { reason: "no cgroup v2 here" };
  const group = join(mount.mountPoint, path);
  // Where no systemd manages the tree, its root is nobody's, and a group below it is ours to make.
  if (path === "/") {
    return existsSync("/run/systemd/system") ? { reason: "not started as a unit" } : { base: join(group, "aami") };
  }
  const base = group.endsWith("/daemon") ? dirname(group) : group;
  const delegated = ["trusted.delegate", "user.delegate"].some((name) => hasExtendedAttribute(base, name));
  return delegated ? { base } : { reason: `${base} is not delegated (Delegate=yes in the unit)` };
}

function createTree(base: string, memoryBytes: number): CgroupTree {
  const checks = join(base, "checks");
  mkdirSync(checks, { recursive: true });
  leaveGroup(base);
  const enabled = enableControllers(base) && enableControllers(checks);
  const controllers = enabled ? readFileSync(join(checks, "cgroup.subtree_control"), "utf8").split(/\s/) : [];
  const limits = { memory: controllers.includes("memory"), pids: controllers.includes("pids") };
  const cpu = controllers.includes("cpu");
  if (limits.memory) set(checks, "memory.max", Math.max(totalMemoryBytes, memoryBytes));
  if (limits.pids) set(checks, "pids.max", totalPids);
  const owner = `${process.pid}-${readStartTime(process.pid)}`;
  const leftovers = sweep(checks);
  return {
    limits,
    leftovers: () => leftovers,
    createLeaf: (check, { memoryBytes, pids }) => {
      const path = join(checks, `run.${check}.${owner}.${Bun.nanoseconds()}`);
      mkdirSync(path);
      if (limits.memory) {
        set(path, "memory.max", memoryBytes);
        set(path, "memory.oom.group", 1);
        // Without swap accounting there is no such file.
        if (existsSync(join(path, "memory.swap.max"))) set(path, "memory.swap.max", 0);
      }
      if (limits.pids) set(path, "pids.max", pids);
      if (cpu) set(path, "cpu.max", "100000 100000");
      return openLeaf(path);
    },
  };
}

function leaveGroup(base: string): void {
  const procs = join(base, "cgroup.procs");
  const pids = readFileSync(procs, "utf8").trim();
  if (pids === "") return;
  mkdirSync(join(base, "daemon"), { recursive: true });
  for (const pid of pids.split("\n")) {
    try {
      writeFileSync(join(base, "daemon/cgroup.procs"), pid);
    } catch (error) {
      if (!isErrno(error, "ESRCH")) throw error; // it has ended meanwhile
    }
  }
}

/** False where the controllers are not handed down to us (an empty v2 tree beside v1). */
function enableControllers(group: string): boolean {
  const available = readFileSync(join(group, "cgroup.controllers"), "utf8").trim().split(" ");
  const wanted = ["memory", "pids", "cpu"].filter((name) => available.includes(name));
  if (wanted.length > 0) set(group, "cgroup.subtree_control", wanted.map((name) => `+${name}`).join(" "));
  return wanted.length > 0;
}

/** What an earlier process left: killed, removed, and kept by check where a process survives that. */
function sweep(checks: string): ReadonlyMap<string, CgroupLeaf> {
  const remaining = new Map<string, CgroupLeaf>();
  for (const entry of readdirSync(checks, { withFileTypes: true })) {
    const [, check, pid, start] = /^run\.([a-z0-9_-]+)\.([0-9]+)-([0-9]+)\.[0-9]+$/.exec(entry.name) ?? [];
    if (!entry.isDirectory() || check === undefined) continue;
    // `aami check run` beside a daemon has leaves of its own in the same tree.
    if (String(readStartTime(Number(pid))) === start) continue;
    const leaf = openLeaf(join(checks, entry.name));
    leaf.kill();
    if (leaf.isEmpty()) leaf.remove();
    else remaining.set(check, leaf);
  }
  return remaining;
}

function openLeaf(path: string): CgroupLeaf {
  const processes = () => readFileSync(join(path, "cgroup.procs"), "utf8").split("\n").filter(Boolean);
  return {
    path,
    kill: () => {
      if (existsSync(join(path, "cgroup.kill"))) set(path, "cgroup.kill", 1);
      else for (const pid of processes()) killProcess(Number(pid)); // before Linux 5.14
    },
    isEmpty: () => /^populated 0$/m.test(readFileSync(join(path, "cgroup.events"), "utf8")),
    oomKilled: () => {
      const events = join(path, "memory.events");
      return existsSync(events) && /^oom_kill [1-9]/m.test(readFileSync(events, "utf8"));
    },
    remove: () => {
      try {
        rmdirSync(path);
      } catch (error) {
        // The kernel still counts a process that is being reaped; the next start sweeps the empty folder away.
        if (!isErrno(error, "EBUSY", "ENOENT")) throw error;
      }
    },
  };
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!isErrno(error, "ESRCH")) throw error;
  }
}

function set(group: string, file: string, value: string | number): void {
  writeFileSync(join(group, file), String(value));
}
