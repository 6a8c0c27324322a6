import { duration } from "../../checks/builtin/builtin.ts";
import type { NodeView } from "../node/status.ts";

export interface FleetLine {
  readonly text: string;
  /** Somebody has to look at it. */
  readonly isProblem: boolean;
}

/** What there is to say about the control server, in lines for people; none on a node that has none. */
export function describeFleet(node: NodeView | undefined, nowMs: number): FleetLine[] {
  if (node?.server === undefined) return [];
  const { server, node_id: id, fleet, error, bundle } = node;
  const lines: FleetLine[] = [];
  const say = (text: string, isProblem = false): void => void lines.push({ text, isProblem });
  const since = server.last_success_at;
  const contact = since === undefined ? "no answer since the start" : `last answer ${ago(since, nowMs)}`;
  if (!server.registered) say(`not registered with ${server.url}`, true);
  else {
    const as = `registered with ${server.url} as ${id ?? "an unknown node"}${fleet === undefined ? "" : ` of ${fleet}`}`;
    say(`${as}, ${server.reachable ? contact : `out of reach, ${contact}`}`, !server.reachable);
  }
  if (error !== undefined) say(`${error.code}: ${error.message}`, true);
  const skew = Math.abs(server.clock_skew_seconds ?? 0);
  if (skew > skewSeconds) say(`the clock differs from the server's by ${duration(skew)}`, true);
  if (bundle === undefined) {
    if (server.registered) say("no policies from the server yet");
    return lines;
  }
  const { epoch, version, source, checks, groups, expired, expires_at: expires, refused } = bundle;
  const from = source === "server" ? "" : ` from ${source}`;
  const of = groups.length === 0 ? "" : `, groups ${groups.join(", ")}`;
  say(`policies of revision ${epoch}.${version}${from}: ${checks === 1 ? "1 check" : `${checks} checks`}${of}`);
  if (expired) say(`these policies have expired ${ago(expires, nowMs)}: they go on, and new ones are missing`, true);
  for (const { name, code, message } of refused) say(`check ${name} is refused, ${code}: ${message}`, true);
  return lines;
}

const skewSeconds = 30;

function ago(time: string, nowMs: number): string {
  const seconds = (nowMs - Date.parse(time)) / 1000;
  return Number.isNaN(seconds) ? "at an unknown time" : `${duration(seconds)} ago`;
}
