import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const files = (pattern: string): string[] => [...new Bun.Glob(pattern).scanSync({ cwd: root })].sort();

/** Every member of the unions and constants that become an error's `code`. */
function errorCodes(): string[] {
  const sources = ["protocol/**/*.ts", "daemon/node/**/*.ts", "server/**/*.ts"].flatMap(files).map(read);
  const upper = sources.flatMap((text) => [...text.matchAll(/(?:\bcode(?::|\s=)|\|)\s*"([A-Z][A-Z_]{3,})"/g)]);
  const faults = sources.flatMap((text) =>
    [...text.matchAll(/export type \w*Fault =([^;]+);/g)].flatMap(([, union = ""]) => [...union.matchAll(/"(\w+)"/g)]),
  );
  const methods = ["POST", "HEAD", "PATCH", "DELETE"];
  const codes = [...upper, ...faults].map(([, code = ""]) => code).filter((code) => !methods.includes(code));
  return [...new Set(codes)].sort();
}

test("docs/errors.md has every error code of the source", () => {
  const page = read("docs/errors.md");
  expect(errorCodes().length).toBeGreaterThan(30);
  expect(errorCodes().filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
});

test("the unit in docs/node.md is the one that test:vm runs", () => {
  expect(read("docs/node.md")).toContain(`\n\`\`\`ini\n${read("test/vm/guest/aami.service")}\`\`\`\n`);
});

const pages = ["README.md", ...files("docs/**/*.md")];

test.each(pages)("%s links only to files that exist", (page) => {
  const links = [...read(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, target = ""]) => target);
  const missing = links.filter((target) => !Bun.file(join(root, page, "..", target)).size);
  expect(missing).toEqual([]);
});

test.each(pages)("%s names only npm scripts that exist", (page) => {
  const scripts = Object.keys((JSON.parse(read("package.json")) as { scripts: object }).scripts);
  const named = [...read(page).matchAll(/\b(?:npm run|bun run) ([a-z]+)|\bnpm (start|test)\b/g)];
  expect(named.map(([, run, direct]) => run ?? direct ?? "").filter((name) => !scripts.includes(name))).toEqual([]);
});
