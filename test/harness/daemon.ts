import { ensureBinary } from "../../scripts/binary.ts";
import { type RunningProcess, startProcess } from "./process.ts";
import { waitFor } from "./wait.ts";
import type { Workspace } from "./workspace.ts";

export interface DaemonOptions {
  /** Holds configuration and state; a second daemon started in it is the same node. */
  readonly workspace: Workspace;
  /** Sections of daemon.yaml, put over an ephemeral port and a state folder in the workspace. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly expectedErrors?: readonly RegExp[];
}

export interface RunningDaemon extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly process: RunningProcess;
  get(path: string, init?: BunFetchRequestInit): Promise<Response>;
  /** The body of /metrics, or of another path, which must answer 200. */
  page(path?: string): Promise<string>;
}

export async function writeDaemonConfig(
  workspace: Workspace,
  config: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const file = workspace.file("daemon.yaml");
  const defaults = { web: { listen_addresses: ["127.0.0.1:0"] }, state_directory: workspace.file("state") };
  // JSON is YAML.
  await Bun.write(file, JSON.stringify({ ...defaults, ...config }, undefined, 2));
  return file;
}

/** `aami daemon` from the compiled binary; resolves when it listens. */
export async function startDaemon(options: DaemonOptions): Promise<RunningDaemon> {
  const { workspace, config, flags = [], env, expectedErrors } = options;
  const file = await writeDaemonConfig(workspace, config);
  const running = startProcess({
    name: "daemon",
    argv: [await ensureBinary(), "daemon", "--config", file, ...flags],
    ...(env === undefined ? {} : { env }),
    ...(expectedErrors === undefined ? {} : { expectedErrors }),
  });
  const port = await listeningPort(running);
  const url = `http://127.0.0.1:${port}`;
  const get = (path: string, init?: BunFetchRequestInit): Promise<Response> => fetch(`${url}${path}`, init);
  return {
    url,
    port,
    process: running,
    get,
    page: async (path = "/metrics") => {
      const response = await get(path);
      if (response.status !== 200) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
      return response.text();
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

/** The port that 0 became, from the log line of the listener. */
export async function listeningPort(running: RunningProcess): Promise<number> {
  const line = await running.waitForLine(/"msg":"listening/);
  const port = /(?:127\.0\.0\.1|localhost|\[::1\]|0\.0\.0\.0|\[::\]):(\d+)/.exec(line)?.[1];
  if (port === undefined) throw new Error(`no port in ${line}`);
  return Number(port);
}

/** The value of one series, `name` or `name{label="value"}`; undefined when the page does not have it. */
export function seriesValue(page: string, series: string): number | undefined {
  const line = page.split("\n").find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

/** Scrapes until the page has all of these texts, and returns it. */
export function waitForPage(daemon: RunningDaemon, texts: readonly string[], deadlineSeconds = 60): Promise<string> {
  return waitFor(
    `a page with ${texts.join(" and ")}`,
    async () => {
      const page = await daemon.page();
      const missing = texts.filter((text) => !page.includes(text));
      if (missing.length > 0) throw new Error(`the page lacks ${missing.join(", ")}`);
      return page;
    },
    { deadlineSeconds },
  );
}
