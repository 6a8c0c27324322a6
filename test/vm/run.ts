/**
 * `npm run test:vm`: the compiled binary in a virtual machine with its own kernel, systemd and hardware. Arguments
 * select scenarios: `npm run test:vm -- mounts`. Ends with the line "N passed, N failed".
 */
import { chmodSync, cpSync } from "node:fs";
import { join } from "node:path";
import { ensureBinary } from "../../scripts/binary.ts";
import { projectRoot, runScript, say, ScriptError } from "../../scripts/terminal.ts";
import { createWorkspace } from "../harness/workspace.ts";
import { bootMachine, type Machine } from "./lab/machine.ts";
import { ensureImage, ensureVmPrograms } from "./lab/prepare.ts";
import { canVirtualise } from "./lab/qemu-arguments.ts";
import { openNode } from "./node.ts";
import { createReport, type Report } from "./report.ts";
import type { Scenario } from "./scenario.ts";
import { checks } from "./scenarios/checks.ts";
import { devices } from "./scenarios/devices.ts";
import { kernelLog } from "./scenarios/kernel-log.ts";
import { mounts } from "./scenarios/mounts.ts";
import { network } from "./scenarios/network.ts";
import { service } from "./scenarios/service.ts";
import { unit } from "./scenarios/unit.ts";

/** `unit` ends the daemon, so it is the last. */
const scenarios: Readonly<Record<string, Scenario>> = { service, checks, devices, network, kernelLog, mounts, unit };
const wholeRunSeconds = 1200;

await runScript(async () => {
  const selected = process.argv.slice(2);
  const unknown = selected.find((name) => scenarios[name] === undefined);
  if (unknown !== undefined) {
    throw new ScriptError(`no scenario ${unknown}; there are ${Object.keys(scenarios).join(", ")}`);
  }
  await ensureVmPrograms();
  const [binary, image] = [await ensureBinary(), await ensureImage()];
  const report = createReport();
  const tooLong = async (): Promise<never> => {
    await Bun.sleep(wholeRunSeconds * 1000);
    throw new Error("it was given up");
  };
  await report.check(`the machine boots, and all is done within ${wholeRunSeconds} s`, () =>
    Promise.race([runScenarios({ binary, image, selected, report }), tooLong()]),
  );
  console.log(`${report.passed} passed, ${report.failed} failed`);
  return report.failed === 0 ? 0 : 1;
});

interface Run {
  readonly binary: string;
  readonly image: string;
  readonly selected: readonly string[];
  readonly report: Report;
}

async function runScenarios({ binary, image, selected, report }: Run): Promise<void> {
  using data = createWorkspace();
  cpSync(join(projectRoot, "test/vm/guest"), data.path, { recursive: true });
  cpSync(binary, data.file("aami"));
  chmodSync(data.file("aami"), 0o755);
  const started = performance.now();
  say(`booting the machine, ${canVirtualise() ? "virtualised by KVM" : "emulated: there is no usable KVM here"}`);
  await using machine = await bootMachine({ image, dataFolder: data.path, ports: [9100], bootDeadlineSeconds: 300 });
  await installDaemon(machine);
  say(`the daemon is installed after ${Math.round((performance.now() - started) / 1000)} s`);
  const node = openNode(machine);
  for (const [name, scenario] of Object.entries(scenarios)) {
    if (selected.length > 0 && !selected.includes(name)) continue;
    await report.check(`${name}: prepared`, () => machine.run("systemctl start aami", 120).then(() => {}));
    await scenario({ machine, node, check: (title, body) => report.check(`${name}: ${title}`, body) });
  }
  await Bun.write(join(projectRoot, ".cache/log/vm-daemon.log"), await node.journal());
  await Bun.write(join(projectRoot, ".cache/log/vm-console.log"), await machine.console());
  say(`whole run: ${Math.round((performance.now() - started) / 1000)} s`);
}

async function installDaemon(machine: Machine): Promise<void> {
  await machine.run(
    `set -e
    ip address add 10.0.2.15/24 dev eth0; ip link set eth0 up
    ip address add 10.0.3.15/24 dev eth1; ip link set eth1 up
    mount -o ro LABEL=data /mnt
    install -m 755 /mnt/aami /usr/bin/aami
    install -D -m 644 /mnt/daemon.yaml /etc/aami/daemon.yaml
    install -D -m 644 /mnt/aami.service /etc/systemd/system/aami.service
    install -d /usr/local/lib/aami/checks
    install -m 644 /mnt/checks/* /usr/local/lib/aami/checks/
    umount /mnt
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin aami-check
    systemctl daemon-reload`,
    240,
  );
}
