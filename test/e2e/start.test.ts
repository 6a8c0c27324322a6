import { expect, setDefaultTimeout, test } from "bun:test";
import { prepareControlServer } from "../../scripts/start/prepare.ts";
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
