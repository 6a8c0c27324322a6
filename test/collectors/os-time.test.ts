import { describe, expect, test } from "bun:test";
import { readZoneOffset } from "../../collectors/libc.ts";
import { os, parseOsRelease } from "../../collectors/os.ts";
import { time } from "../../collectors/time.ts";
import { uname } from "../../collectors/uname.ts";
import { collectFrom } from "./fixture-host.ts";

const debian = `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION_CODENAME=bookworm
ID=debian
SUPPORT_END=2028-06-30
`;

describe("os", () => {
  test("names, version and end of support", async () => {
    const { series } = await collectFrom(os, { "etc/os-release": debian });
    expect(series).toEqual([
      'node_os_info{build_id="",id="debian",id_like="",image_id="",image_version="",name="Debian GNU/Linux",' +
        'pretty_name="Debian GNU/Linux 12 (bookworm)",variant="",variant_id="",version="",' +
        'version_codename="bookworm",version_id="12"} 1',
      "node_os_support_end_timestamp_seconds 1.845936e+09",
      'node_os_version{id="debian",id_like="",name="Debian GNU/Linux"} 12',
    ]);
  });

  test("falls back to /usr/lib, is absent without either", async () => {
    expect((await collectFrom(os, { "usr/lib/os-release": "ID=arch\n" })).series).toHaveLength(1);
    expect((await collectFrom(os, { "etc/": "" })).state).toBe("absent");
  });

  test("a bad date costs one series, a bad line its value", async () => {
    const page = await collectFrom(os, { "etc/os-release": "ID=x\nVERSION_ID=22.04.1\nSUPPORT_END=soon\nwhat?\n" });
    expect(page.series[1]).toEndWith(" 22.04");
    expect(page.skipped).toEqual(["os-release line 4", "SUPPORT_END in os-release"]);
  });

  test.each([
    ["double quotes and escapes", 'A="x \\"y\\" \\$z"', 'x "y" $z'],
    ["single quotes", "A='x \"y\"'", 'x "y"'],
    ["no quotes, export", "export A=plain", "plain"],
    ["empty", "A=", ""],
  ])("%s", (_, line, value) => {
    expect(parseOsRelease(`# comment\n\n${line}\n`, { skipped: () => {} }).get("A")).toBe(value);
  });
});

test("time: clock sources by position, the system's own clock and zone", async () => {
  const root = "sys/devices/system/clocksource/clocksource0";
  const before = Date.now() / 1000;
  const { series } = await collectFrom(time, {
    [`${root}/available_clocksource`]: "tsc hpet acpi_pm \n",
    [`${root}/current_clocksource`]: "tsc\n",
  });
  expect(series.filter((line) => line.includes("clocksource"))).toEqual([
    'node_time_clocksource_available_info{clocksource="acpi_pm",device="0"} 1',
    'node_time_clocksource_available_info{clocksource="hpet",device="0"} 1',
    'node_time_clocksource_available_info{clocksource="tsc",device="0"} 1',
    'node_time_clocksource_current_info{clocksource="tsc",device="0"} 1',
  ]);
  const seconds = Number(series.find((line) => line.startsWith("node_time_seconds "))?.split(" ")[1]);
  expect(seconds).toBeWithin(before, before + 60);
  expect(series.some((line) => /^node_time_zone_offset_seconds\{time_zone="[^"]+"\} -?\d+$/.test(line))).toBe(true);
});

test("the zone in force at a moment", () => {
  const known = process.env["TZ"];
  const script = `
    import { readZoneOffset } from "${import.meta.dir}/../../collectors/libc.ts";
    console.log(JSON.stringify([readZoneOffset(1768000000), readZoneOffset(1784000000)]));`;
  // POSIX notation needs no zone files on the machine; libc reads TZ from the process's environment.
  const child = Bun.spawnSync([process.execPath, "-e", script], {
    env: { ...process.env, TZ: "CET-1CEST,M3.5.0,M10.5.0/3" },
  });
  expect(JSON.parse(child.stdout.toString())).toEqual([
    { zone: "CET", offsetSeconds: 3600 },
    { zone: "CEST", offsetSeconds: 7200 },
  ]);
  expect(process.env["TZ"]).toBe(known);
  expect(readZoneOffset(0).zone).not.toBe("");
});

test("uname: what uname(1) prints", async () => {
  const { series } = await collectFrom(uname, {});
  const printed = (flag: string) => Bun.spawnSync(["uname", flag]).stdout.toString().trim();
  const domain = (await Bun.file("/proc/sys/kernel/domainname").text()).trim();
  expect(series).toEqual([
    `node_uname_info{domainname="${domain}",machine="${printed("-m")}",nodename="${printed("-n")}",` +
      `release="${printed("-r")}",sysname="${printed("-s")}",version="${printed("-v")}"} 1`,
  ]);
});
