import { Value } from "@sinclair/typebox/value";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Collector, type CollectorDefinition, NoDataError } from "../../collectors/collector.ts";
import { encodeFamilies } from "../../collectors/exposition.ts";
import type { Host } from "../../collectors/host.ts";

/** A folder where the collector expects a file: reading it fails for root too. */
export const unreadable = { unreadable: true } as const;
export interface Link {
  readonly to: string;
}
/** Paths from the root of the host ("proc/…", "sys/…") and what is there; a path that ends in "/" is an empty folder. */
export type Tree = Readonly<Record<string, string | Uint8Array | Link | typeof unreadable>>;

export interface Page {
  /** The page's lines; the temporary root is left out of label values. */
  readonly lines: string[];
  /** Series without HELP and TYPE. */
  readonly series: string[];
  /** What was reported as left out, without the temporary root. */
  readonly skipped: string[];
  readonly state: "ok" | "absent";
}

export interface Fixture extends AsyncDisposable {
  /** Adds files or replaces what is there. */
  put(tree: Tree): Promise<void>;
  collect(collector: Collector): Promise<Page>;
}

/** A small host in a temporary folder, for one test. */
export async function createFixture(tree: Tree): Promise<Fixture> {
  const root = mkdtempSync(join(tmpdir(), "aami-collector-"));
  const put = async (files: Tree): Promise<void> => {
    for (const [path, content] of Object.entries(files)) await putEntry(join(root, path), content, path.endsWith("/"));
  };
  const collect = async (collector: Collector): Promise<Page> => {
    const skipped: string[] = [];
    const host: Host = {
      procPath: `${root}/proc`,
      sysPath: `${root}/sys`,
      rootPath: root,
      udevDataPath: `${root}/run/udev/data`,
      run: () => Promise.reject(new Error("no programs on this host")),
      skipped: (what) => void skipped.push(what.replaceAll(`${root}/`, "")),
    };
    const text = await encodePage(collector, host);
    const lines = (text ?? "").replaceAll(`${root}/`, "/").split("\n").filter(Boolean);
    const series = lines.filter((line) => !line.startsWith("# "));
    return { lines, series, skipped, state: text === undefined ? "absent" : "ok" };
  };
  await put(tree);
  return { put, collect, [Symbol.asyncDispose]: async () => rmSync(root, { recursive: true }) };
}

/** Runs one collector once against a tree that exists only for this call. */
export async function collectFrom(
  definition: CollectorDefinition,
  tree: Tree,
  options: Record<string, unknown> = {},
): Promise<Page> {
  await using fixture = await createFixture(tree);
  return await fixture.collect(definition.create(Value.Default(definition.options, { ...options }) as never));
}

async function encodePage(collector: Collector, host: Host): Promise<string | undefined> {
  if (!(await collector.detect(host)).supported) return undefined;
  try {
    const families = await collector.collect(host, AbortSignal.timeout(5000));
    return encodeFamilies(families)
      .map((family) => family.text)
      .join("");
  } catch (error) {
    if (error instanceof NoDataError) return undefined;
    throw error;
  }
}

async function putEntry(path: string, content: Tree[string], isFolder: boolean): Promise<void> {
  if (existsSync(path)) rmSync(path, { recursive: true });
  if (isFolder || content === unreadable) {
    mkdirSync(path, { recursive: true });
  } else if (typeof content === "string" || content instanceof Uint8Array) {
    await Bun.write(path, content);
  } else if ("to" in content) {
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(content.to, path);
  }
}
