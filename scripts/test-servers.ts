import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { aptOptions, aptUpdate, ensurePackageLists, findSystemProgram } from "./system-packages.ts";
import { projectRoot, runQuietly, say, ScriptError } from "./terminal.ts";

/**
 * Programs that only tests and benchmarks run. They are unpacked from their Debian packages into .cache/debs and never
 * installed: nobody who runs the tests gets a service on the machine.
 */
const testPackages = {
  prometheus: "prometheus",
  promtool: "prometheus",
  nginx: "nginx",
  "prometheus-node-exporter": "prometheus-node-exporter",
  "libfaketime.so.1": "libfaketime",
  postgres: "postgresql",
  "mkfs.ext4": "e2fsprogs",
  "mkfs.xfs": "xfsprogs",
  xfs_io: "xfsprogs",
} as const;
export type TestProgram = keyof typeof testPackages;

const cache = join(projectRoot, ".cache/debs");
/** What the packages contain, as if this were the root folder. */
export const unpackedRoot = join(cache, "root");

/** The full path of a test program, unpacked or installed; undefined where there is neither. */
export function findTestProgram(program: TestProgram): string | undefined {
  const folders = ["usr/sbin", "usr/bin", "sbin", ...libraryFolders("faketime")];
  return (
    folders.map((folder) => join(unpackedRoot, folder, program)).find((path) => existsSync(path)) ??
    findVersioned(unpackedRoot, program) ??
    findInstalled(program)
  );
}

function findInstalled(program: TestProgram): string | undefined {
  return findSystemProgram(program) ?? findVersioned("/", program);
}

/** PostgreSQL keeps each major version in a folder of its own. */
function findVersioned(root: string, program: TestProgram): string | undefined {
  const base = join(root, "usr/lib/postgresql");
  if (!existsSync(base)) return undefined;
  const paths = readdirSync(base).map((version) => join(base, version, "bin", program));
  return paths.sort().findLast((path) => existsSync(path));
}

/** What an unpacked program needs in its environment to find its own libraries first. */
export function testProgramEnvironment(): Record<string, string> {
  const paths = libraryFolders().map((folder) => join(unpackedRoot, folder));
  return { LD_LIBRARY_PATH: paths.filter((path) => existsSync(path)).join(":") };
}

function libraryFolders(subfolder = ""): string[] {
  const triplet = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  return [`usr/lib/${triplet}`, `lib/${triplet}`].map((folder) => join(folder, subfolder));
}

/** Unpacks what is not there yet; returns the programs that stay missing, having said why in one line. */
export async function ensureTestServers(): Promise<TestProgram[]> {
  if (missingPrograms().length > 0) {
    try {
      await unpackPackages([...new Set(uninstalledPrograms().map((program) => testPackages[program]))]);
    } catch (error) {
      if (!(error instanceof ScriptError)) throw error;
      say(`could not unpack the servers that tests need: ${error.message}`);
    }
  }
  return missingPrograms();
}

function missingPrograms(): TestProgram[] {
  const names = Object.keys(testPackages) as TestProgram[];
  return names.filter((program) => findTestProgram(program) === undefined);
}

/** Unpacking starts afresh, so it is all of these or none. */
function uninstalledPrograms(): TestProgram[] {
  const names = Object.keys(testPackages) as TestProgram[];
  return names.filter((program) => findInstalled(program) === undefined);
}

async function unpackPackages(packages: readonly string[]): Promise<void> {
  if (findSystemProgram("apt-get") === undefined) throw new ScriptError("this is not a Debian or Ubuntu system");
  say(`unpacking ${packages.join(", ")} into .cache/debs (for tests only)`);
  const archives = join(cache, "archives");
  mkdirSync(join(archives, "partial"), { recursive: true });
  await ensurePackageLists();
  const files = await downloadWithLibraries(packages, archives).catch(async () => {
    await aptUpdate();
    return downloadWithLibraries(packages, archives);
  });
  const work = join(cache, `unpacking.${process.pid}`);
  for (const file of files) await runQuietly(["dpkg-deb", "-x", file, work], { log: "dpkg-deb.log" });
  // Moved into place whole: an interrupted run leaves nothing that looks complete.
  rmSync(unpackedRoot, { recursive: true, force: true });
  renameSync(work, unpackedRoot);
}

async function downloadWithLibraries(packages: readonly string[], archives: string): Promise<string[]> {
  const names = await resolvePackages(packages, archives);
  await runQuietly(["apt-get", "download", "-q", ...aptOptions, ...names], { log: "apt-download.log", cwd: archives });
  return readdirSync(archives)
    .filter((file) => file.endsWith(".deb") && names.some((name) => file.startsWith(`${name}_`)))
    .map((file) => join(archives, file));
}

/** The packages themselves and the shared libraries they need that this system lacks, as apt resolves them. */
async function resolvePackages(packages: readonly string[], archives: string): Promise<string[]> {
  const argv = ["apt-get", "install", "--print-uris", "-qq", "--no-install-recommends"];
  const options = ["-o", `Dir::Cache::archives=${archives}`, "-o", "Debug::NoLocking=1"];
  const apt = Bun.spawn([...argv, ...options, ...packages], { stdout: "pipe", stderr: "ignore" });
  const listed = (await apt.stdout.text()).split("\n").map((line) => line.split(" ")[1]?.split("_")[0] ?? "");
  if ((await apt.exited) !== 0) throw new ScriptError(`apt-get does not know ${packages.join(", ")}`);
  // LLVM is PostgreSQL's just-in-time compiler: large, and tests run without it.
  const libraries = listed.filter((name) => /^lib(?!js-|llvm)|^postgresql-\d+$/.test(name));
  return [...new Set([...packages, ...libraries])];
}
