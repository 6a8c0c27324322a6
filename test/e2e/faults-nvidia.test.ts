import { expect, test } from "bun:test";
import { ensureBinary } from "../../scripts/binary.ts";
import { buildNvmlLibrary, type NvmlLibrary } from "../equipment/nvml/library.ts";
import { compareScrapes } from "../equipment/scrape-watch.ts";
import { type RunningDaemon, seriesValue, startDaemon, waitForPage } from "../harness/daemon.ts";
import { runProcess } from "../harness/process.ts";
import { waitFor } from "../harness/wait.ts";
import { createWorkspace, type Workspace } from "../harness/workspace.ts";

const limitMs = 180_000;

interface Node {
  readonly daemon: RunningDaemon;
  readonly library: NvmlLibrary;
}

async function startNode(workspace: Workspace): Promise<Node> {
  const library = buildNvmlLibrary({ workspace, script: ["gpus 8"] });
  const nvidia = {
    library: library.path,
    interval_seconds: 1,
    deadline_seconds: 3,
    reprobe_seconds: 2,
    release_file: workspace.file("run/gpu-release"),
  };
  const daemon = await startDaemon({ workspace, config: { collectors: { nvidia } } });
  await waitForPage(daemon, ['aami_gpu_state{gpu="7",state="ok",uuid="GPU-00000000-0000-4000-8000-000000000007"} 1']);
  return { daemon, library };
}

const uuid = "GPU-00000000-0000-4000-8000-000000000003";

test(
  "the page is as fast with a GPU that hangs, and names the call",
  async () => {
    using workspace = createWorkspace();
    const { daemon, library } = await startNode(workspace);
    await using _ = daemon;
    library.script("gpus 8", "gpu 3 block nvmlDeviceGetPowerUsage");
    const reason = `aami_gpu_trouble_info{gpu="3",reason="nvmlDeviceGetPowerUsage does not come back",state="stuck"`;
    const page = await waitForPage(daemon, [reason]);
    expect(seriesValue(page, `aami_gpu_state{gpu="3",state="stuck",uuid="${uuid}"}`)).toBe(1);
    expect(seriesValue(page, 'node_scrape_collector_success{collector="nvidia"}')).toBe(1);
    using other = createWorkspace();
    const { daemon: healthy } = await startNode(other);
    await using __ = healthy;
    expect(await compareScrapes(daemon, healthy)).toBeLessThan(1.2);
    library.script("gpus 8");
    await waitForPage(daemon, [`aami_gpu_state{gpu="3",state="ok",uuid="${uuid}"} 1`]);
  },
  limitMs,
);

test(
  "the devices are given back when the daemon is asked to end, and when it is killed",
  async () => {
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      using workspace = createWorkspace();
      const { daemon, library } = await startNode(workspace);
      await using _ = daemon;
      const helper = library.journal().at(-1)?.split(" ")[1];
      // What a service manager does to a whole unit must not end the helper before the daemon has.
      process.kill(Number(helper), "SIGTERM");
      daemon.process.kill(signal);
      await daemon.process.exited;
      await waitFor("the helper's last word", () => library.journal().at(-1) === `shutdown ${helper}`);
    }
  },
  limitMs,
);

test(
  "aami gpu release and acquire",
  async () => {
    using workspace = createWorkspace();
    const { daemon, library } = await startNode(workspace);
    await using _ = daemon;
    const aami = await ensureBinary();
    const file = workspace.file("run/gpu-release");
    const released = await runProcess([aami, "gpu", "release", "--file", file, "--minutes", "5"], {});
    expect(released).toMatchObject({ exitCode: 0 });
    expect(released.stdout).toStartWith("The NVIDIA devices are released until ");
    expect(library.journal().at(-1)).toStartWith("shutdown ");
    await waitForPage(daemon, [`aami_gpu_state{gpu="3",state="released",uuid="${uuid}"} 1`]);
    const acquired = await runProcess([aami, "gpu", "acquire", "--file", file], {});
    expect(acquired).toMatchObject({ exitCode: 0 });
    await waitForPage(daemon, [`aami_gpu_state{gpu="3",state="ok",uuid="${uuid}"} 1`]);
    const refused = await runProcess([aami, "gpu", "release", "--minutes", "never"], {});
    expect(refused.exitCode).toBe(2);
  },
  limitMs,
);
