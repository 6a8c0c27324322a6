import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { projectRoot, runQuietly, say } from "./terminal.ts";

export const binaryPath = join(projectRoot, "dist/aami");

/** Builds dist/aami unless the one there was made from exactly these sources; returns its path. */
export async function ensureBinary(): Promise<string> {
  const fingerprint = await fingerprintSources();
  const stamp = Bun.file(`${binaryPath}.sources`);
  if (existsSync(binaryPath) && (await stamp.exists()) && (await stamp.text()) === fingerprint) return binaryPath;
  say("building dist/aami");
  await buildBinary(binaryPath);
  await Bun.write(stamp, fingerprint);
  return binaryPath;
}

export async function buildBinary(outfile: string): Promise<void> {
  mkdirSync(join(outfile, ".."), { recursive: true });
  const unfinished = `${outfile}.${process.pid}`;
  const defines = Object.entries(await buildDefines()).flatMap(([name, value]) => [
    "--define",
    `${name}=${JSON.stringify(value)}`,
  ]);
  const options = ["--compile", "--minify", "--bytecode", "--format=esm", "--no-compile-autoload-dotenv"];
  // One file per command: a probe process neither reads nor keeps the code of the control server.
  options.push("--splitting");
  // A node's working directory must not be able to change how the daemon runs.
  options.push("--no-compile-autoload-bunfig");
  await runQuietly([process.execPath, "build", ...options, ...defines, "main.ts", "--outfile", unfinished], {
    log: "build.log",
  });
  // A running binary cannot be written to, but it can be replaced.
  renameSync(unfinished, outfile);
}

/** What runtime/version.ts prints; a tree that is not a git checkout says so by leaving it out. */
async function buildDefines(): Promise<Record<string, string>> {
  const revision = await git("rev-parse", "HEAD");
  const branch = await git("rev-parse", "--abbrev-ref", "HEAD");
  return {
    ...(revision === undefined ? {} : { AAMI_REVISION: revision }),
    ...(branch === undefined ? {} : { AAMI_BRANCH: branch }),
    AAMI_BUILD_DATE: new Date().toISOString(),
  };
}

async function git(...args: string[]): Promise<string | undefined> {
  if (Bun.which("git") === null) return undefined;
  const child = Bun.spawn(["git", ...args], { cwd: projectRoot, stdout: "pipe", stderr: "ignore" });
  const text = (await child.stdout.text()).trim();
  return (await child.exited) === 0 ? text : undefined;
}

const sourcePatterns = [
  "main.ts",
  "{protocol,runtime,collectors,checks,daemon,server}/**/*",
  "bun.lock",
  "package.json",
];

/** A hash over the names and contents of everything that ends up in the binary, and the Bun that compiles it. */
async function fingerprintSources(): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  hash.update(`bun ${Bun.version} ${packageJson.version} ${process.arch}\n`);
  const paths = sourcePatterns.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: projectRoot })]).sort();
  for (const path of paths) {
    hash.update(`${path}\n`);
    hash.update(await Bun.file(join(projectRoot, path)).bytes());
  }
  return hash.digest("hex");
}
