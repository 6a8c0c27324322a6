import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";

import { counter, createFamilySet, type FamilyHead, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { compilePattern } from "./pattern.ts";
import { detectPath, listIfPresent, readNumber } from "./read.ts";

/** Families by file of /sys/class/scsi_tape/<device>/stats, see Documentation/scsi/st.rst of the kernel. */
const statistics: Readonly<Record<string, readonly [family: FamilyHead, unit: number]>> = {
  in_flight: [gauge("node_tape_io_now", "The number of I/Os currently outstanding to this device."), 1],
  io_ns: [
    counter(
      "node_tape_io_time_seconds_total",
      "The amount of time spent waiting for all I/O to complete (including read and write). This includes tape movement commands such as seeking between file or set marks and implicit tape movement such as when rewind on close tape devices are used.",
    ),
    1e-9,
  ],
  other_cnt: [
    counter(
      "node_tape_io_others_total",
      "The number of I/Os issued to the tape drive other than read or write commands. The time taken to complete these commands uses the following calculation io_time_seconds_total-read_time_seconds_total-write_time_seconds_total",
    ),
    1,
  ],
  read_byte_cnt: [counter("node_tape_read_bytes_total", "The number of bytes read from the tape drive."), 1],
  read_cnt: [counter("node_tape_reads_completed_total", "The number of read requests issued to the tape drive."), 1],
  read_ns: [
    counter("node_tape_read_time_seconds_total", "The amount of time spent waiting for read requests to complete."),
    1e-9,
  ],
  resid_cnt: [
    counter(
      "node_tape_residual_total",
      "The number of times during a read or write we found the residual amount to be non-zero. This should mean that a program is issuing a read larger thean the block size on tape. For write not all data made it to tape.",
    ),
    1,
  ],
  write_byte_cnt: [counter("node_tape_written_bytes_total", "The number of bytes written to the tape drive."), 1],
  write_cnt: [counter("node_tape_writes_completed_total", "The number of write requests issued to the tape drive."), 1],
  write_ns: [
    counter("node_tape_write_time_seconds_total", "The amount of time spent waiting for write requests to complete."),
    1e-9,
  ],
};

export const tapestats = defineCollector({
  name: "tapestats",
  description: "SCSI tape drives from /sys/class/scsi_tape.",
  enabledByDefault: true,
  options: Type.Object(
    {
      ignored_devices: Type.String({
        default: "^$",
        flag: "collector.tapestats.ignored-devices",
        description: "Regular expression of tape devices to leave out.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ ignored_devices }) => {
    const ignored = compilePattern(ignored_devices, "--collector.tapestats.ignored-devices");
    return {
      detect: async ({ sysPath }) => detectPath(`${sysPath}/class/scsi_tape`, "no tape drive"),
      collect: async (host): Promise<MetricFamily[]> => {
        const families = createFamilySet();
        const folder = `${host.sysPath}/class/scsi_tape`;
        for (const device of listIfPresent(folder)) {
          // nst0, st0a and the like are other ways to open the same drive.
          if (/^st\d+$/.test(device) && !ignored.test(device)) addDrive(host, families, device, `${folder}/${device}`);
        }
        return families.list();
      },
    };
  },
});

function addDrive(host: Host, families: FamilySet, device: string, path: string): void {
  for (const [name, [family, unit]] of Object.entries(statistics)) {
    const value = readNumber(host, `${path}/stats/${name}`);
    families.add(family, { device }, value === undefined ? undefined : value * unit);
  }
}
