import type { TestFailure } from "./junit.ts";

/** What a log viewer that shows only the end of the output still shows, together with the line of counts. */
const visibleLines = 28;
const longestLine = 240;

/** One line for each failure and below it as much of its reason as there is room for. */
export function describeFailures(failures: readonly TestFailure[]): string[] {
  const reasonLines = Math.max(2, Math.floor(visibleLines / failures.length) - 1);
  return failures.flatMap(({ name, reason }) => [`FAILED ${name}`, ...excerpt(reason, reasonLines)]);
}

/** The beginning, which is the message, and the last line, which is the place. */
function excerpt(reason: string, count: number): string[] {
  const lines = reason.split("\n").filter((line) => line.trim() !== "");
  const shown = lines.length <= count ? lines : [...lines.slice(0, count - 1), ...lines.slice(-1)];
  return shown.map((line) => `    ${line.trimEnd()}`).map((line) => truncate(line));
}

function truncate(line: string): string {
  return line.length <= longestLine ? line : `${line.slice(0, longestLine - 1)}…`;
}
