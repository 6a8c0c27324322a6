import { freemem } from "node:os";
import { statfsSync } from "node:fs";
import { join } from "node:path";
import {
  aptOptions,
  aptUpdate,
  ensurePackageLists,
  findSystemProgram,
  isRoot,
} from "../../../scripts/system-packages.ts";
import { projectRoot, runQuietly, say, ScriptError } from "../../../scripts/terminal.ts";

/** Debian package by program, for building the image and for running it. */
const programs: Readonly<Record<string, string>> = {
  "qemu-system-x86_64": "qemu-system-x86",
  mmdebstrap: "mmdebstrap",
  "arch-test": "arch-test",
  mke2fs: "e2fsprogs",
  xz: "xz-utils",
  zstd: "zstd",
  file: "file",
  python3: "python3",
};

const gigabyte = 1e9;
/** The machine's memory and what QEMU keeps of translated code; the image while it is built. */
const needed = { memoryBytes: 3 * gigabyte, diskBytes: 5 * gigabyte };
/** sysexits.h, EX_UNAVAILABLE. */
export const unavailable = 69;

/** This host cannot have the machine, whatever the state of the project: nothing was tested, nothing failed. */
export class UnavailableError extends ScriptError {}

/** Installs what the host lacks, as root on Debian, and makes sure that there is room. */
export async function ensureHost(): Promise<void> {
  if (process.arch !== "x64") throw new UnavailableError(`the machine is an x86-64 one, this host is ${process.arch}`);
  requireRoom("memory", freemem(), needed.memoryBytes);
  const { bavail, bsize } = statfsSync(projectRoot);
  requireRoom(`disk space in ${projectRoot}`, bavail * bsize, needed.diskBytes);
  const missing = Object.entries(programs).filter(([program]) => findSystemProgram(program) === undefined);
  const packages = missing.map(([, debianPackage]) => debianPackage);
  if (packages.length === 0) return;
  if (!isRoot() || findSystemProgram("apt-get") === undefined) {
    throw new UnavailableError(`${packages.join(" ")} must be installed, or this be run as root on Debian`);
  }
  await installPackages(packages);
}

function requireRoom(what: string, available: number, wanted: number): void {
  if (available >= wanted) return;
  const inGigabytes = (bytes: number): string => `${(bytes / gigabyte).toFixed(1)} GB`;
  throw new UnavailableError(`${inGigabytes(wanted)} of ${what} are needed, ${inGigabytes(available)} are free`);
}

async function installPackages(packages: readonly string[]): Promise<void> {
  say(`installing system packages: ${packages.join(" ")}`);
  const install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", ...aptOptions, ...packages];
  const options = { log: "apt-install-vm.log", env: { DEBIAN_FRONTEND: "noninteractive" } };
  try {
    await ensurePackageLists();
    await runQuietly(install, options).catch(async () => {
      // Lists older than the mirror name files that are gone from it.
      await aptUpdate();
      await runQuietly(install, options);
    });
  } catch (error) {
    if (!(error instanceof ScriptError)) throw error;
    throw new UnavailableError(`${packages.join(" ")} cannot be installed: ${error.message}`);
  }
}

/** The folder of the guest's image, built on first use. */
export async function ensureImage(): Promise<string> {
  const child = Bun.spawn([join(projectRoot, "test/vm/lab/build-image.sh")], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const folder = (await child.stdout.text()).trim();
  const exitCode = await child.exited;
  if (exitCode === unavailable) throw new UnavailableError("the Debian mirror does not answer");
  if (exitCode !== 0 || folder === "") throw new ScriptError("the image of the machine could not be built");
  return folder;
}
