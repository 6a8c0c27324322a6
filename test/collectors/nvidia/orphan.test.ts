import { expect, test } from "bun:test";
import { closeSync } from "node:fs";
import { createBegunJob } from "../../../collectors/probe/begun-job.ts";
import { selfCommand } from "../../../runtime/self.ts";
import { buildNvmlLibrary } from "../../equipment/nvml/library.ts";
import { waitFor } from "../../harness/wait.ts";
import { createWorkspace } from "../../harness/workspace.ts";

const limitMs = 60_000;

test(
  "a helper whose daemon is gone in the middle of a call gives the devices back and ends",
  async () => {
    using workspace = createWorkspace();
    const script = ["gpus 8", "gpu 3 delay nvmlDeviceGetPowerUsage 300"];
    const library = buildNvmlLibrary({ workspace, script });
    const { fd } = createBegunJob();
    const stdio = ["pipe", "pipe", "ignore", "pipe", fd] as const;
    const helper = Bun.spawn(selfCommand("probe", "nvml"), { cwd: "/", stdio: [...stdio] });
    closeSync(fd);
    const setup = { library: library.path, procPath: "/proc", jobFolder: "", countersFile: "" };
    const job = { job: "sample", params: { pciBusId: "00000000:4B:00.0", perLink: false }, deadlineMs: 20_000 };
    const requests = [{ setup }, { id: 1, ...job }, { id: 2, ...job }];
    helper.stdin.write(requests.map((request) => `${JSON.stringify(request)}\n`).join(""));
    await helper.stdin.flush();
    await waitFor("a call that takes long", () => library.journal().some((line) => line.startsWith("delay")));
    // All that the kernel does when a process is killed: its ends of the pipes are closed.
    await helper.stdout.cancel();
    if (typeof helper.stdio[3] === "number") closeSync(helper.stdio[3]);
    await helper.stdin.end();
    await helper.exited;
    expect(library.journal().at(-1)).toBe(`shutdown ${helper.pid}`);
  },
  limitMs,
);
