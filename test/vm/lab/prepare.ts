import { join } from "node:path";
import { aptOptions, ensurePackageLists, findSystemProgram, isRoot } from "../../../scripts/system-packages.ts";
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

/** Installs what the host lacks, as root on Debian; elsewhere says what to install. */
export async function ensureVmPrograms(): Promise<void> {
  const missing = Object.entries(programs).filter(([program]) => findSystemProgram(program) === undefined);
  const packages = missing.map(([, debianPackage]) => debianPackage);
  if (packages.length === 0) return;
  if (!isRoot() || findSystemProgram("apt-get") === undefined) {
    throw new ScriptError(`the VM tests need ${packages.join(" ")}; install them, or run this as root on Debian`);
  }
  say(`installing system packages: ${packages.join(" ")}`);
  await ensurePackageLists();
  const install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", ...aptOptions, ...packages];
  await runQuietly(install, { log: "apt-install-vm.log", env: { DEBIAN_FRONTEND: "noninteractive" } });
}

/** The folder of the guest's image, built on first use. */
export async function ensureImage(): Promise<string> {
  const child = Bun.spawn([join(projectRoot, "test/vm/lab/build-image.sh")], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const folder = (await child.stdout.text()).trim();
  if ((await child.exited) !== 0 || folder === "") throw new ScriptError("the image of the VM could not be built");
  return folder;
}
