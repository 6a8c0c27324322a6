import type { GrantedPermissions } from "../permissions.ts";
import type { View } from "./view.ts";

export interface CheckUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export interface SandboxPrograms {
  readonly bwrap: string;
  readonly setpriv: string;
  readonly prlimit: string;
}

/** Descriptor numbers in the sandbox's first process; 0 to 2 are the script's own. */
export const childFd = { seccomp: 3, options: 4, script: 5, config: 6, mountinfo: 7, status: 8, plan: 9 } as const;

const checkDirectory = "/run/check";
const temporaryDirectory = `${checkDirectory}/tmp`;
const temporaryBytes = 32 * 1024 ** 2;
const sharedMemoryBytes = 16 * 1024 ** 2;
const fileBytes = 64 * 1024 ** 2;
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The interpreter is the one the policy names; a shebang is a comment. */
const interpreters: Readonly<Record<string, readonly string[]>> = {
  bash: ["/bin/bash", "--noprofile", "--norc"],
  python: ["/usr/bin/python3", "-I", "-B"],
};

export interface OptionFacts {
  readonly check: string;
  readonly configJson: string;
  readonly view: View;
  readonly devices: readonly string[];
}

/**
 * Bubblewrap's options, given to it through a descriptor: no quoting exists there and `ps` shows none of it. There is
 * no user namespace on purpose: with one, bubblewrap started by root maps ids instead of changing them, and the script
 * would be root on the host.
 */
export function sandboxOptions({ check, configJson, view, devices }: OptionFacts): string[] {
  return [
    ...["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"],
    ...["--hostname", "check", "--die-with-parent", "--new-session", "--clearenv"],
    ...view.rootOptions,
    ...["--proc", "/proc", "--dev", "/dev"],
    ...["--perms", "1777", "--size", String(sharedMemoryBytes), "--tmpfs", "/dev/shm"],
    ...devices.flatMap((path) => ["--dev-bind-try", path, path]),
    // Sockets of the host live in /run. Parents are named, as bubblewrap would make them 0700.
    ...["--perms", "0755", "--size", String(temporaryBytes), "--tmpfs", "/run"],
    ...["--perms", "0755", "--dir", checkDirectory, "--perms", "1777", "--dir", temporaryDirectory],
    ...view.maskOptions,
    ...readOnlyFile(childFd.script, `${checkDirectory}/script`),
    ...readOnlyFile(childFd.config, `${checkDirectory}/config.json`),
    ...readOnlyFile(childFd.mountinfo, `${checkDirectory}/host-mountinfo`),
    ...environment(check, configJson),
    ...["--chdir", temporaryDirectory, "--cap-drop", "ALL"],
    ...["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"].flatMap((capability) => ["--cap-add", capability]),
    ...["--seccomp", String(childFd.seccomp), "--json-status-fd", String(childFd.status)],
  ];
}

function readOnlyFile(fd: number, path: string): string[] {
  return ["--perms", "0444", "--ro-bind-data", String(fd), path];
}

function environment(check: string, configJson: string): string[] {
  const variables = {
    PATH: searchPath,
    HOME: temporaryDirectory,
    TMPDIR: temporaryDirectory,
    LANG: "C.UTF-8",
    CHECK_NAME: check,
    CONFIG: configJson,
    CHECK_CONFIG: `${checkDirectory}/config.json`,
    CHECK_HOST_MOUNTINFO: `${checkDirectory}/host-mountinfo`,
  };
  return Object.entries(variables).flatMap(([name, value]) => ["--setenv", name, value]);
}

export interface ArgvFacts {
  readonly programs: SandboxPrograms;
  readonly user: CheckUser;
  readonly language: string;
  readonly timeoutSeconds: number;
  readonly granted: GrantedPermissions;
  /** What the run's cgroup limits; the rest is left to rlimits. */
  readonly limitedByCgroup: { readonly memory: boolean; readonly pids: boolean };
  /** How many checks may run at once: without cgroups they share one count of processes. */
  readonly concurrency: number;
}

export function sandboxArgv(facts: ArgvFacts): string[] {
  const { programs, user, language } = facts;
  const interpreter = interpreters[language];
  if (interpreter === undefined) throw new Error(`no interpreter for ${language}`);
  return [
    ...[programs.prlimit, ...resourceLimits(facts), "--"],
    ...[programs.bwrap, "--args", String(childFd.options), "--"],
    ...[programs.setpriv, `--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups", "--inh-caps=-all"],
    ...["--bounding-set=-all", "--no-new-privs", "--"],
    ...[...interpreter, `${checkDirectory}/script`],
  ];
}

function resourceLimits({ timeoutSeconds, granted, limitedByCgroup, concurrency }: ArgvFacts): string[] {
  const cpuSeconds = Math.ceil(timeoutSeconds) + 2;
  const limits = ["core=0", "nofile=256", `fsize=${fileBytes}`, `cpu=${cpuSeconds}`, "memlock=0", "msgqueue=0"];
  if (!limitedByCgroup.memory) {
    // Private memory is what a hog takes; the address space is larger even in honest programs (libraries, stacks).
    limits.push(`data=${granted.memoryBytes}`, `as=${4 * granted.memoryBytes + 512 * 1024 ** 2}`);
  }
  // The kernel counts the processes of the user, so the limit has to leave room for the other checks.
  if (!limitedByCgroup.pids) limits.push(`nproc=${granted.pids + 16 * (concurrency - 1)}`);
  return limits.map((limit) => `--${limit}`);
}
