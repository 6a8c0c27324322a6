import { expect, test } from "bun:test";
import type { StatusView } from "../../../daemon/status/view.ts";
import { buildNvmlLibrary } from "../../equipment/nvml/library.ts";
import { waitFor } from "../../harness/wait.ts";
import { createWorkspace } from "../../harness/workspace.ts";
import { startDaemonProcess } from "../running-daemon.ts";

test("a GPU that is lost in the middle shows on the page with what to do, and goes when it is back", async () => {
  using workspace = createWorkspace();
  const library = buildNvmlLibrary({ workspace, script: ["gpus 2"] });
  const config = workspace.file("daemon.yaml");
  await Bun.write(
    config,
    [
      `state_directory: ${workspace.file("no-state")}`,
      `collectors: { nvidia: { library: ${library.path}, interval_seconds: 1, reprobe_seconds: 2, release_file: ${workspace.file("release")} } }`,
      "checks: { builtin: { gpu_count: { interval_seconds: 5 } } }",
    ].join("\n"),
  );
  await using daemon = await startDaemonProcess(`--config=${config}`);

  const statusOf = async (): Promise<string | undefined> => {
    const view = (await (await daemon.get("/api/v1/status")).json()) as StatusView;
    return view.checks.checks.find(({ name }) => name === "gpu_count")?.status;
  };
  const becomes = (wanted: string): Promise<unknown> =>
    waitFor(`gpu_count to be ${wanted}`, async () => (await statusOf()) === wanted);

  await becomes("ok");
  library.script("gpus 2", "gpu 1 return * 15");
  await becomes("critical");
  const page = await (await daemon.get("/")).text();
  expect(page).toContain("the driver no longer reaches it");
  expect(page).toContain("Drain the node and reboot it.");
  library.script("gpus 2");
  await becomes("ok");
}, 180_000);
