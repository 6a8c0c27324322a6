import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { enabledCollectors } from "../../daemon/config.ts";
import { parseCommandLine } from "../../daemon/command-line.ts";
import type { LoadedConfig } from "../../daemon/configuration.ts";
import { ExitError } from "../../runtime/exit.ts";
import { sharedFolder } from "../harness/workspace.ts";

const folder = sharedFolder();

function withFile(text: string): string {
  const file = join(folder, `${Bun.hash(text).toString(36)}.yaml`);
  writeFileSync(file, text);
  return file;
}

function load(yaml: string, ...argv: readonly string[]): LoadedConfig {
  const commandLine = parseCommandLine([`--config=${withFile(yaml)}`, ...argv]);
  if (commandLine.action === "print") throw new Error("nothing to load");
  return commandLine.load();
}

function failure(yaml: string, ...argv: readonly string[]): { exitCode: number; message: string } {
  try {
    load(yaml, ...argv);
  } catch (error) {
    if (error instanceof ExitError) return { exitCode: error.exitCode, message: error.message };
    throw error;
  }
  throw new Error("accepted");
}

describe("the command line of the daemon", () => {
  test("everything has a default", () => {
    const { config } = load("");
    expect(config.web).toMatchObject({ listen_addresses: [":9100"], telemetry_path: "/metrics", max_requests: 40 });
    expect(config.paths).toEqual({ procfs: "/proc", sysfs: "/sys", rootfs: "/", udev_data: "/run/udev/data" });
    expect(config.scrape.collector_timeout_seconds).toBe(5);
    expect(config.server).toBeUndefined();
    expect(enabledCollectors(config).has("loadavg")).toBe(true);
  });

  test("a flag overrides the file, the file overrides the default", () => {
    const { config } = load("web: { max_requests: 7, telemetry_path: /file }", "--web.telemetry-path", "/flag");
    expect(config.web).toMatchObject({ max_requests: 7, telemetry_path: "/flag" });
  });

  test.each([
    ["enabled by default", "", [], true],
    ["disabled by the file", "collectors: { loadavg: { enabled: false } }", [], false],
    ["disabled by a flag", "", ["--no-collector.loadavg"], false],
    ["the flag beats the file", "collectors: { loadavg: { enabled: false } }", ["--collector.loadavg"], true],
    ["defaults off", "", ["--collector.disable-defaults"], false],
    ["defaults off, named", "", ["--collector.disable-defaults", "--collector.loadavg"], true],
    ["defaults off in the file", "scrape: { disable_default_collectors: true }", [], false],
  ] as const)("a collector %s", (_, yaml, argv, expected) => {
    expect(enabledCollectors(load(yaml, ...argv).config).has("loadavg")).toBe(expected);
  });

  test("options of a collector by flag and by file", () => {
    const { config } = load("collectors: { stat: { softirq: true } }", "--collector.rapl.enable-zone-label");
    expect(enabledCollectors(config).get("stat")).toMatchObject({ softirq: true });
    expect(enabledCollectors(config).get("rapl")).toMatchObject({ enable_zone_label: true });
  });

  test("a relative path is one of the working directory, wherever collectors run", () => {
    const flags = ["--collector.textfile.directory=metrics/*", "--collector.textfile.directory=/var/lib/x/"];
    const { config } = load("collectors: { pcidevice: { idsfile: pci.ids } }", ...flags, "--path.procfs=/proc/./");
    expect(config.collectors["textfile"]?.["directory"]).toEqual([`${process.cwd()}/metrics/*`, "/var/lib/x/"]);
    expect(config.collectors["pcidevice"]?.["idsfile"]).toBe(`${process.cwd()}/pci.ids`);
    expect(config.collectors["nvidia"]?.["library"]).toBe("");
    expect(config.paths.procfs).toBe("/proc");
  });

  test.each([
    ["-1", -1],
    ["0", 0],
    ["4.7", 4],
    ["1e3", 1000],
  ])("--web.max-requests=%s is taken as node_exporter takes it", (text, expected) => {
    expect(load("", `--web.max-requests=${text}`).config.web.max_requests).toBe(expected);
  });

  test("--help-long names every flag once", () => {
    const printed = parseCommandLine(["--help-long"]);
    const names =
      printed.action === "print" ? [...printed.text.matchAll(/^ {6}(--[^ =]+)/gm)].map(([, name]) => name) : [];
    expect(names.length).toBeGreaterThan(100);
    expect(names).toEqual([...new Set(names)]);
  });

  test.each([
    ["filesystem.ignored-mount-points", "filesystem.mount-points-exclude"],
    ["filesystem.ignored-fs-types", "filesystem.fs-types-exclude"],
    ["diskstats.ignored-devices", "diskstats.device-exclude"],
    ["netdev.device-whitelist", "netdev.device-include"],
    ["netdev.device-blacklist", "netdev.device-exclude"],
    ["qdisk.device-include", "qdisc.device-include"],
    ["qdisk.device-exclude", "qdisc.device-exclude"],
    ["systemd.unit-whitelist", "systemd.unit-include"],
    ["systemd.unit-blacklist", "systemd.unit-exclude"],
  ])("the old spelling --collector.%s is taken with a warning that names the new one", (older, newer) => {
    const { warnings } = load("", `--collector.${older}=^x$`);
    expect(warnings).toEqual([`--collector.${older}: deprecated, use --collector.${newer}`]);
  });

  test("flags of node_exporter without effect are accepted with a warning, switched off ones without", () => {
    const { warnings } = load("", "--runtime.gomaxprocs=2", "--collector.perf", "--no-collector.runit");
    expect(warnings).toEqual([
      "--runtime.gomaxprocs: accepted, but it has no effect in this program",
      "--collector.perf: accepted, but it has no effect in this program",
    ]);
  });

  test.each([
    [
      "an unknown key",
      "web: { max_request: 1 }",
      [],
      78,
      'yaml:1:8: unknown key "max_request" in web; did you mean "max_requests"?',
    ],
    [
      "a wrong type",
      "web:\n  max_requests: many",
      [],
      78,
      'yaml:2:3: web.max_requests: expected integer, found "many"',
    ],
    [
      "an unknown collector",
      "collectors: { loadagv: {} }",
      [],
      78,
      'unknown key "loadagv" in collectors; did you mean "loadavg"?',
    ],
    [
      "an unknown option",
      "collectors: { loadavg: { enable: true } }",
      [],
      78,
      'unknown key "enable" in collectors.loadavg',
    ],
    ["an unknown flag", "", ["--collector.nonsense"], 1, "error: unknown long flag '--collector.nonsense', try --help"],
    ["a flag without its value", "", ["--web.max-requests", "-1"], 1, "expected argument"],
    [
      "a flag of the wrong type",
      "",
      ["--web.max-requests=many"],
      1,
      'error: --web.max-requests: "many" is not a number',
    ],
    [
      "a value that is not offered",
      "",
      ["--log.level=loud"],
      1,
      'expected one of "debug", "info", "warn", "error", found "loud"',
    ],
    [
      "a mapping where a list belongs",
      "collectors: { filesystem: { expected: { mount_point: /data } } }",
      [],
      78,
      'collectors.filesystem.expected: expected array, found {"mount_point":"/data"}',
    ],
    [
      "a relative mount point",
      "collectors: { filesystem: { expected: [{ mount_point: data }] } }",
      [],
      78,
      'mount_point: expected a path that begins with /, found "data"',
    ],
    [
      "a write test outside its mount",
      "collectors: { filesystem: { write_tests: { directory: a/../../b } } }",
      [],
      78,
      'directory: expected a path below the mount point, without "..", found "a/../../b"',
    ],
    [
      "a node's name that is a path",
      "collectors: { filesystem: { write_tests: { node_name: ../b } } }",
      [],
      78,
      'node_name: expected the name of a folder, found "../b"',
    ],
    [
      "a grant that is none",
      "checks: { limits: { devices: [gpu] } }",
      [],
      78,
      'checks.limits.devices.0: expected nvidia, amd or infiniband, found "gpu"',
    ],
    [
      "a pattern without a flag",
      'collectors: { infiniband_link: { device_exclude: "(" } }',
      [],
      78,
      'collectors.infiniband_link.device_exclude: cannot use the regular expression "("',
    ],
    [
      "a host name that is none",
      'server: { url: "http://127.0.0.1:8080", hostname: "a b" }',
      [],
      78,
      'server.hostname: expected letters, digits, ".", "-" and "_", at most 253, found "a b"',
    ],
    ["a flag's path", "", ["--web.telemetry-path=metrics"], 1, 'expected a path that begins with /, found "metrics"'],
    ["a missing procfs", "", ["--path.procfs=/nonexistent"], 2, "paths.procfs: /nonexistent is not a folder"],
    [
      "a missing sysfs in the file",
      "paths: { sysfs: /nonexistent }",
      [],
      78,
      "paths.sysfs: /nonexistent is not a folder",
    ],
  ] as const)("%s ends with its exit code", (_, yaml, argv, exitCode, message) => {
    const problem = failure(yaml, ...argv);
    expect(problem.message).toContain(message);
    expect(problem.exitCode).toBe(exitCode);
  });

  test("a file that was named has to be there", () => {
    const commandLine = parseCommandLine(["--config=/nonexistent/daemon.yaml"]);
    expect(() => commandLine.action === "run" && commandLine.load()).toThrow("/nonexistent/daemon.yaml");
  });

  test.each([
    ["--help", "usage: aami daemon"],
    ["--help-long", "--[no-]collector.perf"],
    ["--help-man", ".SH OPTIONS"],
    ["--version", "aami, version "],
    ["--print-config-schema", '"telemetry_path"'],
  ])("%s prints and does nothing else", (flag, text) => {
    const commandLine = parseCommandLine([flag]);
    expect(commandLine.action === "print" && commandLine.text).toContain(text);
  });

  test("--version wins over an error that follows it, --help does not", () => {
    expect(parseCommandLine(["--version", "--nonsense"]).action).toBe("print");
    expect(() => parseCommandLine(["--help", "--nonsense"])).toThrow("unknown long flag");
  });
});
