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
