import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { prepareControlServer, prepareRegistration } from "../../scripts/start/prepare.ts";
import { waitForPage } from "../harness/daemon.ts";
import { prepareNode, startNode } from "../harness/fleet.ts";
import { startServer } from "../harness/server.ts";
import { createWorkspace } from "../harness/workspace.ts";

setDefaultTimeout(180_000);

test("npm start leaves a policy of one's own alone, whatever its name", async () => {
  using workspace = createWorkspace();
  await using server = await startServer({ workspace });
  const own = {
    name: "mount_points",
    script_type: "mount",
    language: "bash",
    scope: "global",
    script_content: "true\n",
  };
  await server.api.post("/api/v1/script-policies/direct", own);
  await prepareControlServer(server.api);
  await prepareControlServer(server.api);
  const policies = await server.api.get<{ name: string }[]>("/api/v1/script-policies/global");
  expect(policies.map(({ name }) => name).toSorted()).toEqual(["disk_usage", "mount_points"]);
});

test("the daemon of the first machine is announced where others reach it, once the server is there for others", async () => {
  using workspace = createWorkspace();
  await using server = await startServer({ workspace });
  const group = await prepareNode(server, workspace);
  await using node = await startNode(workspace, { serverUrl: server.url });
  const announced = async (): Promise<string[]> => {
    const entries = await server.api.get<{ targets: string[] }[]>("/api/v1/sd/prometheus");
    return entries.flatMap(({ targets }) => targets);
  };
  await waitForPage(node, ["aami_registered 1"]);
  expect(await announced()).toEqual([`127.0.0.1:${node.port}`]);

  const again = (address: string, { api = server.api, port = node.port } = {}): Promise<void> =>
    prepareRegistration(api, {
      group,
      tokenFile: workspace.file("bootstrap-token"),
      stateDirectory: workspace.file("state"),
      address,
      port,
    });
  await again("192.0.2.7");
  expect(await announced()).toEqual([`192.0.2.7:${node.port}`]);
  // The daemon listens on all addresses, so this one stays good.
  await again("127.0.0.1");
  expect(await announced()).toEqual([`192.0.2.7:${node.port}`]);
  await again("127.0.0.1", { port: 9101 });
  expect(await announced()).toEqual(["192.0.2.7:9101"]);
  // The same server at another address of its own.
  await again("127.0.0.1", { api: { ...server.api, url: "http://127.0.0.2" }, port: 9102 });
  expect(await announced()).toEqual(["192.0.2.7:9102"]);
  expect(existsSync(workspace.file("bootstrap-token"))).toBe(false);
});
