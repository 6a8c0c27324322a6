import { describe, expect, test } from "bun:test";
import { recognise } from "../../../collectors/kmsg/patterns.ts";
import { parseRecord } from "../../../collectors/kmsg/record.ts";
import { parseXid } from "../../../collectors/kmsg/xid.ts";

describe("a line of the kernel log", () => {
  test.each([
    [
      "NVRM: Xid (PCI:0000:91:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
      "gpu_xid critical 0000:91:00",
    ],
    ["NVRM: GPU 0000:18:00.0: GPU has fallen off the bus.", "gpu_fallen_off_bus fatal 0000:18:00.0"],
    [
      "nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20034, Fatal, Link 48 LTSSM Fault Up",
      "nvswitch_sxid fatal 0000:06:00.0",
    ],
    [
      "nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20034, Severity 1 Engine instance 48 Sub-engine instance 00",
      undefined,
    ],
    ["nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 28006, Non-fatal, Link 46", "nvswitch_sxid warning 0000:c1:00.0"],
    ["amdgpu 0000:28:00.0: GPU reset begin!. Source:  1", "amdgpu_reset critical 0000:28:00.0"],
    [
      "amdgpu 0000:c1:00.0: amdgpu: 3 new correctable hardware errors detected in umc block",
      "amdgpu_ras warning 0000:c1:00.0",
    ],
    ["amdgpu 0000:c1:00.0: amdgpu: 3 correctable hardware errors detected in total in umc block", undefined],
    [
      "EDAC MC0: 1 CE memory read error on CPU_SrcID#0_Ha#0_Chan#1_DIMM#0 (channel:1 page:0x1 offset:0x2 grain:32 syndrome:0x0)",
      "memory_corrected warning MC0",
    ],
    ["mce: [Hardware Error]: CPU 2: Machine Check: 0 Bank 7: 8c00004000010090", "machine_check warning CPU 2"],
    [
      "pcieport 0000:00:03.0: AER: Multiple Uncorrected (Fatal) error received: 0000:00:03.0",
      "pcie_uncorrected fatal 0000:00:03.0",
    ],
    [
      "pcieport 0000:00:03.0: AER: Uncorrected (Non-Fatal) error received: 0000:00:03.0",
      "pcie_uncorrected critical 0000:00:03.0",
    ],
    ["nvme nvme0: I/O 528 QID 10 timeout, reset controller", "nvme_reset critical nvme0"],
    [
      "nvme nvme4: I/O tag 22 (2016) opcode 0x2 (Admin Cmd) QID 0 timeout, reset controller",
      "nvme_reset critical nvme4",
    ],
    ["nvme nvme0: I/O 529 QID 10 timeout, aborting", "nvme_timeout warning nvme0"],
    ["nvme nvme4: Disabling device after reset failure: -19", "nvme_gone fatal nvme4"],
    [
      "blk_update_request: I/O error, dev nvme0n1, sector 32776 op 0x1:(WRITE) flags 0x800",
      "disk_io_error warning nvme0n1",
    ],
    ["critical medium error, dev sdd, sector 4 op 0x0:(READ) flags 0x0", "disk_media_error critical sdd"],
    ["EXT4-fs (md0): Remounting filesystem read-only", "filesystem_read_only critical md0"],
    ["BTRFS info (device sdc state EA): forced readonly", "filesystem_read_only critical sdc"],
    ["EXT4-fs (sda1): mounted filesystem 3d7a r/w with ordered data mode.", "filesystem_mounted info sda1"],
    ["XFS (nvme0n1): Ending clean mount", "filesystem_mounted info nvme0n1"],
    [" nfs_page_async_flush+0x1a5/0x2e0 [nfs]", "nfs_writeback_hung critical "],
    ["general protection fault, probably for non-canonical address 0x6b6b: 0000 [#1] SMP", "kernel_oops critical "],
    ["mlx5_core enp1s0f0np0: Link down", "link_down warning enp1s0f0np0"],
    ["XFS (nvme1n1): Filesystem has been shut down due to log error (0x2).", "filesystem_shutdown fatal nvme1n1"],
    ["nfs: server fs1 not responding, still trying", "nfs_not_responding critical fs1"],
    [
      "mlx5_core 0000:5c:00.0: mlx5_port_module_event:1131:(pid 0): Port module event[error]: module 0, Cable error, High Temperature",
      "nic_module_error warning 0000:5c:00.0",
    ],
    ["mlx5_core 0000:5c:00.0 ens1f0np0: Link down", "link_down warning ens1f0np0"],
    ["igb 0000:00:14.0 eth0: igb: eth0 NIC Link is Up 1000 Mbps Full Duplex", "link_up info eth0"],
    [
      "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/user.slice,task=x,pid=12,uid=1000",
      "oom_kill warning ",
    ],
    ["watchdog: BUG: soft lockup - CPU#18 stuck for 27s! [python3:2254956]", "soft_lockup critical 18"],
    ["INFO: task nvidia-smi:12345 blocked for more than 120 seconds.", "hung_task critical "],
    ["amdgpu: qcm fence wait loop timeout expired", "amdgpu_queue_timeout warning "],
    ["usb 1-1: new high-speed USB device number 2 using xhci_hcd", undefined],
    ["", undefined],
  ])("%s", (line, expected) => {
    const event = recognise(line);
    expect(event && `${event.id} ${event.severity} ${event.device}`).toBe(expected);
  });
});

describe("Xid", () => {
  test.each([
    [
      "NVRM: Xid (PCI:0000:9B:00 GPU-I:05 GPU-CI:00): 13, pid=7194, name=python, Graphics Exception",
      { pciBusId: "0000:9b:00", code: 13, gpuInstance: 5, computeInstance: 0, pid: 7194, processName: "python" },
    ],
    ["NVRM: Xid (0000:03:00): 14, Channel 00000001", { pciBusId: "0000:03:00", code: 14, message: "Channel 00000001" }],
    ["NVRM: Xid (PCI:0000:91:00): 45, pid=99, name=x, Ch 0a caused by previous Xid 79", { code: 45, causedBy: 79 }],
    [
      "NVRM: Xid (PCI:00010000:91:00.0): 119, pid='<unknown>', name=<unknown>, Timeout",
      { pciBusId: "00010000:91:00", pid: undefined },
    ],
  ])("%s", (line, expected) => {
    expect(parseXid(line)).toMatchObject(expected);
  });
});

describe("a record of /dev/kmsg", () => {
  const parse = (text: string) => parseRecord(Buffer.from(text));
  test.each([
    [
      "plain",
      "6,339,5140900,-;NET: Registered protocol family 10\n",
      { facility: 0, level: 6, sequence: 339, uptimeSeconds: 5.1409 },
    ],
    ["from a program", "30,340,5690716,-;udevd[80]: starting\n", { facility: 3, level: 6 }],
    ["unknown extra fields", "4,1,2,-,caller=T123;x\n", { sequence: 1, text: "x" }],
    ["semicolon in the text", "4,1,2,-;a;b\n", { text: "a;b" }],
    ["escaped bytes", "4,1,2,-;a\\x0ab \\xc3\\xa9\\x5c\n", { text: "a\nb é\\" }],
    [
      "properties",
      "6,2,3,-;x\n SUBSYSTEM=acpi\n DEVICE=+acpi:PNP0A03:00\n",
      { properties: { SUBSYSTEM: "acpi", DEVICE: "+acpi:PNP0A03:00" } },
    ],
  ])("%s", (_, text, expected) => {
    expect(parse(text)).toMatchObject(expected);
  });

  test.each(["", "hello", "x,1,2,-;text", ";text"])("%p is none", (text) => {
    expect(() => parse(text)).toThrow(/not a kernel log record/);
  });
});

describe("an Xid about an NVLink", () => {
  const link = (code: number, text: string) => parseXid(`NVRM: Xid (PCI:0000:0a:00): ${code}, ${text}`)?.link;
  test.each([
    [
      149,
      "NETIR_LINK_EVT Fatal   XC0 i0 Link 08 (0x004505c6 0x00000000 0x00000000 0x00000000 0x00000000 0x00000000)",
      { severity: "fatal", info: "0x004001c6", status: "0x00000000" },
    ],
    [
      145,
      "RLW_RXPIPE Nonfatal XC0 i0 Link 11 (0x0009F0C2 0x00000001)",
      {
        severity: "nonfatal",
        info: "0x000000c2",
        status: "0x00000001",
      },
    ],
    [150, "(0x00000000 0x00000000)", { severity: "unknown", info: "0x00000000", status: "0x00000000" }],
    [149, "NETIR_LINK_EVT Fatal", undefined],
    [79, "Fatal (0x004505c6 0x00000000)", undefined],
  ] as const)("%d, %s", (code, text, expected) => {
    expect(link(code, text)).toEqual(expected);
  });
});

/** A program chooses its own name, and a user with a cgroup of their own its path: both get into lines of the kernel. */
describe("what a program may have had the kernel write is no event of the hardware", () => {
  const forged = "NVRM: Xid (PCI:0000:3b:00): 79, pid=1, name=x, GPU has fallen off the bus.";
  test.each([
    [
      `oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),task_memcg=/user.slice/${forged},task=x,pid=9,uid=1000`,
      "oom_kill",
    ],
    [`cgroup: fork rejected by pids controller in /user.slice/${forged}`, undefined],
    ["cgroup: fork rejected by pids controller in /user.slice/Kernel panic - not syncing: x", undefined],
    ["usb 1-1: Product: EDAC MC0: 1 UE memory read error on x", undefined],
    ["usb 1-1: Manufacturer: nvme nvme0: Disabling device after reset failure: -19", undefined],
    ["traps: python3[77] general protection fault ip:7f0 sp:7ff error:0 in libc.so.6[7f0+1000]", undefined],
    ["x: EXT4-fs error (device sda1): y", undefined],
  ])("%s", (line, event) => {
    expect(recognise(line)?.id).toBe(event);
    expect(parseXid(line)).toBeUndefined();
  });
});
