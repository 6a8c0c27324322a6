import { seriesValue } from "../harness/daemon.ts";
import { waitFor } from "../harness/wait.ts";
import type { Machine } from "./lab/machine.ts";

/** The daemon in the machine, as Prometheus and its operator see it. */
export interface Node {
  page(): Promise<string>;
  /** Scrapes until the page satisfies all: a text it has to hold, or a pattern. Returns that page. */
  waitForPage(wanted: readonly (string | RegExp)[], deadlineSeconds?: number): Promise<string>;
  /** The same for what has to be gone. */
  waitForAbsence(unwanted: RegExp, deadlineSeconds?: number): Promise<string>;
  /** What the unit has logged since this boot, one JSON object a line. */
  journal(): Promise<string>;
  waitForJournal(pattern: RegExp, deadlineSeconds?: number): Promise<void>;
}

export function openNode(machine: Machine): Node {
  const page = async (): Promise<string> => {
    const response = await fetch(`${machine.url(9100)}/metrics`, { signal: AbortSignal.timeout(30_000) });
    if (response.status !== 200) throw new Error(`/metrics answered ${response.status}: ${await response.text()}`);
    return response.text();
  };
  const journal = (): Promise<string> => machine.run("journalctl -u aami -o cat --no-pager");
  return {
    page,
    journal,
    waitForPage: (wanted, deadlineSeconds = 120) =>
      waitFor(
        `a page with ${wanted.join(" and ")}`,
        async () => {
          const text = await page();
          const missing = wanted.filter((item) => !has(text, item));
          if (missing.length > 0) throw new Error(`the page lacks ${missing.join(", ")}${nearest(text, missing)}`);
          return text;
        },
        { deadlineSeconds },
      ),
    waitForAbsence: (unwanted, deadlineSeconds = 120) =>
      waitFor(
        `a page without ${unwanted}`,
        async () => {
          const text = await page();
          const line = text.split("\n").find((candidate) => unwanted.test(candidate));
          if (line !== undefined) throw new Error(`the page still has ${line}`);
          return text;
        },
        { deadlineSeconds },
      ),
    waitForJournal: async (pattern, deadlineSeconds = 30) => {
      await waitFor(`the journal to say ${pattern}`, async () => pattern.test(await journal()), { deadlineSeconds });
    },
  };
}

function has(page: string, wanted: string | RegExp): boolean {
  return typeof wanted === "string" ? page.includes(`\n${wanted}`) : wanted.test(page);
}

/** What the page has instead, so that a failure explains itself. */
function nearest(page: string, missing: readonly (string | RegExp)[]): string {
  const names = missing.map((item) => /[a-zA-Z_]{6,}/.exec(typeof item === "string" ? item : item.source)?.[0]);
  const lines = page.split("\n").filter((line) => names.some((name) => name !== undefined && line.startsWith(name)));
  return lines.length === 0 ? "" : `; it has\n${lines.slice(0, 12).join("\n")}`;
}

export function valueOf(page: string, series: string): number {
  const value = seriesValue(page, series);
  if (value === undefined) throw new Error(`the page lacks ${series}${nearest(page, [series])}`);
  return value;
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
