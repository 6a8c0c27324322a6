import { expect, test } from "bun:test";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readTextIfPresent } from "../../collectors/read.ts";
import { createWorkspace } from "../harness/workspace.ts";

test("a file is read from the moment on that it is there, and no longer", () => {
  using workspace = createWorkspace();
  const folder = join(workspace.path, "device");
  const path = join(folder, "attribute");
  const read = (): (string | undefined)[] => [readTextIfPresent(path), readTextIfPresent(path)];
  expect(read()).toEqual([undefined, undefined]);
  mkdirSync(folder);
  expect(read()).toEqual([undefined, undefined]);
  writeFileSync(path, "1\n");
  expect(read()).toEqual(["1\n", "1\n"]);
  rmSync(folder, { recursive: true });
  expect(read()).toEqual([undefined, undefined]);
  writeFileSync(folder, "no folder");
  expect(read()).toEqual([undefined, undefined]);
  rmSync(folder);
  mkdirSync(folder);
  writeFileSync(path, "2\n");
  expect(read()).toEqual(["2\n", "2\n"]);
});

test("a file that was not there, and now cannot be reached, is a failure", () => {
  using workspace = createWorkspace();
  const path = join(workspace.path, "attribute");
  expect(readTextIfPresent(path)).toBeUndefined();
  symlinkSync("attribute", path);
  expect(() => readTextIfPresent(path)).toThrow("ELOOP");
});
