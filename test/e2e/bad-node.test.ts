import { expect, setDefaultTimeout, test } from "bun:test";
import { findTestProgram } from "../../scripts/test-servers.ts";
import { seriesValue, waitForPage } from "../harness/daemon.ts";
import { prepareNode, startNode, writeToken } from "../harness/fleet.ts";
import { lacks } from "../harness/requirements.ts";
import { type RunningServer, startServer } from "../harness/server.ts";
import { waitFor } from "../harness/wait.ts";
import { createWorkspace, type Workspace } from "../harness/workspace.ts";

setDefaultTimeout(180_000);

const secret = "A".repeat(43);

interface TokenAnswer {
  readonly token: string;
}

async function expiredToken(server: RunningServer): Promise<string> {
  const expiresAt = new Date(Date.now() + 3000).toISOString();
  const { token } = await server.api.post<TokenAnswer>("/api/v1/bootstrap-tokens", { expires_at: expiresAt });
  await waitFor("the token to expire", () => Date.now() > Date.parse(expiresAt));
  return token;
}

async function usedUpToken(server: RunningServer): Promise<string> {
  const { token } = await server.api.post<TokenAnswer>("/api/v1/bootstrap-tokens", { max_uses: 1 });
  const response = await fetch(`${server.url}/api/v1/bootstrap/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token, hostname: "someone-else", ip_address: "127.0.0.1" }),
  });
  expect(response.ok).toBe(true);
  return token;
}

/** A token of the right form that this server never made, with this server's fingerprint. */
async function foreignToken(server: RunningServer): Promise<string> {
  const { token } = await server.api.post<TokenAnswer>("/api/v1/bootstrap-tokens", {});
  return `aami_bootstrap_${"a".repeat(10)}_${secret}${token.slice(token.lastIndexOf("_", token.length - 43))}`;
}

type PrepareToken = (workspace: Workspace, server: RunningServer) => Promise<void> | void;

const badTokens: readonly (readonly [code: string, prepare: PrepareToken])[] = [
  ["TOKEN_MISSING", () => {}],
  ["TOKEN_MALFORMED", (workspace) => writeToken(workspace, "aami_bootstrap_cut-off")],
  ["TOKEN_FILE_MODE", async (workspace, server) => writeToken(workspace, await foreignToken(server), 0o644)],
  ["TOKEN_INVALID", async (workspace, server) => writeToken(workspace, await foreignToken(server))],
  ["TOKEN_EXPIRED", async (workspace, server) => writeToken(workspace, await expiredToken(server))],
  ["TOKEN_EXHAUSTED", async (workspace, server) => writeToken(workspace, await usedUpToken(server))],
];

test.each(badTokens)("%s is said on the page, and the daemon serves as an exporter", async (code, prepare) => {
  using workspace = createWorkspace();
  await using server = await startServer({ workspace });
  await prepare(workspace, server);
  await using daemon = await startNode(workspace, { serverUrl: server.url, expectedErrors: [/./] });
  const page = await waitForPage(daemon, [`aami_registration_failures_total{code="${code}"}`]);
  expect(page).toContain("node_cpu_seconds_total");
  expect(seriesValue(page, "aami_registered")).toBe(0);
});

test("a new token in the file is noticed without a restart", async () => {
  using workspace = createWorkspace();
  await using server = await startServer({ workspace });
  await using daemon = await startNode(workspace, { serverUrl: server.url, expectedErrors: [/TOKEN_MISSING/] });
  await waitForPage(daemon, ['aami_registration_failures_total{code="TOKEN_MISSING"}']);
  await prepareNode(server, workspace);
  await waitForPage(daemon, ["aami_registered 1"]);
});

const noFaketime = await lacks("libfaketime.so.1");

test.skipIf(noFaketime).each(["+400d", "-400d"])(
  "a clock that is off by %s is corrected for registration and shown on the page",
  async (offset) => {
    using workspace = createWorkspace();
    await using server = await startServer({ workspace });
    await prepareNode(server, workspace);
    const env = { LD_PRELOAD: findTestProgram("libfaketime.so.1") ?? "", FAKETIME: offset };
    await using daemon = await startNode(workspace, { serverUrl: server.url, env, expectedErrors: [/./] });
    const page = await waitForPage(daemon, ["aami_registered 1", "aami_clock_skew_seconds"]);
    const skewDays = (seriesValue(page, "aami_clock_skew_seconds") ?? 0) / -86_400;
    expect(Math.abs(skewDays - Number.parseInt(offset, 10))).toBeLessThan(1);
  },
);
