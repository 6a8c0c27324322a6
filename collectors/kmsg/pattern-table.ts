import type { Severity } from "../events.ts";
import type { EventClass } from "./patterns.ts";

interface Pattern {
  readonly id: string;
  readonly class: EventClass;
  readonly severity: Severity | ((match: RegExpExecArray) => Severity);
  /** Named groups: `device`, `code`. */
  readonly regex: RegExp;
}

const bdf = "[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\\.[0-7]";
const amdgpu = `amdgpu (?<device>${bdf}): (?:amdgpu: )?`;
const mlx5 = "mlx5_core (?<device>[0-9a-fA-F:.]+): (?:\\w+:\\d+:\\(pid \\d+\\): )?";
const nvme = "nvme (?<device>nvme\\d+): ";
const nvmeIo = `${nvme}I/O (?:tag )?\\d+(?: \\([^)]*\\))*(?: opcode 0x[0-9a-f]+)?(?: \\([^)]*\\))? QID \\d+ timeout, `;

const on = (id: string, eventClass: EventClass, severity: Pattern["severity"], regex: string): Pattern => ({
  id,
  class: eventClass,
  severity,
  // Anchored: what a program calls itself and its cgroup gets into lines of the kernel.
  regex: new RegExp(`^(?:${regex})`),
});

const byWord =
  (words: Readonly<Record<string, Severity>>, otherwise: Severity) =>
  (match: RegExpExecArray): Severity =>
    words[(match.groups?.["kind"] ?? "").toLowerCase()] ?? otherwise;

/**
 * The first pattern that matches names the event. Wordings differ between kernel and driver versions; a line that
 * matches nothing is no event.
 */
export const patterns: readonly Pattern[] = [
  on(
    "gpu_fallen_off_bus",
    "gpu",
    "fatal",
    "NVRM: GPU (?:at PCI:)?(?<device>[0-9a-fA-F:.]+): GPU has fallen off the bus",
  ),
  on("gpu_fallen_off_bus", "gpu", "fatal", `NVRM: The NVIDIA GPU (?<device>${bdf})\\s*(?:\\n|$)`),
  on("gpu_init_failed", "gpu", "critical", `NVRM: (?:GPU )?(?<device>${bdf}): RmInitAdapter failed!`),
  on("gpu_driver_mismatch", "gpu", "critical", "NVRM: API mismatch: the client has the version"),
  on("gpu_peer_memory", "gpu", "warning", "\\S+ nv_get_p2p_free_callback:\\d+ ERROR detected invalid context"),
  on(
    "nvswitch_sxid",
    "nvswitch",
    byWord({ fatal: "fatal" }, "warning"),
    "nvidia-nvswitch\\d+: SXid \\(PCI:(?<device>[0-9a-fA-F:.]+)\\): (?<code>\\d+), (?<kind>Fatal|Non-fatal)",
  ),
  on("nccl_crash", "app", "warning", ".{1,16}\\[\\d+\\]: segfault at .* in libnccl\\.so"),
  on("amdgpu_reset_failed", "gpu", "fatal", `${amdgpu}GPU reset(?:\\(\\d+\\))? failed`),
  on("amdgpu_reset_failed", "gpu", "fatal", `${amdgpu}GPU reset end with ret = -\\d+`),
  on("amdgpu_reset_failed", "gpu", "fatal", "(?:amdgpu |\\[drm).*\\*ERROR\\* GPU Recovery Failed: -?\\d+"),
  on("amdgpu_reset", "gpu", "critical", `${amdgpu}GPU reset begin!`),
  on("amdgpu_reset_succeeded", "gpu", "info", `${amdgpu}GPU reset(?:\\(\\d+\\))? succeeded`),
  on(
    "amdgpu_ring_timeout",
    "gpu",
    "warning",
    `(?:\\[drm:amdgpu_job_timedout \\[amdgpu\\]\\] \\*ERROR\\* |${amdgpu})ring \\S+ timeout`,
  ),
  on("amdgpu_queue_timeout", "gpu", "warning", "amdgpu(?: \\S+)?: (?:amdgpu: )?qcm fence wait loop timeout expired"),
  on("amdgpu_vram_lost", "gpu", "critical", "(?:amdgpu |\\[drm).*VRAM is lost due to GPU reset!"),
  on(
    "amdgpu_ras",
    "gpu",
    "critical",
    `${amdgpu}(?:\\{\\d+\\})?uncorrectable hardware error\\(ERREVENT_ATHUB_INTERRUPT\\) detected!`,
  ),
  on(
    "amdgpu_ras",
    "gpu",
    byWord({ correctable: "warning" }, "critical"),
    `${amdgpu}(?:\\{\\d+\\} ?)?(?:socket: \\d+, die: \\d+,? )?\\d+ new (?<kind>correctable|uncorrectable|deferred) hardware errors detected in`,
  ),
  on(
    "amdgpu_poison",
    "gpu",
    "critical",
    `amdgpu (?<device>${bdf}):(?:\\s*amdgpu:)?\\s+(?:\\{\\d+\\})?(?:poison is consumed by client \\d+|Poison is created)`,
  ),
  on(
    "amdgpu_bad_pages",
    "gpu",
    "critical",
    "amdgpu(?: \\S+)?: (?:amdgpu: )?Saved bad pages \\d+ reaches threshold value \\d+",
  ),
  on("amdgpu_init_failed", "gpu", "fatal", "amdgpu.*Fatal error during GPU init"),
  on("amdgpu_page_fault", "app", "warning", `${amdgpu}\\[(?:gfxhub|mmhub)\\d*\\] (?:retry |no-retry )?page fault`),
  on("amdgpu_throttled", "gpu", "warning", `${amdgpu}WARN: GPU is throttled`),
  on("memory_corrected", "memory", "warning", "EDAC (?<device>MC\\d+): \\d+ CE "),
  on("memory_uncorrected", "memory", "fatal", "EDAC (?<device>MC\\d+): \\d+ UE "),
  on("memory_failure", "memory", "critical", "Memory failure: 0x[0-9a-f]+: "),
  on(
    "machine_check_exception",
    "cpu",
    "fatal",
    "mce: \\[Hardware Error\\]: (?<device>CPU \\d+): Machine Check Exception: ",
  ),
  on("machine_check", "cpu", "warning", "mce: \\[Hardware Error\\]: (?<device>CPU \\d+): Machine Check: "),
  on("machine_check", "cpu", "warning", "mce: \\[Hardware Error\\]: Machine check events logged"),
  on(
    "firmware_error",
    "hardware",
    byWord({ corrected: "warning", info: "info", recoverable: "critical" }, "fatal"),
    "(?:\\{\\d+\\})?\\[Hardware Error\\]: event severity: (?<kind>corrected|recoverable|fatal|info)",
  ),
  on(
    "pcie_corrected",
    "pcie",
    "warning",
    `\\S+ (?<device>${bdf}): AER: (?:Multiple )?Correct(?:ed|able) error (?:message )?received`,
  ),
  on(
    "pcie_uncorrected",
    "pcie",
    byWord({ fatal: "fatal" }, "critical"),
    `\\S+ (?<device>${bdf}): AER: (?:Multiple )?Uncorrect(?:ed|able) \\((?<kind>Fatal|Non-Fatal)\\) error (?:message )?received`,
  ),
  on(
    "pcie_slot_down",
    "pcie",
    "critical",
    "pcieport (?<device>[0-9a-fA-F:.]+): pciehp: Slot\\(\\S+\\): (?:Link Down|Card not present)",
  ),
  on("pcie_containment", "pcie", "critical", "pcieport (?<device>[0-9a-fA-F:.]+): DPC: containment event"),
  on(
    "pci_inaccessible",
    "pcie",
    "critical",
    "\\S+ (?<device>[0-9a-fA-F:.]+): can't change power state from \\S+ to D0 \\(config space inaccessible\\)",
  ),
  on("nvme_reset", "disk", "critical", `${nvmeIo}(?:reset controller|disable controller)`),
  on("nvme_timeout", "disk", "warning", `${nvmeIo}(?:aborting|completion polled)`),
  on("nvme_reset", "disk", "critical", `${nvme}controller is down; will reset`),
  on("nvme_not_ready", "disk", "critical", `${nvme}Device not ready; aborting reset`),
  on(
    "nvme_gone",
    "disk",
    "fatal",
    `${nvme}(?:Removing after probe failure status|Disabling device after reset failure): -?\\d+`,
  ),
  on("nvme_no_path", "disk", "critical", "block (?<device>nvme\\d+n\\d+): no available path - failing I/O"),
  on(
    "nvme_command_failed",
    "disk",
    "warning",
    "(?<device>nvme\\d+[cn]\\d+(?:n\\d+)?): .+?\\(0x[0-9a-f]+\\) @ LBA \\d+, \\d+ blocks, ",
  ),
  on(
    "disk_media_error",
    "disk",
    "critical",
    "(?:blk_update_request: |print_req_error: )?critical medium error, dev (?<device>\\S+), sector \\d+",
  ),
  on(
    "disk_io_error",
    "disk",
    "warning",
    "(?:blk_update_request: |print_req_error: )?(?:I/O error|critical target error|critical space allocation error|protection error), dev (?<device>\\S+), sector \\d+",
  ),
  on("buffer_io_error", "disk", "warning", "Buffer I/O error on dev(?:ice)? (?<device>[^ ,]+), logical block \\d+"),
  on("beyond_end_of_device", "disk", "critical", "(?:.{1,16}: )?attempt to access beyond end of device"),
  // Says that what was before is over: somebody has checked or changed the disk.
  on("filesystem_mounted", "disk", "info", "EXT4-fs \\((?<device>[^)]+)\\): (?:re-)?mounted filesystem"),
  on(
    "filesystem_mounted",
    "disk",
    "info",
    "XFS \\((?<device>[^)]+)\\): (?:Mounting V\\d Filesystem|Ending (?:clean mount|recovery))",
  ),
  on("filesystem_mounted", "disk", "info", "BTRFS info \\(device (?<device>[^)]+)\\): first mount of filesystem"),
  on(
    "filesystem_read_only",
    "disk",
    "critical",
    "(?:EXT4-fs|XFS|BTRFS)[^(]*\\((?:device )?(?<device>[^) ]+)[^)]*\\): .*(?:[Rr]emounting filesystem read-only|forced readonly)",
  ),
  on("filesystem_error", "disk", "critical", "EXT4-fs error \\(device (?<device>[^)]+)\\)"),
  on(
    "filesystem_shutdown",
    "disk",
    "fatal",
    "XFS \\((?<device>[^)]+)\\): (?:Filesystem has been shut down|Corruption of in-memory data|Log I/O Error Detected|User initiated shutdown|.*Shutting down filesystem)",
  ),
  on("filesystem_error", "disk", "critical", "EXT4-fs \\((?<device>[^)]+)\\): I/O error while writing superblock"),
  on(
    "md_disk_failed",
    "disk",
    "critical",
    "md/raid\\S*: Disk failure on (?<device>[^\\s,]+),? (?:detected, failing array|disabling device)",
  ),
  on(
    "scsi_error",
    "disk",
    "warning",
    "sd \\d+:\\d+:\\d+:\\d+: \\[(?<device>\\w+)\\] tag#\\d+ Sense Key : (?:Medium Error|Hardware Error|Aborted Command)",
  ),
  on("ata_exception", "disk", "warning", "(?<device>ata\\d+)(?:\\.\\d+)?: exception Emask 0x[0-9a-f]+"),
  on(
    "nfs_not_responding",
    "mount",
    "critical",
    "nfs: server (?<device>\\S+) not responding, (?:timed out|still trying)",
  ),
  on("nfs_responding", "mount", "info", "nfs: server (?<device>\\S+) OK"),
  // A frame of a stack trace; a question mark in front says that it may be a leftover.
  on(
    "nfs_writeback_hung",
    "mount",
    "critical",
    " +(?:nfs_lock_and_join_requests|nfs_wb_all|nfs_page_async_flush|nfs_writepages_callback)\\+0x",
  ),
  on("nfs_lock_lost", "mount", "critical", "(?:NFS: )?nfs4_reclaim_open_state: Lock reclaim failed"),
  on("lustre_error", "mount", "warning", "LustreError: "),
  on("nic_module_error", "nic", "warning", `${mlx5}Port module event\\[error\\]: module \\d+, `),
  on("nic_module_changed", "nic", "info", `${mlx5}Port module event: module \\d+, `),
  on("nic_power", "nic", "warning", `${mlx5}Detected insufficient power on the PCIe slot`),
  on("nic_temperature", "nic", "warning", `${mlx5}High temperature on sensors with bit set`),
  on(
    "nic_failed",
    "nic",
    "fatal",
    `${mlx5}(?:device's health compromised - reached miss count|Fatal error \\d+ detected)`,
  ),
  on(
    "nic_failed",
    "nic",
    "fatal",
    `${mlx5}[A-Z0-9_]+\\(0x[0-9a-f]+\\) timeout\\. Will cause a leak of a command resource`,
  ),
  on("nic_pci_error", "nic", "critical", "mlx5_core (?<device>[0-9a-fA-F:.]+): mlx5_pci_err_detected"),
  on(
    "nic_register_refused",
    "nic",
    "info",
    "mlx5_core (?<device>[0-9a-fA-F:.]+): mlx5_cmd_out_err:\\d+:\\(pid \\d+\\): ACCESS_REG\\(0x805\\)",
  ),
  on(
    "nic_transmit_timeout",
    "nic",
    "critical",
    "NETDEV WATCHDOG: (?<device>\\S+) \\(\\S+\\): transmit queue \\d+ timed out",
  ),
  on(
    "nic_transmit_timeout",
    "nic",
    "critical",
    "(?:\\S+ \\S+ )?(?<device>\\S+): NETDEV WATCHDOG: CPU: \\d+: transmit queue \\d+ timed out",
  ),
  on(
    "link_up",
    "nic",
    "info",
    `(?:\\S+ (?:${bdf} )?)?(?<device>[^\\s:]+): (?:\\w+: \\S+ )?(?:NIC )?[Ll]ink (?:is )?(?:up|Up|UP)\\b`,
  ),
  on(
    "link_down",
    "nic",
    "warning",
    `(?:\\S+ (?:${bdf} )?)?(?<device>[^\\s:]+): (?:\\w+: \\S+ )?(?:NIC )?[Ll]ink (?:is )?(?:down|Down|DOWN)\\b`,
  ),
  on("oom_kill", "memory", "warning", "oom-kill:constraint=\\w+,.*,task=[^,]*,pid=\\s*\\d+,uid="),
  on(
    "soft_lockup",
    "cpu",
    "critical",
    "(?:NMI )?(?:watchdog: )?BUG: soft lockup - CPU#(?<device>\\d+) stuck for \\d+s!",
  ),
  on(
    "hard_lockup",
    "cpu",
    "fatal",
    "(?:NMI )?[Ww]atchdog: (?:BUG: )?(?:Watchdog detected )?[Hh]ard LOCKUP on cpu (?<device>\\d+)",
  ),
  on("hung_task", "kernel", "critical", "INFO: task .+:\\d+ blocked for more than \\d+ seconds"),
  on("rcu_stall", "cpu", "critical", "rcu: INFO: rcu_\\w+ (?:detected stalls on CPUs/tasks|self-detected stall)"),
  on("kernel_panic", "kernel", "fatal", "Kernel panic - not syncing: "),
  on(
    "kernel_oops",
    "kernel",
    "critical",
    "BUG: unable to handle|BUG: kernel NULL pointer dereference|Oops: |general protection fault",
  ),
  on("file_handles_exhausted", "kernel", "warning", "VFS: file-max limit \\d+ reached"),
  on(
    "cpu_throttled",
    "cpu",
    "warning",
    "(?:mce: )?(?<device>CPU\\d+): (?:Core|Package) temperature (?:is )?above threshold, cpu clock(?: is)? throttled",
  ),
];
