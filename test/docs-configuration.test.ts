import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseCommandLine } from "../daemon/command-line.ts";
import { renderConfigurationPage } from "./configuration-page.ts";
import { createWorkspace } from "./harness/workspace.ts";

const page = readFileSync(join(import.meta.dir, "../docs/configuration.md"), "utf8");

test("docs/configuration.md has every key as the schema has it: else bun test/configuration-page.ts", () => {
  expect(renderConfigurationPage(page)).toBe(page);
  expect([...page.matchAll(/^\| `[a-z_.0-9]+` \|/gm)].length).toBeGreaterThan(300);
  expect(page).toContain('| `web.listen_addresses` | list of string | `[":9100"]` | restart |');
  expect(page).toContain("| `web.max_requests` | integer | `40` | reload |");
});

test("its example is accepted", async () => {
  using workspace = createWorkspace();
  await Bun.write(workspace.file("daemon.yaml"), /```yaml\n(.*?)```/s.exec(page)?.[1] ?? "not: there");
  const commandLine = parseCommandLine([`--config=${workspace.file("daemon.yaml")}`]);
  if (commandLine.action === "print") throw new Error("nothing to load");
  expect(commandLine.load().config.checks.builtin["gpu_count"]).toEqual({ expected_gpus: 8 });
});
