import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const root = join(import.meta.dir, "..");
const folders = ["protocol", "runtime", "collectors", "checks", "daemon", "server", "scripts"];

/** The table of docs/architecture.md: what a folder may import besides itself and packages. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  runtime: ["protocol/", "package.json"],
  collectors: ["protocol/", "runtime/"],
  checks: [
    "protocol/",
    "runtime/",
    "collectors/collector.ts",
    "collectors/exposition.ts",
    "collectors/mounts/table.ts",
    "collectors/read.ts",
  ],
  daemon: ["protocol/", "runtime/", "collectors/", "checks/"],
  // The library is data: scripts with their settings, which the server offers as templates. What builtin checks take as
  // parameters is refused here rather than on each node.
  server: ["protocol/", "runtime/", "checks/library/", "checks/builtin/problem.ts"],
  scripts: ["protocol/", "collectors/read.ts", "package.json"],
};

/** Modules through which code reaches files, processes and the network; protocol/ describes and computes only. */
const inputOutput = /^(node:)?(fs|fs\/promises|child_process|net|http|https|dgram|dns|tls|os)$|^bun:sqlite$/;

interface Import {
  readonly file: string;
  readonly specifier: string;
  /** Path from the project root of a file of ours; undefined for a package or a built-in module. */
  readonly target: string | undefined;
}

const imports = folders.flatMap((folder) =>
  [...new Bun.Glob(`${folder}/**/*.ts`).scanSync({ cwd: root })].sort().flatMap(readImports),
);

function readImports(file: string): Import[] {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(/(?:\bfrom|\bimport\(|^import)\s*"([^"]+)"/gm)].map(([, specifier = ""]) => ({
    file,
    specifier,
    target: specifier.startsWith(".") ? relative(root, join(root, dirname(file), specifier)) : undefined,
  }));
}

const listed = (broken: readonly Import[]): string[] => broken.map(({ file, specifier }) => `${file}: ${specifier}`);

test.each(folders)("%s/ imports only what docs/architecture.md allows", (folder) => {
  const allowed = [`${folder}/`, ...(mayImport[folder] ?? [])];
  const broken = imports.filter(
    ({ file, target }) =>
      file.startsWith(`${folder}/`) && target !== undefined && !allowed.some((prefix) => target.startsWith(prefix)),
  );
  expect(listed(broken)).toEqual([]);
});

test("protocol/ does no input or output", () => {
  const broken = imports.filter(({ file, specifier }) => file.startsWith("protocol/") && inputOutput.test(specifier));
  expect(listed(broken)).toEqual([]);
});

test("our own files are imported with their .ts", () => {
  const broken = imports.filter(
    ({ target }) => target !== undefined && !/\.(ts|json|sh|py|sql|html|css|js)$/.test(target),
  );
  expect(listed(broken)).toEqual([]);
});

test("the table in docs/architecture.md names these folders", async () => {
  const page = await Bun.file(join(root, "docs/architecture.md")).text();
  const named = [...page.matchAll(/^\| `([a-z]+)\/` \|/gm)].map(([, folder]) => folder);
  expect(named.sort()).toEqual([...folders].sort());
});

test("imports are found at all", () => {
  expect(imports.length).toBeGreaterThan(30);
});
