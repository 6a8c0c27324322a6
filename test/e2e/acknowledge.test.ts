import { expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, constants, mkdirSync, openSync, statSync, writeSync } from "node:fs";
import { uptime } from "node:os";
import type { StatusView } from "../../daemon/status/view.ts";
import { ensureBinary } from "../../scripts/binary.ts";
import { isRoot } from "../../scripts/system-packages.ts";
import { type RunningDaemon, startDaemon } from "../harness/daemon.ts";
import { waitFor } from "../harness/wait.ts";
import { createWorkspace, type Workspace } from "../harness/workspace.ts";

setDefaultTimeout(180_000);

/** A pipe in the place of /dev/kmsg: one write is one record, and nobody else's lines are in it. */
function createKernelLog(workspace: Workspace) {
  const path = workspace.file("kmsg");
  Bun.spawnSync(["mkfifo", path]);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  // Each ten seconds after the one before, as errors within two seconds are one matter.
  const firstSeconds = uptime() - 60;
  let sequence = 0;
  return {
    path,
    xid: (code: number): void => {
      const text = `NVRM: Xid (PCI:0000:3b:00): ${code}, pid=7, name=python3, text`;
      const microseconds = Math.round((firstSeconds + sequence * 10) * 1e6);
      writeSync(fd, `3,${sequence++},${microseconds},-;${text}\n`);
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}

/** As somebody who has become root by sudo. */
async function aami(workspace: Workspace, ...args: readonly string[]) {
  const command = [await ensureBinary(), ...args, "--state-directory", workspace.file("state")];
  const child = Bun.spawn(command, { env: { ...process.env, SUDO_USER: "ada" }, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { stdout, stderr, exitCode };
}

async function viewOf(daemon: RunningDaemon): Promise<StatusView> {
  return (await (await daemon.get("/api/v1/status")).json()) as StatusView;
}

async function findingsOf(daemon: RunningDaemon, check: string): Promise<readonly string[]> {
  const { checks } = await viewOf(daemon);
  return checks.checks.find(({ name }) => name === check)?.findings?.map(({ summary }) => summary) ?? [];
}

function waitForXid(daemon: RunningDaemon, code: number): Promise<unknown> {
  return waitFor(`a finding about Xid ${code}`, async () =>
    (await findingsOf(daemon, "gpu_xid")).some((summary) => summary.startsWith(`Xid ${code},`)),
  );
}

function waitForNone(daemon: RunningDaemon): Promise<unknown> {
  return waitFor("no finding of gpu_xid", async () => (await findingsOf(daemon, "gpu_xid")).length === 0);
}

test("an Xid that was dealt with goes, stays away over a restart, and comes back when it happens again", async () => {
  using workspace = createWorkspace();
  using kernelLog = createKernelLog(workspace);
  mkdirSync(workspace.file("state"));
  const config = {
    collectors: { kmsg: { device: kernelLog.path } },
    checks: {
      builtin: {
        gpu_xid: { interval_seconds: 5 },
        root_disk: { warning_free_ratio: 1, interval_seconds: 5 },
      },
    },
  };
  {
    await using daemon = await startDaemon({ workspace, config });
    kernelLog.xid(79);
    await waitForXid(daemon, 79);

    // The shell's escape quotes some names that need no quotes, and this one is random.
    const hint = `aami acknowledge gpu_xid --note TEXT --state-directory ${workspace.file("state")}`;
    expect((await daemon.page("/")).replaceAll("&quot;", "")).toContain(`<code>${hint}</code>`);
    const done = await aami(workspace, "acknowledge", "gpu_xid", "--note", "GPU replaced");
    expect(done.stderr).toBe("");
    expect(done.stdout).toStartWith("acknowledged: GPU 0000:3b:00: Xid 79, GPU has fallen off the bus;");
    expect(done.exitCode).toBe(0);
    await waitForNone(daemon);
    const page = await daemon.page("/");
    expect(page).toContain("gpu_xid, GPU 0000:3b:00:");
    expect(page).toContain("by ada, GPU replaced");
    const event = (await viewOf(daemon)).events.find(({ source }) => source === "operator");
    expect(event?.message).toStartWith("ada (GPU replaced): gpu_xid: GPU 0000:3b:00: Xid 79");

    const again = await aami(workspace, "acknowledge", "gpu_xid");
    expect([again.exitCode, again.stderr]).toEqual([1, "aami: gpu_xid has no finding\n"]);
    daemon.process.kill("SIGKILL");
    await daemon.process.exited;
  }
  await using daemon = await startDaemon({ workspace, config });
  await waitFor("the first run", async () => (await findingsOf(daemon, "root_disk")).length > 0);
  expect((await viewOf(daemon)).checks.acknowledged).toMatchObject([
    { check: "gpu_xid", subject: "GPU 0000:3b:00", by: "ada", note: "GPU replaced" },
  ]);
  expect(await daemon.page()).toContain('aami_gpu_xid_errors_total{pci_bus_id="0000:3b:00",xid="79"} 1\n');
  expect(await findingsOf(daemon, "gpu_xid")).toEqual([]);

  // What is so now is no matter of anybody's word.
  const refused = await aami(workspace, "acknowledge", "root_disk");
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain("that goes only when it is mended: /: ");

  kernelLog.xid(79);
  await waitForXid(daemon, 79);
  expect((await aami(workspace, "acknowledge", "gpu_xid", "GPU 0000:4c:00")).stderr).toBe(
    'aami: gpu_xid has found nothing about "GPU 0000:4c:00"; it has about: GPU 0000:3b:00\n',
  );
  expect((await aami(workspace, "acknowledge", "gpu_xid", "GPU 0000:3b:00")).exitCode).toBe(0);
  await waitForNone(daemon);
  expect((await aami(workspace, "acknowledge", "gpu_xid", "--undo")).stdout).toStartWith("taken back: 1;");
  await waitForXid(daemon, 79);
});

test("nobody does it over the network or without rights", async () => {
  using workspace = createWorkspace();
  mkdirSync(workspace.file("state"));
  {
    await using daemon = await startDaemon({ workspace });
    const body = JSON.stringify({ check: "gpu_xid", by: "eve", note: "", undo: false });
    expect((await daemon.get("/acknowledge", { method: "POST", body })).status).toBe(404);
    const socket = workspace.file("state/control.sock");
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    const send = (text: string, path = "acknowledge") =>
      fetch(`http://daemon/${path}`, { method: "POST", body: text, unix: socket });
    expect((await send("{")).status).toBe(400);
    expect((await send('{"check":"gpu_xid"}')).status).toBe(400);
    expect((await send(body, "nonsense")).status).toBe(404);
    const unknown = await aami(workspace, "acknowledge", "toaster");
    expect([unknown.exitCode, unknown.stderr]).toEqual([1, "aami: this node has no check toaster\n"]);
  }
  const alone = await aami(workspace, "acknowledge", "gpu_xid");
  expect(alone.exitCode).toBe(2);
  expect(alone.stderr).toContain("no such socket: is the daemon running, or has it another state directory?");
});

test("whoever may not look into the state directory is told so", async () => {
  using workspace = createWorkspace();
  mkdirSync(workspace.file("state"), { mode: 0 });
  const withoutRights = isRoot() ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] : [];
  const command = [...withoutRights, await ensureBinary(), "acknowledge", "x"];
  const { exitCode, stderr } = Bun.spawnSync([...command, "--state-directory", workspace.file("state")]);
  expect([exitCode, stderr.toString()]).toEqual([2, expect.stringContaining("permission denied, run this as root")]);
});
