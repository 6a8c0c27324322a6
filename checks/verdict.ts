/** What a check says about the node. `unknown` means that it could not tell: a broken probe is never a broken node. */
export const statuses = ["ok", "warning", "critical", "unknown"] as const;
export type Status = (typeof statuses)[number];

/** What to do about it, from the lightest to the heaviest: of findings that are equally bad the heavier one goes first. */
export const actions = [
  "none",
  "check_application",
  "check_configuration",
  "check_network",
  "check_storage",
  "free_space",
  "reset_gpu",
  "reboot",
  "inspect_hardware",
  "contact_support",
] as const;
export type Action = (typeof actions)[number];

/** One thing that is wrong, and with what. */
export interface Finding {
  readonly status: Exclude<Status, "ok">;
  /** Device, port, mount point, process, …; empty for the node as a whole. */
  readonly subject: string;
  /** A sentence without its subject's name in front. */
  readonly summary: string;
  readonly action: Action;
  /** What to do, where more can be said than the action says. */
  readonly remedy?: string;
  /** When it last happened, ISO 8601. Absent for what is so now: that goes only when it is mended. */
  readonly at?: string;
}

export interface Verdict {
  readonly status: Status;
  readonly summary: string;
  readonly action: Action;
  /** The worst first, among equals the one with the heavier action; at most a hundred. Empty when all is well. */
  readonly findings: readonly Finding[];
}

const mostFindings = 100;

/** What is known to be wrong weighs more than what is not known. */
const weight: Readonly<Record<Status, number>> = { critical: 3, warning: 2, unknown: 1, ok: 0 };

export function worseFirst(a: { readonly status: Status }, b: { readonly status: Status }): number {
  return weight[b.status] - weight[a.status];
}

function heavierFirst(a: Finding, b: Finding): number {
  return actions.indexOf(b.action) - actions.indexOf(a.action);
}

/** `summary` is what to say when there are no findings. */
export function toVerdict(findings: readonly Finding[], summary: string): Verdict {
  const sorted = findings.toSorted((a, b) => worseFirst(a, b) || heavierFirst(a, b));
  const [worst] = sorted;
  if (worst === undefined) return { status: "ok", summary, action: "none", findings: [] };
  const more = sorted.length === 1 ? "" : `; and ${sorted.length - 1} more`;
  return {
    status: worst.status,
    summary: `${describe(worst)}${more}`,
    action: worst.action,
    findings: sorted.slice(0, mostFindings),
  };
}

export function describe({ subject, summary }: Finding): string {
  return subject === "" ? summary : `${subject}: ${summary}`;
}

export function exitCodeOf(status: Status): number {
  return statuses.indexOf(status);
}
