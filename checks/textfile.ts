import { chmodSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MetricFamily } from "../collectors/collector.ts";
import { encodeFamilies } from "../collectors/exposition.ts";
import type { Logger } from "../runtime/log.ts";

/** Results as a file for the textfile collector of a node_exporter that stays on the node. */
export interface Textfile {
  write(families: readonly MetricFamily[]): void;
  /** Values that nobody renews must not stay on somebody's page. */
  remove(): void;
}

/** One file for all checks, replaced as a whole: a removed check is gone with the next write. */
export function createTextfile(directory: string, log: Logger): Textfile {
  const file = join(directory, "aami_checks.prom");
  const draft = join(directory, ".aami_checks.prom.new");
  let failing = false;
  const attempt = (work: () => void): void => {
    try {
      work();
      failing = false;
    } catch (error) {
      // Said once; the page of the daemon has everything.
      if (!failing) log.warn("cannot write the textfile of the checks", { file, error });
      failing = true;
    }
  };
  return {
    write: (families) =>
      attempt(() => {
        const text = encodeFamilies(families).map((family) => family.text);
        writeFileSync(draft, text.join(""));
        chmodSync(draft, 0o644); // the daemon's umask is 077, node_exporter is another user
        renameSync(draft, file);
      }),
    remove: () => attempt(() => rmSync(file, { force: true })),
  };
}
