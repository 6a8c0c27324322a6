import type { TestFailure } from "./junit.ts";

/** What a log viewer that shows only the end of the output still shows, together with the line of counts. */
const visibleLines = 28;
const longestLine = 240;

/** One line for each failure and below it as much of its reason as there is room for. */
export function describeFailures(failures: readonly TestFailure[]): string[] {
  const reasonLines = Math.max(2, Math.floor(visibleLines / failures.length) - 1);
  return failures.flatMap(({ name, reason }) => [`FAILED ${name}`, ...excerpt(reason, reasonLines)]);
}

/** Errors that the runner tells in its log only, such as that of a file that cannot be loaded. */
export function errorsBetweenTests(log: string): TestFailure[] {
  const blocks = log.replace(colours, "").matchAll(/^# Unhandled error between tests\n-+\n([^]*?)^-+$/gm);
  return [...blocks].map(([, text = ""]) => ({
    name: "an error between tests",
    reason: text.replace(sourceLines, ""),
  }));
}

/** Two errors of one test come as a SuppressedError without any text: what the log has before it, takes its place. */
export function explainFrom(log: string, failure: TestFailure): TestFailure {
  if (!failure.reason.startsWith("SuppressedError")) return failure;
  const lines = log.replace(colours, "").split("\n");
  const leaf = failure.name.slice(failure.name.indexOf(": ") + 2);
  const end = lines.findIndex((line) => line.startsWith("(fail) ") && line.includes(leaf));
  const start = lines.findLastIndex((line, index) => index < end && /^\((pass|fail)\) |^test\/.*:$/.test(line));
  const told = lines
    .slice(start + 1, Math.max(end, 0))
    .join("\n")
    .replace(sourceLines, "");
  return { ...failure, reason: `${told}\n${failure.reason}` };
}

const colours = /\u001b\[[\d;]*m/g;
/** The quoted lines of the program, and the sign that points into the last of them. */
const sourceLines = /^(?:\s*\d+ \|.*|\s*\^)\n/gm;
/** What a difference is summed up by says less than one more line of it. */
const summary = /^[-+] (?:Expected|Received) +[-+] \d+$/;

/** The beginning, which is the message, and the last line, which is the place. */
function excerpt(reason: string, count: number): string[] {
  const lines = reason.split("\n").filter((line) => line.trim() !== "" && !summary.test(line));
  const shown = lines.length <= count ? lines : [...lines.slice(0, count - 1), ...lines.slice(-1)];
  return shown.map((line) => `    ${line.trimEnd()}`).map((line) => truncate(line));
}

function truncate(line: string): string {
  return line.length <= longestLine ? line : `${line.slice(0, longestLine - 1)}…`;
}
