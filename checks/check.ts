import { createHash } from "node:crypto";
import type { MetricFamily } from "../collectors/collector.ts";
import type { Status, Verdict } from "./verdict.ts";

/** One check as a node runs it: the configuration is merged and the winning policy chosen. */
export interface CheckDefinition {
  /** `^[a-z][a-z0-9_-]{0,62}$`; the `check` label of everything the check publishes. */
  readonly name: string;
  /** `bash`, `python` or `builtin`. Any other value refuses this check alone: a newer server may know more. */
  readonly language: string;
  /** The bytes that were hashed. They are handed to the interpreter as they are and never become a file on disk. */
  readonly script: Uint8Array;
  /** Lower-case hex; compared with `script` before every run. */
  readonly scriptSha256: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly schedule: CheckSchedule;
  readonly timeoutSeconds: number;
  /** As it came: judged on the node (checks/permissions.ts), where an unknown field refuses the check. */
  readonly permissions: Readonly<Record<string, unknown>>;
  /** `builtin`: one that every node has, unless a policy or the owner of the node replaces it. */
  readonly source: "bundle" | "local" | "command" | "builtin";
  readonly policyId?: string;
  /** Group whose policy won; absent for a global one. */
  readonly groupId?: string;
}

export type CheckSchedule = { readonly intervalSeconds: number } | { readonly cron: string };

/**
 * How a run ended. Only `ok` and `exit` come from the script itself; everything else says why there is no verdict:
 * it ran past its deadline, printed too much, was killed for memory, could not be confined, left a process that no
 * signal ends, asked for more than this node allows, or (builtin checks) found nothing on this node to judge.
 */
export const runOutcomes = [
  "ok",
  "exit",
  "timeout",
  "output",
  "oom",
  "sandbox_error",
  "stuck",
  "refused",
  "absent",
] as const;
export type RunOutcome = (typeof runOutcomes)[number];

/** What the runner observed. Never rejects: a run that could not start is an outcome too. */
export interface CheckRun {
  readonly outcome: RunOutcome;
  /** 128 + signal when a signal ended the script; undefined when it was killed or never ran. */
  readonly exitCode: number | undefined;
  readonly durationSeconds: number;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  /** One line for people: what was missing, refused or exceeded. Empty when there is nothing to say. */
  readonly message: string;
  /** The confinement of the run could not be emptied; true with `stuck` and after any other outcome alike. */
  readonly leftBehind: boolean;
  /** Of a builtin check. */
  readonly verdict?: Verdict;
  /** The source is not ready yet: the run does not count and is made again after so long. */
  readonly retrySeconds?: number;
  /** What a builtin check wants to have again at its next run: plain JSON. */
  readonly memory?: unknown;
}

/** A run that did not take place. */
export function noRun(outcome: RunOutcome, message: string): CheckRun {
  const nothing = new Uint8Array();
  return {
    outcome,
    exitCode: undefined,
    durationSeconds: 0,
    stdout: nothing,
    stderr: nothing,
    message,
    leftBehind: false,
  };
}

/** The last result of a check: plain JSON, so that it survives a restart. */
export interface CheckResult {
  readonly check: string;
  /** `definitionKey` of the definition that ran; a result of another definition is never shown as this one's. */
  readonly definition: string;
  readonly startedAt: string;
  readonly durationSeconds: number;
  readonly outcome: RunOutcome;
  readonly exitCode?: number;
  /** Why the run counts as failed: an outcome, or what was wrong with its output. Absent when all is well. */
  readonly error?: string;
  readonly message?: string;
  /** The first 2 KiB of standard error, control characters replaced. */
  readonly stderr?: string;
  /** Validated, with the `check` label; empty whenever the run must not publish. */
  readonly families: readonly MetricFamily[];
  readonly verdict?: Verdict;
  readonly memory?: unknown;
  /** When `statusOf` this result became what it is; absent in results of older versions. */
  readonly since?: string;
}

/** The exit codes of monitoring plug-ins; whatever did not come to a verdict is unknown. */
export function statusOf({ outcome, exitCode, error }: CheckResult): Status {
  if (outcome === "ok" && error === undefined) return "ok";
  if (outcome !== "exit" || error !== "exit") return "unknown";
  return exitCode === 1 ? "warning" : exitCode === 2 ? "critical" : "unknown";
}

/** Equal keys mean the same behaviour: same script, configuration, schedule, limits. */
export function definitionKey(definition: CheckDefinition): string {
  const { name, language, scriptSha256, config, schedule, timeoutSeconds, permissions } = definition;
  const { source, policyId, groupId } = definition;
  const facts = [
    name,
    language,
    scriptSha256,
    config,
    schedule,
    timeoutSeconds,
    permissions,
    source,
    policyId,
    groupId,
  ];
  return createHash("sha256").update(canonicalJson(facts)).digest("hex");
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, nested: unknown) =>
    nested !== null && typeof nested === "object" && !Array.isArray(nested)
      ? Object.fromEntries(Object.entries(nested).sort(([a], [b]) => (a < b ? -1 : 1)))
      : nested,
  );
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
