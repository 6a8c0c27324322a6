import { readFileSync, statSync } from "node:fs";
import { describeError, type Logger } from "../../runtime/log.ts";
import { errnoOf } from "../read.ts";
import { type Counters, defaultCounters, parseCounters } from "./counters.ts";
import { needsLinks } from "./dcgm-fields.ts";

/** The list in use: the file's, or dcgm-exporter's default one without a file that can be read. */
export interface CountersInUse {
  current(): Counters;
  /** Whether the traffic of every NVLink is asked for. */
  needLinks(): boolean;
  /** The file's text as it is now; nothing happens while it is what it was. */
  take(text: string): void;
}

/** Monitoring goes on with the default list: a typing error in a file must not leave a node unwatched. */
export function openCounters(file: string, log: Logger): CountersInUse {
  let text: string | undefined;
  let counters = defaultCounters;
  const use = (next: string): void => {
    const { problems, ...parsed } = parseCounters(next);
    if (problems.length > 0) log.warn("lines of the counters file are left out", { file, problems });
    text = next;
    counters = parsed;
  };
  try {
    if (file !== "") use(readFileSync(file, "utf8"));
  } catch (error) {
    log.error("counters file cannot be read, the default list is used", { file, error: describeError(error) });
  }
  return {
    current: () => counters,
    needLinks: () => needsLinks(counters.counters.map(({ field }) => field)),
    take: (next) => {
      if (next === text) return;
      use(next);
      log.info("counters file has changed", { file, families: counters.counters.length });
    },
  };
}

/** Tells the text of a file when it is another than before: for the helper process, as the file may lie anywhere. */
export function createFileReader(path: string): () => string | undefined {
  let known = "";
  return () => {
    try {
      const { ino, size, mtimeMs } = statSync(path);
      const version = `${ino} ${size} ${mtimeMs}`;
      if (version === known) return undefined;
      const text = readFileSync(path, "utf8");
      known = version;
      return text;
    } catch (error) {
      // Gone or not readable for now: what was told stays good.
      if (errnoOf(error) !== undefined) return undefined;
      throw error;
    }
  };
}
