import { Value } from "@sinclair/typebox/value";
import { describe, expect, test } from "bun:test";
import { diskstats } from "../../collectors/diskstats.ts";
import { collectFrom, createFixture } from "./fixture-host.ts";

const counters = "1 2 3 4 5 6 7 8 9 10 11";
const disks = {
  "proc/diskstats": [
    `   8       0 sda ${counters} 12 13 14 15 16 17`,
    `   8       1 sda1 ${counters}`,
    ` 259       0 nvme0n1 ${counters} 12 13 14 15`,
    ` 252       0 dm-0 ${counters}`,
    "   7       0 loop0 1 2 3",
    "   8      16 sdb 1 2 3",
    `  11       0 sr0 ${counters.replace("2", "two")}`,
    "",
  ].join("\n"),
  "sys/block/sda/queue/rotational": "1\n",
  "run/udev/data/b8:0": [
    "S:disk/by-id/ata-EXAMPLE",
    "E:ID_ATA=1",
    "E:ID_ATA_WRITE_CACHE=1",
    "E:ID_ATA_ROTATION_RATE_RPM=7200",
    "E:ID_MODEL=EX=AMPLE",
    "E:ID_SERIAL=EXAMPLE_123",
    "E:ID_SERIAL_SHORT=123",
    "E:ID_FS_TYPE=ext4",
    "E:ID_FS_UUID=cafe",
    "",
  ].join("\n"),
  "run/udev/data/b252:0": "E:DM_NAME=vg-root\nE:DM_VG_NAME=vg\n",
};

describe("diskstats", () => {
  test("another disk under the same name, and a new file system, are seen at the next collection", async () => {
    await using fixture = await createFixture(disks);
    const collector = diskstats.create(Value.Default(diskstats.options, {}) as Parameters<typeof diskstats.create>[0]);
    const infos = async (): Promise<string> =>
      (await fixture.collect(collector)).series.filter((line) => /_info.*"sda"|_ata_rot.*"sda"/.test(line)).join("\n");
    const before = await infos();
    expect(before).toContain('model="EX=AMPLE",path="",revision="",rotational="1",serial="123"');
    expect(before).toContain('node_disk_ata_rotation_rate_rpm{device="sda"} 7200');
    expect(await infos()).toBe(before);
    await fixture.put({ "run/udev/data/b8:0": "E:ID_MODEL=OTHER\n", "sys/block/sda/queue/rotational": "0\n" });
    const labels = 'device="sda",major="8",minor="0",model="OTHER",path="",revision="",rotational="0",serial="",wwn=""';
    expect(await infos()).toBe(`node_disk_info{${labels}} 1`);
    await fixture.put({ "run/udev/data/b8:0": "E:ID_MODEL=OTHER\nE:ID_FS_TYPE=xfs\n" });
    expect(await infos()).toContain('node_disk_filesystem_info{device="sda",type="xfs"');
  });

  test("units, and as many series as the kernel prints columns", async () => {
    const { series } = await collectFrom(diskstats, disks);
    const of = (device: string) =>
      series.filter((line) => line.includes(`device="${device}"`) && !/_info|_ata_/.test(line));
    expect(of("sda")).toHaveLength(17);
    expect(of("nvme0n1")).toHaveLength(15);
    expect(of("dm-0")).toHaveLength(11);
    expect(series).toContain('node_disk_read_bytes_total{device="sda"} 1536');
    expect(series).toContain('node_disk_read_time_seconds_total{device="sda"} 0.004');
    expect(series).toContain('node_disk_discarded_sectors_total{device="sda"} 14');
  });

  test("what udev knows", async () => {
    const { series } = await collectFrom(diskstats, disks);
    expect(series.filter((line) => /_info|_ata_/.test(line))).toEqual([
      'node_disk_ata_rotation_rate_rpm{device="sda"} 7200',
      'node_disk_ata_write_cache{device="sda"} 1',
      'node_disk_device_mapper_info{device="dm-0",lv_layer="",lv_name="",name="vg-root",uuid="",vg_name="vg"} 1',
      'node_disk_filesystem_info{device="sda",type="ext4",usage="",uuid="cafe",version=""} 1',
      'node_disk_info{device="dm-0",major="252",minor="0",model="",path="",revision="",rotational="0",serial="",wwn=""} 1',
      'node_disk_info{device="nvme0n1",major="259",minor="0",model="",path="",revision="",rotational="0",serial="",wwn=""} 1',
      'node_disk_info{device="sda",major="8",minor="0",model="EX=AMPLE",path="",revision="",rotational="1",serial="123",wwn=""} 1',
    ]);
  });

  test("a line that does not parse costs its device", async () => {
    expect((await collectFrom(diskstats, disks)).skipped).toEqual(["sdb in diskstats", "sr0 in diskstats"]);
  });

  test.each([
    { options: {}, devices: ["dm-0", "nvme0n1", "sda"] },
    { options: { device_include: "^sda" }, devices: ["sda", "sda1"] },
    { options: { device_exclude: "^(sda|dm-)" }, devices: ["nvme0n1"] },
    { options: { ignored_devices: "^(sda|dm-)" }, devices: ["nvme0n1"] },
    { options: { device_exclude: "" }, devices: ["dm-0", "nvme0n1", "sda", "sda1"] },
  ])("filter $options", async ({ options, devices }) => {
    const { series } = await collectFrom(diskstats, disks, options);
    const found = series.map((line) => /^node_disk_io_now\{device="(.*)"\}/.exec(line)?.[1]).filter(Boolean);
    expect(found as string[]).toEqual([...devices]);
  });

  test("both filters set is an error that names both flags", async () => {
    await expect(collectFrom(diskstats, disks, { device_include: "sda", device_exclude: "sdb" })).rejects.toThrow(
      "--collector.diskstats.device-include and --collector.diskstats.device-exclude are mutually exclusive",
    );
    await expect(collectFrom(diskstats, disks, { ignored_devices: "sda", device_exclude: "sdb" })).rejects.toThrow(
      "--collector.diskstats.ignored-devices and --collector.diskstats.device-exclude are mutually exclusive",
    );
  });
});
