import type { CheckView, StatusView } from "../../../daemon/status/view.ts";

export function checkView(name: string, changes: Partial<CheckView> = {}): CheckView {
  return {
    name,
    status: "ok",
    since: "2026-11-20T10:00:00.000Z",
    summary: "all is well",
    action: "none",
    findings: [],
    language: "builtin",
    source: "builtin",
    running: false,
    stale: false,
    next_run_seconds: 10,
    skipped_runs: 0,
    ...changes,
  };
}

export function statusView(changes: Partial<StatusView> = {}): StatusView {
  return {
    hostname: "gpu-17",
    status: "ok",
    now: "2026-11-20T12:00:00.000Z",
    started_at: "2026-11-17T12:00:00.000Z",
    ready: true,
    version: { version: "1.2.3" },
    checks: { checks: [] },
    collectors: {},
    stuck: [],
    probe_processes: { running: 1, abandoned: 0 },
    events: [],
    ...changes,
  };
}
