import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { isErrno } from "../../collectors/read.ts";
import { ensureBinary } from "../../scripts/binary.ts";
import { waitForPage } from "../harness/daemon.ts";
import { prepareNode, startNode } from "../harness/fleet.ts";
import { startProcess } from "../harness/process.ts";
import { lacks } from "../harness/requirements.ts";
import { startServer } from "../harness/server.ts";
import { waitFor } from "../harness/wait.ts";
import { createWorkspace, type Workspace } from "../harness/workspace.ts";

setDefaultTimeout(300_000);

const kills = 200;

test.skipIf(await lacks("sandbox"))(
  `${kills} kills at random moments never leave a state that the daemon cannot start from`,
  async () => {
    using workspace = createWorkspace();
    await using server = await startServer({ workspace });
    await prepareNode(server, workspace);
    await using first = await startNode(workspace, { serverUrl: server.url });
    await waitForPage(first, ["mount_check"]);
    await first.process.stop();
    const identity = readIdentity(workspace);

    for (let count = 0; count < kills; count += 1) await startAndKill(workspace);

    await using last = await startNode(workspace, { serverUrl: server.url });
    await waitForPage(last, ["node_cpu_seconds_total", "mount_check"]);
    expect(readIdentity(workspace)).toEqual(identity);
    expect(readdirSync(workspace.file("state")).filter((name) => name.includes("damaged"))).toEqual([]);
    await last.process.stop();
    await waitFor("everything that killed daemons had started to end", () => leftovers(workspace).length === 0);
  },
);

/** From before the first line of code to checks that are running. An error line fails the test. */
async function startAndKill(workspace: Workspace): Promise<void> {
  await using daemon = startProcess({
    name: "daemon",
    argv: [await ensureBinary(), "daemon", "--config", workspace.file("daemon.yaml")],
  });
  await Promise.race([Bun.sleep(Math.random() * 300), daemon.exited]);
  daemon.kill("SIGKILL");
  // Anything else means that it ended by itself: it could not start.
  expect(await daemon.exited).toEqual({ exitCode: null, signal: "SIGKILL" });
}

function readIdentity(workspace: Workspace): { privateKey: string; nodeId: string | undefined } {
  const { privateKey, registration } = JSON.parse(readFileSync(workspace.file("state/identity.json"), "utf8")) as {
    privateKey: string;
    registration?: { nodeId: string };
  };
  return { privateKey, nodeId: registration?.nodeId };
}

/** Sandboxes and probes of this test's daemons that outlived them. */
function leftovers(workspace: Workspace): string[] {
  return readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid) && existsSync(`/proc/${pid}/cmdline`))
    .map((pid) => readCommandLine(pid))
    .filter((line) => line.includes(workspace.path) && !line.includes(" server "));
}

function readCommandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return ""; // ended meanwhile
    throw error;
  }
}
