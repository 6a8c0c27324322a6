import type { DaemonConfig } from "./config.ts";

/** What came of reading the configuration again. */
export interface Reload {
  /** Why it cannot be used: the one before stays in force. */
  readonly problem?: string;
  /** Settings that have changed since the daemon started and wait for a restart; the others are in force. */
  readonly needRestart: readonly string[];
}

const fixedSections = ["checks", "server", "state_directory", "log"] as const;
const fixedWebSettings = ["listen_addresses", "systemd_socket", "config_file"] as const;

/** Names as in daemon.yaml. */
export function listNeedRestart(started: DaemonConfig, next: DaemonConfig): string[] {
  const differ = (a: unknown, b: unknown): boolean => JSON.stringify(a) !== JSON.stringify(b);
  return [
    ...fixedSections.filter((key) => differ(started[key], next[key])),
    ...fixedWebSettings.filter((key) => differ(started.web[key], next.web[key])).map((key) => `web.${key}`),
  ];
}

/** In words, for an answer and for people; undefined when all of the file is in force. */
export function describeReload({ problem, needRestart }: Reload): string | undefined {
  if (problem !== undefined) return problem;
  return needRestart.length === 0 ? undefined : `a restart is needed for ${needRestart.join(", ")}`;
}
