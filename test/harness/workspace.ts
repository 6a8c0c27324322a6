import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder of one test's own, removed with everything in it at the end of the test. */
export interface Workspace extends Disposable {
  readonly path: string;
  file(name: string): string;
}

export function createWorkspace(): Workspace {
  const path = mkdtempSync(join(tmpdir(), "aami-test-"));
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** A folder for all tests of a file (or of a describe block), removed after the last of them. */
export function sharedFolder(): string {
  const workspace = createWorkspace();
  afterAll(() => workspace[Symbol.dispose]());
  return workspace.path;
}
