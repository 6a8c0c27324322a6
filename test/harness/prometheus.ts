import { findTestProgram, testProgramEnvironment } from "../../scripts/test-servers.ts";
import { goListeningPort, type RunningProcess, runProcess, startProcess } from "./process.ts";
import { waitFor } from "./wait.ts";
import { createWorkspace } from "./workspace.ts";

export interface Prometheus extends AsyncDisposable {
  readonly url: string;
  readonly process: RunningProcess;
  /** The result of an instant query: one entry per series. */
  query(expression: string): Promise<QueryResult[]>;
  activeTargets(): Promise<ActiveTarget[]>;
}

export interface QueryResult {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

export interface ActiveTarget {
  readonly labels: Readonly<Record<string, string>>;
  readonly health: "up" | "down" | "unknown";
  readonly lastError: string;
  readonly scrapeUrl: string;
}

/** A real Prometheus with this prometheus.yml and an empty database. */
export async function startPrometheus(configuration: string): Promise<Prometheus> {
  const workspace = createWorkspace();
  await Bun.write(workspace.file("prometheus.yml"), configuration);
  const running = startProcess({
    name: "prometheus",
    argv: [
      requireProgram("prometheus"),
      `--config.file=${workspace.file("prometheus.yml")}`,
      `--storage.tsdb.path=${workspace.file("data")}`,
      "--web.listen-address=127.0.0.1:0",
    ],
    env: testProgramEnvironment(),
  });
  const url = `http://127.0.0.1:${await goListeningPort(running)}`;
  const get = async <T>(path: string): Promise<T> => {
    const response = await fetch(`${url}${path}`);
    const body = (await response.json()) as { status: string; data: T; error?: string };
    if (body.status !== "success") throw new Error(`prometheus: ${body.error}`);
    return body.data;
  };
  await waitFor("prometheus to be ready", async () => (await fetch(`${url}/-/ready`)).ok);
  return {
    url,
    process: running,
    query: async (expression) =>
      (await get<{ result: QueryResult[] }>(`/api/v1/query?query=${encodeURIComponent(expression)}`)).result,
    activeTargets: async () =>
      (await get<{ activeTargets: ActiveTarget[] }>("/api/v1/targets?state=active")).activeTargets,
    [Symbol.asyncDispose]: async () => {
      await running[Symbol.asyncDispose]();
      workspace[Symbol.dispose]();
    },
  };
}

/** The complaints of `promtool check metrics` over a page; a page that does not parse is one complaint. */
export async function promtoolComplaints(page: string): Promise<string[]> {
  const { exitCode, stdout, stderr } = await runProcess([requireProgram("promtool"), "check", "metrics"], {
    env: testProgramEnvironment(),
    stdin: page,
  });
  const complaints = `${stdout}${stderr}`.split("\n").filter((line) => line !== "");
  // 3 is promtool's exit status for lint findings.
  if (exitCode !== 0 && exitCode !== 3) return [`promtool ended with ${exitCode}`, ...complaints];
  return complaints;
}

function requireProgram(program: "prometheus" | "promtool"): string {
  const path = findTestProgram(program);
  if (path === undefined) throw new Error(`${program} is not here; npm test unpacks it`);
  return path;
}
