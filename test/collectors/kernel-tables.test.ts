import { describe, expect, test } from "bun:test";
import { cgroups } from "../../collectors/cgroups.ts";
import { entropy } from "../../collectors/entropy.ts";
import { interrupts } from "../../collectors/interrupts.ts";
import { kernelHung } from "../../collectors/kernel-hung.ts";
import { parseProcessStat, processes } from "../../collectors/processes.ts";
import { schedstat } from "../../collectors/schedstat.ts";
import { parseConfiguredMode, selinux } from "../../collectors/selinux.ts";
import { softirqs } from "../../collectors/softirqs.ts";
import { softnet } from "../../collectors/softnet.ts";
import { sysctl } from "../../collectors/sysctl.ts";
import { timex, toFamilies } from "../../collectors/timex.ts";
import { collectFrom } from "./fixture-host.ts";

describe("interrupts", () => {
  const table = `           CPU0       CPU2
  0:         18          0  IR-IO-APIC   2-edge      timer
NMI:          5          6   Non-maskable interrupts
IPI0:1 2 Rescheduling interrupts
 33:          x          0  PCI-MSI eth0
ERR:          7
`;
  const counts = (series: readonly string[]) =>
    series.map((line) => [/type="([^"]*)"/.exec(line)?.[1], /cpu="([^"]*)"/.exec(line)?.[1], line.split(" ").at(-1)]);

  test("the CPU's own number, info and devices of numbered interrupts", async () => {
    const page = await collectFrom(interrupts, { "proc/interrupts": table });
    expect(page.series[0]).toBe(
      'node_interrupts_total{cpu="0",devices="",info="Non-maskable interrupts",type="NMI"} 5',
    );
    expect(page.series).toContain('node_interrupts_total{cpu="2",devices="2-edge timer",info="IR-IO-APIC",type="0"} 0');
    expect(counts(page.series)).toContainEqual(["IPI0", "2", "2"]);
    expect(page.series).toHaveLength(6);
    expect(page.skipped).toEqual(["33 in interrupts"]);
  });

  test("filters over name, info and devices; zeros left out", async () => {
    const options = { name_exclude: "^33;|;Non-maskable", include_zeros: false };
    const { series } = await collectFrom(interrupts, { "proc/interrupts": table }, options);
    expect(counts(series)).toEqual([["IPI0", "0", "1"], ["0", "0", "18"], ["IPI0", "2", "2"]]); // prettier-ignore
  });

  test("both filters count, as in node_exporter, whose help says that they exclude each other", async () => {
    const options = { name_include: "IPI0|^0;", name_exclude: "^0;", include_zeros: true };
    const { series } = await collectFrom(interrupts, { "proc/interrupts": table }, options);
    expect(new Set(counts(series).map(([name]) => name))).toEqual(new Set(["IPI0"]));
  });
});

test("softirqs: per vector and CPU", async () => {
  const text =
    "                    CPU0       CPU2\n          HI:          7          1\n       NOVEL: 1 2\n    TIMER: x 1\n";
  expect(await collectFrom(softirqs, { "proc/softirqs": text })).toMatchObject({
    series: [
      'node_softirqs_functions_total{cpu="0",type="HI"} 7',
      'node_softirqs_functions_total{cpu="2",type="HI"} 1',
    ],
    skipped: ["TIMER in softirqs"],
  });
});

test("schedstat: nanoseconds to seconds", async () => {
  const text =
    "version 15\ntimestamp 15819019232\ncpu0 498494191 0 3533438552 2553969831 3853684107 2465731542 2045936778163039 343796328169361 4767485306\ndomain0 00000000,00000003 212499247\ncpu1 1 2\n";
  expect(await collectFrom(schedstat, { "proc/schedstat": text })).toMatchObject({
    series: [
      'node_schedstat_running_seconds_total{cpu="0"} 2.045936778163039e+06',
      'node_schedstat_timeslices_total{cpu="0"} 4.767485306e+09',
      'node_schedstat_waiting_seconds_total{cpu="0"} 343796.328169361',
    ],
    skipped: ["cpu1 in schedstat"],
  });
  expect((await collectFrom(schedstat, {})).state).toBe("absent");
});

describe("softnet", () => {
  const zeros = Array<string>(5).fill("00000000");
  const value = (series: readonly string[], name: string) =>
    series.find((line) => line.startsWith(`node_softnet_${name}`))?.split(" ")[1];

  test("a current kernel says which CPU a line is for", async () => {
    const line = [
      "0000000a",
      "00000001",
      "00000002",
      ...zeros,
      "00000003",
      "00000004",
      "00000005",
      "00000006",
      "00000007",
    ];
    const { series } = await collectFrom(softnet, { "proc/net/softnet_stat": `${line.join(" ")}\n` });
    expect(series).toContain('node_softnet_processed_total{cpu="7"} 10');
    expect(value(series, "backlog_len")).toBe("6");
  });

  test("an old one by its place; too few columns are left out", async () => {
    const line = ["0000000a", "00000001", "00000002", ...zeros, "00000003"];
    const page = await collectFrom(softnet, { "proc/net/softnet_stat": `1 2\n${line.join(" ")}\n` });
    expect(page.series).toContain('node_softnet_processed_total{cpu="1"} 10');
    expect(value(page.series, "received_rps_total")).toBe("0");
    expect(page.skipped).toEqual(["line 1 of softnet_stat"]);
  });
});

test("cgroups: number and state of each controller", async () => {
  const text = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t3\t172\t1\nrdma\t4\n";
  expect(await collectFrom(cgroups, { "proc/cgroups": text })).toMatchObject({
    series: ['node_cgroups_cgroups{subsys_name="cpu"} 172', 'node_cgroups_enabled{subsys_name="cpu"} 1'],
    skipped: ["rdma in cgroups"],
  });
});

test("entropy and hung tasks", async () => {
  const { series } = await collectFrom(entropy, {
    "proc/sys/kernel/random/entropy_avail": "1337\n",
    "proc/sys/kernel/random/poolsize": "4096\n",
  });
  expect(series).toEqual(["node_entropy_available_bits 1337", "node_entropy_pool_size_bits 4096"]);
  const hung = await collectFrom(kernelHung, { "proc/sys/kernel/hung_task_detect_count": "1\n" });
  expect(hung.series).toEqual(["node_kernel_hung_tasks_total 1"]);
  expect((await collectFrom(kernelHung, {})).state).toBe("absent");
});

describe("selinux", () => {
  test.each([
    ["not in the kernel", {}, ["node_selinux_enabled 0"]],
    [
      "no policy loaded",
      { "sys/fs/selinux/enforce": "0\n", "proc/self/attr/current": "kernel\0" },
      ["node_selinux_enabled 0"],
    ],
    [
      "enforcing, to be permissive after the next boot",
      {
        "sys/fs/selinux/enforce": "1",
        "proc/self/attr/current": "system_u:system_r:init_t:s0\0",
        "etc/selinux/config": "# SELINUX=disabled\nSELINUX=permissive\nSELINUXTYPE=targeted\n",
      },
      ["node_selinux_config_mode 0", "node_selinux_current_mode 1", "node_selinux_enabled 1"],
    ],
  ])("%s", async (_, files, series) => {
    expect((await collectFrom(selinux, files as Record<string, string>)).series).toEqual([...series]);
  });

  test.each([
    ["SELINUX=enforcing", 1],
    ["SELINUX=disabled", -1],
    ["", -1],
  ])("configured by %p", (text, mode) => expect(parseConfiguredMode(text)).toBe(mode));
});

describe("sysctl", () => {
  const files = { "proc/sys/fs/file-nr": "1024\t0\t1631329\n", "proc/sys/kernel/pid_max": "123\n" };

  test("one value, several by index, several by name, text", async () => {
    const { series } = await collectFrom(sysctl, files, {
      include: ["kernel.pid_max", "fs.file-nr", "fs.file-nr:total,current,max"],
      include_info: ["kernel.pid_max"],
    });
    expect(series).toEqual([
      'node_sysctl_fs_file_nr{index="0"} 1024',
      'node_sysctl_fs_file_nr{index="1"} 0',
      'node_sysctl_fs_file_nr{index="2"} 1.631329e+06',
      "node_sysctl_fs_file_nr_current 0",
      "node_sysctl_fs_file_nr_max 1.631329e+06",
      "node_sysctl_fs_file_nr_total 1024",
      'node_sysctl_info{index="0",name="kernel.pid_max",value="123"} 1',
      "node_sysctl_kernel_pid_max 123",
    ]);
  });

  test("what does not fit costs only itself", async () => {
    const page = await collectFrom(sysctl, files, {
      include: ["fs.file-nr:total,max", "kernel.nothing", "kernel.pid_max:a", "kernel.pid_max"],
      include_info: ["fs.file-nr:a,b,c"],
    });
    expect(page.series).toEqual(["node_sysctl_kernel_pid_max 123"]);
    expect(page.skipped).toHaveLength(4);
  });
});

describe("processes", () => {
  const stat = (name: string, state: string, threads: number) =>
    `1 (${name}) ${state} ${"0 ".repeat(16)}${threads} ${"0 ".repeat(20)}\n`;
  const files = {
    "proc/1/stat": stat("init", "S", 1),
    "proc/1/task/1/stat": stat("init", "S", 1),
    "proc/20/stat": stat("many) R (x", "S", 3),
    "proc/20/task/20/stat": stat("x", "S", 3),
    "proc/20/task/21/stat": stat("x", "R", 3),
    "proc/20/task/22/": "",
    "proc/30/": "",
    "proc/40/stat": "40 (broken) S\n",
    "proc/sys/kernel/threads-max": "7801\n",
    "proc/sys/kernel/pid_max": "123\n",
  };

  test("states of processes and threads; what ended meanwhile does not count", async () => {
    const page = await collectFrom(processes, files);
    expect(page.series).toEqual([
      "node_processes_max_processes 123",
      "node_processes_max_threads 7801",
      "node_processes_pids 2",
      'node_processes_state{state="S"} 2',
      "node_processes_threads 4",
      'node_processes_threads_state{thread_state="R"} 1',
      'node_processes_threads_state{thread_state="S"} 2',
    ]);
    expect(page.skipped).toEqual(["proc/40/stat"]);
  });

  test("a name with parentheses", () => {
    expect(parseProcessStat(stat(") Z 1 (", "R", 2))).toEqual({ state: "R", threads: 2 });
  });
});

describe("timex", () => {
  const clock = (state: number, status: number) => {
    const bytes = Buffer.alloc(208);
    bytes.writeBigInt64LE(-250_000n, 8);
    bytes.writeBigInt64LE(65_536n * 10n, 16);
    bytes.writeInt32LE(status, 40);
    bytes.writeBigInt64LE(10_000n, 88);
    bytes.writeInt32LE(37, 160);
    return Object.fromEntries(
      toFamilies({ state, timex: bytes }).map(({ name, samples }) => [name.slice(11), samples[0]?.value]),
    );
  };

  test("microseconds, and nanoseconds where the status says so", () => {
    expect(clock(0, 0)).toMatchObject({ offset_seconds: -0.25, sync_status: 1, tick_seconds: 0.01 });
    expect(clock(0, 0)).toMatchObject({ frequency_adjustment_ratio: 1.00001, tai_offset_seconds: 37 });
    expect(clock(5, 0x2041)).toMatchObject({ offset_seconds: -0.00025, sync_status: 0, status: 0x2041 });
  });

  test("this machine's clock", async () => {
    const page = await collectFrom(timex, {});
    expect([0, 17]).toContain(page.series.length);
  });
});
