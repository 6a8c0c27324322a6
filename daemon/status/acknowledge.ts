import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Acknowledgement, Acknowledgements } from "../../checks/acknowledgements.ts";
import type { CheckService } from "../../checks/service.ts";
import { describe, type Finding } from "../../checks/verdict.ts";
import type { EventLog } from "../../collectors/events.ts";
import type { Logger } from "../../runtime/log.ts";

/** Body of POST /acknowledge on the control socket. */
export const AcknowledgeRequest = t.Object(
  {
    check: t.String({ maxLength: 64 }),
    /** Absent: everything of the check. */
    subject: t.Optional(t.String({ maxLength: 300 })),
    by: t.String({ minLength: 1, maxLength: 64 }),
    note: t.String({ maxLength: 300 }),
    /** Takes back what was acknowledged. */
    undo: t.Boolean(),
  },
  { additionalProperties: false },
);
export type AcknowledgeRequest = Static<typeof AcknowledgeRequest>;

/** The answer with status 200. */
export interface AcknowledgeAnswer {
  /** Each with its subject in front. */
  readonly acknowledged: readonly string[];
  /** What is so now goes only when it is mended. */
  readonly left: readonly string[];
  readonly taken_back: number;
  /** False: it is forgotten when the daemon ends. */
  readonly stored: boolean;
}

export interface AcknowledgeDeskOptions {
  readonly acknowledgements: Acknowledgements;
  readonly checks: () => Pick<CheckService, "status" | "runSoon">;
  readonly events: Pick<EventLog, "record" | "flush">;
  readonly log: Logger;
  readonly now?: () => number;
}

/** Answers `aami acknowledge`. */
export function createAcknowledgeDesk(options: AcknowledgeDeskOptions): (request: Request) => Promise<Response> {
  return async (request) => {
    if (request.method !== "POST" || new URL(request.url).pathname !== "/acknowledge") {
      return refuse(404, "no such command in this version of the daemon");
    }
    const body: unknown = await request.json().catch(() => undefined);
    return Value.Check(AcknowledgeRequest, body) ? decide(body, options) : refuse(400, "the request makes no sense");
  };
}

function refuse(status: number, message: string): Response {
  return Response.json({ message }, { status });
}

function decide(request: AcknowledgeRequest, options: AcknowledgeDeskOptions): Response {
  const { check, subject } = request;
  const { acknowledgements, checks } = options;
  const state = checks()
    .status()
    .find(({ definition }) => definition.name === check);
  if (request.undo) {
    const count = acknowledgements.remove(check, subject);
    return count === 0
      ? refuse(409, `nothing of ${nameOf(request)} is acknowledged`)
      : settle(request, options, { count });
  }
  if (state === undefined) return refuse(404, `this node has no check ${check}`);
  const findings = state.result?.verdict?.findings ?? [];
  const named = findings.filter((finding) => subject === undefined || finding.subject === subject);
  const known = [...new Set(findings.map((finding) => finding.subject).filter((each) => each !== ""))];
  if (named.length === 0 && subject !== undefined && known.length > 0) {
    return refuse(409, `${check} has found nothing about "${subject}"; it has about: ${known.join(", ")}`);
  }
  if (named.length === 0) return refuse(409, `${check} has no finding`);
  const past = named.filter(({ at }) => at !== undefined);
  const left = named.filter(({ at }) => at === undefined);
  if (past.length === 0) {
    const what = left.map(describe).join("; ");
    return refuse(409, `${check} says what is so now, and that goes only when it is mended: ${what}`);
  }
  return settle(request, options, { past, left });
}

interface Decision {
  readonly past?: readonly Finding[];
  readonly left?: readonly Finding[];
  readonly count?: number;
}

function settle(
  request: AcknowledgeRequest,
  { acknowledgements, checks, events, log, now = Date.now }: AcknowledgeDeskOptions,
  { past = [], left = [], count = 0 }: Decision,
): Response {
  const { check, subject = "", by, note, undo } = request;
  const atMs = now();
  const said = past.map(describe);
  acknowledgements.add(toAcknowledgements(past, { check, by, note, atMs }));
  const what = undo ? `${nameOf(request)} is judged again` : `${check}: ${said.join("; ")}`;
  events.record({
    key: `operator:${check}:${subject}:${atMs}`,
    atMs,
    source: "operator",
    kind: undo ? "acknowledgement_withdrawn" : "acknowledged",
    severity: "info",
    device: subject,
    message: `${by}${note === "" ? "" : ` (${note})`}: ${what}`.slice(0, 500),
  });
  log.info(undo ? "acknowledgement withdrawn" : "findings acknowledged", { check, subject, by, note, findings: said });
  checks().runSoon(check);
  const answer: AcknowledgeAnswer = {
    acknowledged: said,
    left: left.map(describe),
    taken_back: count,
    stored: events.flush(),
  };
  return Response.json(answer);
}

function nameOf({ check, subject }: AcknowledgeRequest): string {
  return subject === undefined ? check : `${check}, ${subject}`;
}

/** Only up to the last time that the operator could see: what has happened since is a finding. */
function toAcknowledgements(
  findings: readonly Finding[],
  common: Omit<Acknowledgement, "subject" | "untilMs">,
): Acknowledgement[] {
  const bySubject = Map.groupBy(findings, ({ subject }) => subject);
  return [...bySubject].map(([subject, all]) => {
    const untilMs = Math.max(...all.map(({ at = "" }) => Date.parse(at)));
    return { ...common, subject, untilMs };
  });
}
