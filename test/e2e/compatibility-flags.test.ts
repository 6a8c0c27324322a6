import { expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { ensureBinary } from "../../scripts/binary.ts";
import { findTestProgram } from "../../scripts/test-servers.ts";
import { listeningPort, seriesValue } from "../harness/daemon.ts";
import { runProcess, startProcess } from "../harness/process.ts";
import { lacks } from "../harness/requirements.ts";
import { createWorkspace, type Workspace } from "../harness/workspace.ts";

setDefaultTimeout(180_000);

const noPeer = await lacks("prometheus-node-exporter");

/** Exit status and the line that says why: kingpin's, or the panic's first. */
async function judge(argv: readonly string[]): Promise<{ exitCode: number; reason: string }> {
  const { exitCode, stderr } = await runProcess(argv);
  const lines = stderr.trimEnd().split("\n");
  const reason = lines.find((line) => line.startsWith("panic: ")) ?? lines.at(-1) ?? "";
  return { exitCode, reason: reason.replace(/^[\w-]+: /, "") };
}

/** Same status and same text. */
const sameText: readonly string[] = [
  ...["--x", "-x", "--no-nonsense", "-web.listen-address=:1", "positional", "--web.listen-address", "@"],
  ...["--collector.cpu=true", "--collector.cpu --no-collector.cpu", "--collector.cpu --collector.cpu"],
  ...["--web.max-requests=1 --web.max-requests=2", "--web.telemetry-path /a --web.telemetry-path /b"],
  ...["--no-web.max-requests", "--collector.netdev.ignored-devices=x", "--web.config=x", "--collectors.enabled=cpu"],
  ...["--path.procfs", "--collector.textfile.directory", "--log.level", "--web.max-requests -1", "--help=true", "-hx"],
];

test.skipIf(noPeer).each(sameText.map((line) => [line]))("%s is refused as node_exporter refuses it", async (line) => {
  const ours = await judge([await ensureBinary(), "daemon", ...line.split(" ")]);
  const theirs = await judge([findTestProgram("prometheus-node-exporter") ?? "", ...line.split(" ")]);
  expect(ours).toEqual(theirs);
});

/** Same status; our text says which flag it was. */
const sameStatus: readonly (readonly [line: string, exitCode: number, reason: RegExp])[] = [
  ["--log.level=loud", 1, /--log\.level: .*"debug", "info", "warn", "error".*loud/],
  ["--log.format=logger:stderr", 1, /--log\.format: .*logger:stderr/],
  ["--web.max-requests=many", 1, /--web\.max-requests: "many" is not a number/],
  ["@/nonexistent", 1, /failed to open arguments file "\/nonexistent"/],
  ["--web.config.file=/nonexistent --web.listen-address=127.0.0.1:0", 1, /\/nonexistent/],
  ["--web.listen-address=127.0.0.1:999999", 1, /999999/],
  ["--collector.netdev.device-exclude=(", 2, /device-exclude.*missing closing \)/],
  ["--collector.netdev.device-exclude=(?=a)", 2, /device-exclude.*\(\?=/],
  ["--collector.filesystem.mount-points-exclude=a\\1", 2, /mount-points-exclude/],
  ["--collector.netdev.device-exclude=a --collector.netdev.device-include=b", 2, /mutually exclusive/],
  ["--collector.diskstats.device-exclude=a --collector.diskstats.device-include=b", 2, /mutually exclusive/],
  ["--path.procfs=/nonexistent", 2, /\/nonexistent/],
  ["--path.sysfs=/nonexistent", 2, /\/nonexistent/],
];

test.skipIf(noPeer).each(sameStatus)("%s ends with %d, and says why once", async (line, exitCode, reason) => {
  const argv = line.split(" ");
  const theirs = await judge([findTestProgram("prometheus-node-exporter") ?? "", ...argv]);
  const ours = await runProcess([await ensureBinary(), "daemon", ...argv]);
  expect([theirs.exitCode, ours.exitCode]).toEqual([exitCode, exitCode]);
  const last = ours.stderr.trimEnd().split("\n").at(-1) ?? "";
  expect(last).toMatch(/^aami: /);
  expect(last).toMatch(reason);
  // A reason and its cause that say the same are one.
  const parts = last.split(": ").slice(1);
  expect(parts.length).toBe(new Set(parts).size);
});

/** Command lines of units, charts and roles in use; those that 1.5.0 does not know yet have no peer here. */
const accepted: readonly string[] = [
  "",
  "--web.listen-address 127.0.0.1:9101 --web.telemetry-path /node --web.max-requests 0",
  "--web.listen-address=:9100 --web.listen-address=[::1]:9101",
  "--path.procfs=/proc --path.sysfs=/sys --path.rootfs=/ --path.udev.data=/run/udev/data",
  "--log.level=warn --log.format=json --web.disable-exporter-metrics --runtime.gomaxprocs=2",
  "--collector.disable-defaults --collector.filesystem --collector.textfile",
  "--collector.textfile.directory /var/lib/prometheus/node-exporter --collector.textfile.directory=/tmp/*",
  "--collector.filesystem.mount-points-exclude=^/(dev|proc|sys|var/lib/docker/.+)($|/)",
  "--collector.filesystem.fs-types-exclude=^(autofs|nfs4?|cifs)$ --collector.filesystem.mount-timeout=3s",
  "--collector.filesystem.stat-workers=8 --collector.filesystem.mount-points-include=^/",
  "--collector.netdev.device-exclude=^(veth.*|[a-f0-9]{15}|cali.*)$ --collector.netclass.ignored-devices=^(veth.*)$",
  "--collector.netdev.netlink --collector.netdev.address-info --no-collector.netclass.netlink",
  "--collector.netclass.ignore-invalid-speed --collector.diskstats.device-exclude=^(ram|loop|fd|(h|s|v|xv)d[a-z])\\d+$",
  "--collector.cpu.info --collector.cpu.info.flags-include=^aes$ --collector.cpu.info.bugs-include=. --no-collector.cpu.guest",
  "--collector.systemd --collector.systemd.unit-include=(ssh|docker)\\.service --collector.systemd.enable-task-metrics",
  "--collector.systemd.enable-restarts-metrics --collector.systemd.enable-start-time-metrics --collector.systemd.private",
  "--collector.netstat.fields=^(.*_(InErrors|InErrs))$ --collector.vmstat.fields=^(oom_kill|pgpg|pswp)",
  "--collector.ntp --collector.ntp.server=127.0.0.1 --collector.ntp.server-is-local --collector.ntp.protocol-version=4",
  "--collector.sysctl --collector.sysctl.include=fs.file-nr:total,current,max --collector.sysctl.include-info=kernel.pid_max",
  "--collector.ethtool --collector.ethtool.device-exclude=^veth --collector.ethtool.metrics-include=.*",
  "--collector.qdisc --collector.ipvs.backend-labels=local_address,proto --collector.powersupply.ignored-supplies=^$",
  "--collector.rapl.enable-zone-label --collector.stat.softirq --collector.bcache.priorityStats --collector.arp.netlink",
  "--collector.perf --collector.perf.cpus=0-1 --collector.perf.tracepoint=sched:sched_switch --collector.perf.disable-cache-profilers",
  "--collector.supervisord --collector.supervisord.url=http://localhost:9001/RPC2 --collector.runit.servicedir=/etc/service",
  "--collector.arp.device-include=^eth --collector.arp.device-exclude=1 --collector.hwmon.sensor-include=. --collector.hwmon.sensor-exclude=x",
  "--collector.processes --collector.tcpstat --collector.interrupts --collector.mountstats --collector.buddyinfo",
  "--collector.wifi --collector.zoneinfo --collector.slabinfo --collector.network_route --collector.meminfo_numa",
  "--collector.filesystem.ignored-mount-points=^/(sys|proc) --collector.filesystem.ignored-fs-types=^tmpfs$",
  "--collector.diskstats.ignored-devices=^ram --collector.netdev.device-blacklist=^lo$",
  "--collector.systemd.unit-whitelist=.+ --collector.systemd.unit-blacklist=.+\\.slice",
  "--collector.netdev.device-whitelist=^eth --no-collector.mdadm --no-collector.wifi --no-collector.hwmon",
];

test.each(accepted.map((line) => [line]))("%s is accepted", async (line) => {
  using workspace = createWorkspace();
  const config = workspace.file("daemon.yaml");
  writeFileSync(config, "");
  const argv = line.split(" ").filter(Boolean);
  const { exitCode, stderr } = await runProcess([
    await ensureBinary(),
    "daemon",
    ...argv,
    "--config",
    config,
    "--check-config",
  ]);
  expect(`${exitCode} ${stderr}`).toMatch(/^0 (aami: warning: .*\n)*$/);
});

test.each(["--help", "-h", "--help-long", "--help-man", "--version"])("%s is printed and ends with 0", async (flag) => {
  const { exitCode, stdout, stderr } = await runProcess([await ensureBinary(), "daemon", flag]);
  expect(exitCode).toBe(0);
  expect(stdout.length).toBeGreaterThan(40);
  expect(stderr).toBe("");
});

test.skipIf(noPeer)("every flag of the peer is known", async () => {
  const theirs = await runProcess([findTestProgram("prometheus-node-exporter") ?? "", "--help"]);
  const ours = await runProcess([await ensureBinary(), "daemon", "--help-long"]);
  const flagsOf = (text: string): string[] =>
    [...text.matchAll(/^\s+(?:-\w, )?--(?:\[no-\])?([\w.-]+)/gm)].map(([, name = ""]) => name);
  const known = new Set(flagsOf(ours.stdout));
  const names = flagsOf(theirs.stdout + theirs.stderr);
  expect(names.length).toBeGreaterThan(100);
  expect(names.filter((name) => !known.has(name))).toEqual([]);
});

/** Starts it the way a unit file would, with flags only, and scrapes once. */
async function scrapeOnce(workspace: Workspace, argv: readonly string[]): Promise<string> {
  const config = workspace.file("daemon.yaml");
  writeFileSync(config, JSON.stringify({ state_directory: workspace.file("state") }));
  const flags = ["--web.listen-address=127.0.0.1:0", `--config=${config}`];
  await using running = startProcess({ name: "daemon", argv: [...argv, ...flags] });
  const port = await listeningPort(running);
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

test.each(["node_exporter", "prometheus-node-exporter"])(
  "installed under the name %s it is the daemon",
  async (name) => {
    using workspace = createWorkspace();
    const link = workspace.file(name);
    symlinkSync(await ensureBinary(), link);
    expect(seriesValue(await scrapeOnce(workspace, [link]), "node_load1")).toBeDefined();
  },
);

test("with a flag of node_exporter in front no sub-command is needed", async () => {
  using workspace = createWorkspace();
  const page = await scrapeOnce(workspace, [await ensureBinary(), "--no-collector.loadavg"]);
  expect(page).toContain("node_memory_MemTotal_bytes");
  expect(seriesValue(page, "node_load1")).toBeUndefined();
});

const unitFile = "../../.cache/debs/root/lib/systemd/system/prometheus-node-exporter.service";
const unitPath = new URL(unitFile, import.meta.url).pathname;

test.skipIf(noPeer || !existsSync(unitPath))("Debian's unit works with the binary replaced", async () => {
  using workspace = createWorkspace();
  const unit = await Bun.file(unitPath).text();
  const [program = "", ...rest] = (/^ExecStart=(.*)$/m.exec(unit)?.[1] ?? "").split(" ");
  expect([program, ...rest]).toEqual(["/usr/bin/prometheus-node-exporter", "$ARGS"]);
  // A copy: the file itself is replaced, not a link put in its place.
  mkdirSync(workspace.file("bin"));
  const replaced = workspace.file("bin/prometheus-node-exporter");
  copyFileSync(await ensureBinary(), replaced);
  const defaults = `ARGS="--collector.textfile.directory /nonexistent --collector.filesystem.fs-types-exclude=^tmpfs$"`;
  const args = /^ARGS="(.*)"$/.exec(defaults)?.[1]?.split(" ") ?? [];
  const page = await scrapeOnce(workspace, [replaced, ...args]);
  expect(seriesValue(page, "node_load1")).toBeDefined();
  expect(seriesValue(page, "node_textfile_scrape_error")).toBe(1);
  expect(page).not.toMatch(/^node_filesystem_size_bytes\{.*fstype="tmpfs"/m);
  expect(/^ExecReload=(.*)$/m.exec(unit)?.[1]).toContain("-HUP");
});
