import type { Status } from "../../checks/verdict.ts";
import { seriesValue } from "../harness/daemon.ts";
import { waitFor } from "../harness/wait.ts";
import type { Machine } from "./lab/machine.ts";

/** The daemon in the machine, as Prometheus and its operator see it. */
export interface Node {
  page(): Promise<string>;
  /** Scrapes until the page satisfies all: a text it has to hold, or a pattern. Returns that page. */
  waitForPage(wanted: readonly (string | RegExp)[]): Promise<string>;
  /** The same for what has to be gone. */
  waitForAbsence(unwanted: RegExp): Promise<string>;
  /** Scrapes until a builtin check says that. */
  waitForVerdict(check: string, status: Status): Promise<void>;
  /** `aami status` in the machine: waits until it ends with the code and its text has all of these. */
  waitForStatus(exitCode: number, wanted: readonly RegExp[]): Promise<void>;
  /** What the unit has logged since this boot, one JSON object a line. */
  journal(): Promise<string>;
  waitForJournal(pattern: RegExp): Promise<void>;
}

/** An emulated machine on a busy host takes its time; what is not there by then never comes. */
const deadlineSeconds = 300;

export function openNode(machine: Machine): Node {
  const page = async (): Promise<string> => {
    machine.assertRunning();
    const response = await fetch(`${machine.url(9100)}/metrics`, { signal: AbortSignal.timeout(120_000) });
    if (response.status !== 200) throw new Error(`/metrics answered ${response.status}: ${await response.text()}`);
    return response.text();
  };
  const journal = (): Promise<string> => machine.run("journalctl -u aami -o cat --no-pager");
  const waitForPage = (wanted: readonly (string | RegExp)[]): Promise<string> =>
    waitFor(
      `a page with ${wanted.join(" and ")}`,
      async () => {
        const text = await page();
        const missing = wanted.filter((item) => !has(text, item));
        if (missing.length > 0) throw new Error(`the page lacks ${missing.join(", ")}${nearest(text, missing)}`);
        return text;
      },
      { deadlineSeconds },
    );
  return {
    page,
    journal,
    waitForPage,
    waitForAbsence: (unwanted) =>
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
    waitForVerdict: async (check, status) => {
      await waitForPage([`aami_check_status{check="${check}",status="${status}"} 1`]);
    },
    waitForStatus: async (exitCode, wanted) => {
      await waitFor(
        `aami status to end with ${exitCode} and to say ${wanted.join(" and ")}`,
        async () => {
          const said = await machine.try("aami status");
          const missing = wanted.filter((pattern) => !pattern.test(said.stdout));
          if (said.exitCode === exitCode && missing.length === 0) return true;
          const text = `${said.stdout}${said.stderr}`.trimEnd();
          throw new Error(
            `it ended with ${said.exitCode}, without ${missing.join(", ") || "fault"}, and said\n${text}`,
          );
        },
        { deadlineSeconds },
      );
    },
    waitForJournal: async (pattern) => {
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
