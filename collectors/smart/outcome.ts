import { field, type Json, listAt, numberAt, textAt } from "./json.ts";

/** What one call of smartctl told about a device. Only `ok` carries a report whose values may be published. */
export type SmartOutcome =
  | { readonly state: "ok"; readonly report: Json }
  | { readonly state: "standby"; readonly mode: string }
  | { readonly state: "unsupported" | "open_failed" | "failed"; readonly reason: string };

/** Bits of smartctl's exit status that mean there is no report; the others describe the disk. See smartctl(8). */
const commandLineBit = 1;
const openFailedBit = 2;
/** We pass `-n standby,3`: a status of exactly 3 then means "asleep", although bits 0 and 1 are set in it. */
export const standbyExitStatus = 3;

const powerMode = /^Device is in (.+?) mode/;

/**
 * Order matters: a sleeping disk sets the same bits as one that cannot be opened, and only its message tells.
 * A disk whose CHECK POWER MODE fails is reported as SLEEP by every smartctl so far: the caller has to doubt it.
 */
export function classify(stdout: string, exitStatus: number): SmartOutcome {
  const report = parseReport(stdout);
  if (report === undefined || numberAt(report, "smartctl", "version", 0) === undefined) {
    return { state: "failed", reason: `no smartctl report (exit status ${exitStatus})` };
  }
  const messages = listAt(report, "smartctl", "messages");
  for (const message of messages) {
    const mode = powerMode.exec(textAt(message, "string") ?? "")?.[1];
    if (mode !== undefined) return { state: "standby", mode };
  }
  if (exitStatus === standbyExitStatus) return { state: "standby", mode: "STANDBY" };
  const reason = firstError(messages) ?? `smartctl exit status ${exitStatus}`;
  if ((exitStatus & commandLineBit) !== 0) return { state: "unsupported", reason };
  if ((exitStatus & openFailedBit) !== 0) return { state: "open_failed", reason };
  if (firstError(messages) !== undefined && field(report, "device") === undefined) return { state: "failed", reason };
  return { state: "ok", report };
}

function parseReport(stdout: string): Json | undefined {
  // Before 7.3 smartctl printed a line about pending defects in front of its JSON.
  const start = stdout.indexOf("{");
  if (start < 0) return undefined;
  try {
    return JSON.parse(stdout.slice(start));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function firstError(messages: readonly Json[]): string | undefined {
  const error = messages.find((message) => textAt(message, "severity") === "error");
  return error === undefined ? undefined : textAt(error, "string");
}
