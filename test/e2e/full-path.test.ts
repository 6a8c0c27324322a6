import { expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { seriesValue, waitForPage } from "../harness/daemon.ts";
import { prepareNode, startNode } from "../harness/fleet.ts";
import { startPrometheus } from "../harness/prometheus.ts";
import { lacks } from "../harness/requirements.ts";
import { startServer } from "../harness/server.ts";
import { waitFor } from "../harness/wait.ts";
import { createWorkspace, type Workspace } from "../harness/workspace.ts";

setDefaultTimeout(180_000);

const noSandbox = await lacks("sandbox");
const noPrometheus = await lacks("prometheus");

interface Target {
  readonly id: string;
  readonly hostname: string;
  readonly status: string;
}

test.skipIf(noSandbox)("a daemon registers, gets the signed bundle and runs both shipped checks", async () => {
  using workspace = createWorkspace();
  await using server = await startServer({ workspace });
  await prepareNode(server, workspace);
  await using daemon = await startNode(workspace, { serverUrl: server.url });

  await waitForPage(daemon, ["mount_check", "aami_check_"]);
  const targets = await server.api.get<Target[]>("/api/v1/targets");
  expect(targets).toHaveLength(1);
  const [target] = targets;
  const checks = await server.api.get<{ name: string; language: string }[]>(`/api/v1/checks/target/${target?.id}`);
  expect(checks.map(({ language }) => language).sort()).toEqual(["bash", "python"]);
  const page = await daemon.page();
  for (const { name } of checks) expect(page).toContain(`check="${name}"`);
});

test.skipIf(noSandbox)(
  "a script that an admin applies reaches the page within seconds, and leaves with its policy",
  async () => {
    using workspace = createWorkspace();
    await using server = await startServer({ workspace });
    await prepareNode(server, workspace);
    await using daemon = await startNode(workspace, { serverUrl: server.url });
    await waitForPage(daemon, ["mount_check"]);

    const policy = await server.api.post<{ id: string }>("/api/v1/script-policies", {
      name: "who-am-i",
      script_type: "test",
      script_content: 'echo "who_am_i{uid=\\"$(id -u)\\",shadow=\\"$(cat /etc/shadow 2>/dev/null | wc -l)\\"} 1"\n',
      language: "bash",
      scope: "global",
    });
    const page = await waitForPage(daemon, ["who_am_i{"]);
    // Confined: not root, and root's files are out of sight.
    expect(page).not.toContain('uid="0"');
    expect(page).toMatch(/who_am_i\{[^}]*shadow="0"/);

    await server.api.post("/api/v1/script-policies/delete", { id: policy.id });
    await waitFor("the series to leave with its policy", async () => !(await daemon.page()).includes("who_am_i{"));
  },
);

test.skipIf(noSandbox)("with the server gone a restarted daemon serves and goes on with its checks", async () => {
  using workspace = createWorkspace();
  const server = await startServer({ workspace });
  await prepareNode(server, workspace);
  {
    await using daemon = await startNode(workspace, { serverUrl: server.url });
    await waitForPage(daemon, ["mount_check"]);
  }
  await server[Symbol.asyncDispose]();

  await using daemon = await startNode(workspace, { serverUrl: server.url });
  const page = await waitForPage(daemon, ["mount_check", "node_cpu_seconds_total"]);
  const lastRun = /^(aami_check_last_run_timestamp_seconds\{[^}]*\}) /m.exec(page)?.[1];
  expect(lastRun).toBeDefined();
  expect(seriesValue(page, lastRun ?? "")).toBeGreaterThan(0);
});

test.skipIf(noSandbox || noPrometheus)(
  "Prometheus discovers the daemon and answers for node and check metrics",
  async () => {
    using workspace = createWorkspace();
    await using server = await startServer({ workspace });
    await prepareNode(server, workspace);
    await using daemon = await startNode(workspace, { serverUrl: server.url });
    await waitForPage(daemon, ["mount_check"]);

    await using prometheus = await startPrometheus(await discoveryConfig(workspace, server));
    const answers = async (expression: string) =>
      waitFor(
        `an answer to ${expression}`,
        async () => {
          const result = await prometheus.query(expression);
          return result.length > 0 ? result : undefined;
        },
        { deadlineSeconds: 60 },
      );
    const [load] = await answers("node_load1");
    expect(load?.metric["instance"]).toBeDefined();
    expect(load?.metric["group"]).toBe("environment:local");
    expect(load?.metric["job"]).toBe("aami");
    expect((await answers("mount_check")).length).toBeGreaterThan(0);
    expect((await answers("up == 1")).length).toBe(1);
    const [target] = await prometheus.activeTargets();
    expect(target?.scrapeUrl).toBe(`${daemon.url}/metrics`);
  },
);

/**
 * A prometheus.yml as an operator would write it, with a token that may do nothing but discover. Prometheus 2.42 sends
 * no scheme at all for HTTP service discovery unless the type is spelt out.
 */
async function discoveryConfig(workspace: Workspace, server: Awaited<ReturnType<typeof startServer>>): Promise<string> {
  const { token } = await server.api.post<{ token: string }>("/api/v1/admin-tokens", {
    name: "prometheus",
    role: "discovery",
  });
  const tokenFile = workspace.file("discovery.token");
  writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 });
  return `
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: aami
    http_sd_configs:
      - url: ${server.url}/api/v1/sd/prometheus
        refresh_interval: 1s
        authorization: { type: Bearer, credentials_file: ${tokenFile} }
`;
}
