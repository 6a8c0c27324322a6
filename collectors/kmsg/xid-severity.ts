import type { Severity } from "../events.ts";

/*
 * How bad an Xid is, as the checks' catalogue has it: a test keeps the two alike. A verdict also weighs what to do about
 * it and what came of that; this is for the event.
 */
const critical = new Set([46, 48, 62, 64, 74, 79, 95, 110, 119, 120, 136, 140, 143, 151, 155, 156, 158]);
const warning = new Set([
  9, 12, 16, 18, 19, 26, 27, 28, 29, 30, 32, 33, 34, 35, 36, 38, 42, 44, 47, 54, 59, 60, 61, 65, 69, 78, 81, 94, 109,
  121, 123, 142, 144, 145, 146, 147, 148, 149, 150, 154, 163, 166, 167, 168, 169, 172, 173,
]);
const highestKnown = 173;

/** Links of NVLink 5: one code for many findings, and only the line tells which kind. */
const isLinkCode = (code: number): boolean => code >= 144 && code <= 150;

export function xidSeverity(code: number, message: string): Severity {
  if (critical.has(code) || (isLinkCode(code) && /\bFatal\b/.test(message))) return "critical";
  // A code of a driver that is newer than the catalogue may mean anything.
  return warning.has(code) || code > highestKnown ? "warning" : "info";
}
