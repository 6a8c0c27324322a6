import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { runQuietly, say, ScriptError } from "./terminal.ts";

interface SystemProgram {
  readonly program: string;
  readonly debianPackage: string;
  /** What does not work without it. */
  readonly cost: string;
}

/** Programs that the node daemon starts; the sandbox shows checks /usr only, so other folders of PATH do not count. */
const programs: readonly SystemProgram[] = [
  { program: "bwrap", debianPackage: "bubblewrap", cost: "no check script runs" },
  { program: "setpriv", debianPackage: "util-linux", cost: "no check script runs" },
  { program: "prlimit", debianPackage: "util-linux", cost: "no check script runs" },
  { program: "bash", debianPackage: "bash", cost: "no bash check runs" },
  { program: "python3", debianPackage: "python3", cost: "no python check runs" },
  { program: "smartctl", debianPackage: "smartmontools", cost: "no SMART readings" },
];
const folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];

/** The user that checks run as inside the sandbox. */
export const checkUser = "aami-check";

export function findSystemProgram(program: string): string | undefined {
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

/**
 * As root on Debian and its kin installs what is missing and creates the check user; elsewhere says in one line what
 * is missing and what it costs. Returns what is still missing.
 */
export async function ensureSystemPackages(): Promise<string[]> {
  const missing = programs.filter(({ program }) => findSystemProgram(program) === undefined);
  const canInstall = isRoot() && findSystemProgram("apt-get") !== undefined;
  if (missing.length > 0 && canInstall) await aptInstall([...new Set(missing.map((entry) => entry.debianPackage))]);
  if (isRoot() && !(await hasCheckUser())) await createCheckUser();
  return reportMissing();
}

async function reportMissing(): Promise<string[]> {
  const gaps = programs
    .filter(({ program }) => findSystemProgram(program) === undefined)
    .map(({ program, debianPackage, cost }) => `${program} (package ${debianPackage}): ${cost}`);
  if (!isRoot()) gaps.push("root's rights (sudo): no check script runs, SMART and the kernel log are not read");
  else if (!(await hasCheckUser())) gaps.push(`system user ${checkUser}: no check script runs`);
  if (gaps.length > 0) say(`missing here: ${gaps.join("; ")}`);
  return gaps;
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

async function hasCheckUser(): Promise<boolean> {
  // /etc/passwd alone would miss users from LDAP and the like.
  const getent = Bun.spawn(["getent", "passwd", checkUser], { stdout: "ignore", stderr: "ignore" });
  return (await getent.exited) === 0;
}

async function createCheckUser(): Promise<void> {
  const useradd = findSystemProgram("useradd");
  if (useradd === undefined) return; // busybox systems: reported as missing
  say(`creating the system user ${checkUser}, which checks run as`);
  const shell = findSystemProgram("nologin") ?? "/bin/false";
  await runQuietly(
    [useradd, "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", shell, checkUser],
    { log: "useradd.log" },
  );
}

async function aptInstall(packages: readonly string[]): Promise<void> {
  say(`installing system packages: ${packages.join(" ")}`);
  const install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", ...aptOptions, ...packages];
  const options = { log: "apt-install.log", env: { DEBIAN_FRONTEND: "noninteractive" } };
  try {
    await ensurePackageLists();
    await runQuietly(install, options).catch(async () => {
      // Lists older than the mirror name files that are gone from it.
      await aptUpdate();
      await runQuietly(install, options);
    });
  } catch (error) {
    if (!(error instanceof ScriptError)) throw error;
    say(`could not install ${packages.join(" ")}, going on without: ${error.message}`);
  }
}

/** Someone else's apt run is waited for; `_apt` may be unable to write where we download to. */
export const aptOptions: readonly string[] = ["-o", "DPkg::Lock::Timeout=60", "-o", "APT::Sandbox::User=root"];

/** A fresh container image has no package lists at all. */
export async function ensurePackageLists(): Promise<void> {
  const lists = "/var/lib/apt/lists";
  const present = existsSync(lists) && readdirSync(lists).some((name) => /_Packages/.test(name));
  if (!present) await aptUpdate();
}

export async function aptUpdate(): Promise<void> {
  if (!isRoot()) throw new ScriptError("the package lists are missing or old; run `apt-get update` as root");
  await runQuietly(["apt-get", "update", "-q", ...aptOptions], { log: "apt-update.log" });
}
