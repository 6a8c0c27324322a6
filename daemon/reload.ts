import { selectionKeys } from "../checks/config.ts";
import type { DaemonConfig } from "./config.ts";

/** What came of reading the configuration again. */
export interface Reload {
  /** Why it cannot be used: the one before stays in force. */
  readonly problem?: string;
  /** Settings that have changed since the daemon started and wait for a restart; the others are in force. */
  readonly needRestart: readonly string[];
}

const fixedSections = ["server", "state_directory", "log"];
const fixedWebSettings = ["listen_addresses", "systemd_socket", "config_file"];

/** Names as in daemon.yaml. */
export function listNeedRestart(started: DaemonConfig, next: DaemonConfig): string[] {
  const webSettings = listChanges(started.web, next.web).filter((key) => fixedWebSettings.includes(key));
  const selection: readonly string[] = selectionKeys;
  const checkSettings = listChanges(started.checks, next.checks).filter((key) => !selection.includes(key));
  return [
    ...checkSettings.map((key) => `checks.${key}`),
    ...listChanges(started, next).filter((key) => fixedSections.includes(key)),
    ...webSettings.map((key) => `web.${key}`),
  ];
}

function listChanges<Section extends object>(started: Section, next: Section): string[] {
  const keys = new Set([...Object.keys(started), ...Object.keys(next)]) as Set<keyof Section & string>;
  return [...keys].filter((key) => JSON.stringify(started[key]) !== JSON.stringify(next[key]));
}

/** In words, for an answer and for people; undefined when all of the file is in force. */
export function describeReload({ problem, needRestart }: Reload): string | undefined {
  if (problem !== undefined) return problem;
  return needRestart.length === 0 ? undefined : `a restart is needed for ${needRestart.join(", ")}`;
}
