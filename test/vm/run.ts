/**
 * `npm run test:vm`: the compiled binary in a virtual machine with its own kernel, systemd and hardware. Arguments
 * select scenarios: `npm run test:vm -- mounts`. Ends with the line "N passed, N failed", or, where there can be no
 * machine, with the exit status 69 and the reason.
 */
import { chmodSync, cpSync } from "node:fs";
import { join } from "node:path";
import { ensureBinary } from "../../scripts/binary.ts";
import { projectRoot, runScript, say, ScriptError } from "../../scripts/terminal.ts";
import { createWorkspace } from "../harness/workspace.ts";
import { collectEvidence, keepLogs } from "./evidence.ts";
import { bootMachine, type Machine } from "./lab/machine.ts";
import { ensureHost, ensureImage, unavailable, UnavailableError } from "./lab/prepare.ts";
import { canVirtualise } from "./lab/qemu-arguments.ts";
import { openNode } from "./node.ts";
import { createReport, type Report } from "./report.ts";
import type { Scenario } from "./scenario.ts";
import { checks } from "./scenarios/checks.ts";
import { devices } from "./scenarios/devices.ts";
import { kernelLog } from "./scenarios/kernel-log.ts";
import { mounts } from "./scenarios/mounts.ts";
import { network } from "./scenarios/network.ts";
import { recovery } from "./scenarios/recovery.ts";
import { service } from "./scenarios/service.ts";
import { socket } from "./scenarios/socket.ts";
import { unit } from "./scenarios/unit.ts";

/** `unit` ends the daemon, so it is the last; `recovery` looks back at all the faults before it. */
const scenarios: Readonly<Record<string, Scenario>> = {
  service,
  socket,
  checks,
  devices,
  network,
  kernelLog,
  mounts,
  recovery,
  unit,
};
/** Emulated on two quiet cores a run takes seven minutes. */
const wholeRunSeconds = 1800;

await runScript(async () => {
  const selected = process.argv.slice(2);
  const unknown = selected.find((name) => scenarios[name] === undefined);
  if (unknown !== undefined) {
    throw new ScriptError(`no scenario ${unknown}; there are ${Object.keys(scenarios).join(", ")}`);
  }
  const image = await prepareHost();
  if (image === undefined) return unavailable;
  const binary = await ensureBinary();
  const report = createReport();
  await report.check("the machine boots and lives to the end", () => runMachine({ binary, image, selected, report }));
  console.log(`${report.passed} passed, ${report.failed} failed`);
  return report.failed === 0 ? 0 : 1;
});

/** The image; undefined, and said why, where there can be no machine. */
async function prepareHost(): Promise<string | undefined> {
  try {
    await ensureHost();
    return await ensureImage();
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    console.log(`VM tests not run: ${error.message}`);
    return undefined;
  }
}

interface Run {
  readonly binary: string;
  readonly image: string;
  readonly selected: readonly string[];
  readonly report: Report;
}

async function runMachine({ binary, image, selected, report }: Run): Promise<void> {
  using guest = createWorkspace();
  cpSync(join(projectRoot, "test/vm/guest"), guest.path, { recursive: true });
  cpSync(binary, guest.file("aami"));
  chmodSync(guest.file("aami"), 0o755);
  const started = performance.now();
  const elapsed = (): string => `${Math.round((performance.now() - started) / 1000)} s`;
  say(`booting the machine, ${canVirtualise() ? "virtualised by KVM" : "emulated: there is no usable KVM here"}`);
  await using machine = await bootMachine({ image, dataFolder: guest.path, ports: [9100], bootDeadlineSeconds: 600 });
  say(`the machine runs after ${elapsed()}`);
  const tooLong = setTimeout(() => machine.giveUp(`given up after ${wholeRunSeconds} s`), wholeRunSeconds * 1000);
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => machine.giveUp(`ended by ${signal}`));
  await runScenarios(machine, selected, report);
  clearTimeout(tooLong);
  machine.assertRunning();
  say(`whole run: ${elapsed()}`);
}

async function runScenarios(machine: Machine, selected: readonly string[], report: Report): Promise<void> {
  await machine.run("mount -o ro LABEL=data /mnt && /mnt/install.sh");
  const node = openNode(machine);
  const scene = { machine, node };
  const check = (name: string, body: () => Promise<void>): Promise<boolean> =>
    report.check(name, body, () => collectEvidence(scene, name));
  try {
    for (const [name, scenario] of Object.entries(scenarios)) {
      if (selected.length > 0 && !selected.includes(name)) continue;
      const started = performance.now();
      const start = (): Promise<void> => machine.run("systemctl start aami").then(() => {});
      if (!(await check(`${name}: the daemon runs`, start))) continue;
      await scenario({ machine, node, check: (title, body) => check(`${name}: ${title}`, body) });
      say(`${name}: ${Math.round((performance.now() - started) / 1000)} s`);
    }
  } finally {
    await keepLogs(scene);
  }
}
