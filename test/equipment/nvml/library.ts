import { join } from "node:path";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Workspace } from "../../harness/workspace.ts";

/** The scripted libnvidia-ml of nvml.c, built into a test's own folder. */
export interface NvmlLibrary {
  readonly path: string;
  /** Takes effect with the next call into the library. */
  script(...lines: readonly string[]): void;
  /** "init PID" and "shutdown PID", in the order of these calls. */
  journal(): readonly string[];
}

export interface NvmlLibraryOptions {
  readonly workspace: Workspace;
  readonly script?: readonly string[];
  /** Without the functions that drivers before 520 lack. */
  readonly oldDriver?: boolean;
}

export function buildNvmlLibrary({ workspace, script = [], oldDriver = false }: NvmlLibraryOptions): NvmlLibrary {
  const path = workspace.file("libnvidia-ml.so.1");
  const source = join(import.meta.dir, "nvml.c");
  const flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-fvisibility=hidden"];
  const defines = oldDriver ? ["-DOLD_DRIVER"] : [];
  const { exitCode, stderr } = Bun.spawnSync(["cc", ...flags, ...defines, "-o", path, source, "-ldl", "-lm"]);
  if (exitCode !== 0) throw new Error(`cc ended with ${exitCode}: ${stderr.toString()}`);
  const file = workspace.file("nvml.script");
  const write = (...lines: readonly string[]): void => {
    writeFileSync(`${file}.new`, lines.map((line) => `${line}\n`).join(""));
    renameSync(`${file}.new`, file);
  };
  write(...script);
  const journal = (): string[] => readFileSync(workspace.file("nvml.journal"), "utf8").trim().split("\n");
  return { path, script: write, journal };
}
