import { expect, test } from "bun:test";
import { dmmultipath } from "../../collectors/dmmultipath.ts";
import { nvme } from "../../collectors/nvme.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

const controller = "sys/class/nvme/nvme3";
const drive = {
  [`${controller}/serial`]: "S1  \n",
  [`${controller}/model`]: "Acme 4T\n",
  [`${controller}/state`]: "live\n",
  [`${controller}/firmware_rev`]: "F1\n",
  [`${controller}/cntlid`]: "7\n",
  [`${controller}/ng3n1/size`]: "1\n",
  [`${controller}/nvme3n1/size`]: "7814037168\n",
  [`${controller}/nvme3n1/nuse`]: "1000\n",
  [`${controller}/nvme3n1/queue/logical_block_size`]: "4096\n",
};

test("nvme: the size counts 512-byte sectors whatever the block size, the use counts blocks", async () => {
  expect((await collectFrom(nvme, drive)).series).toEqual([
    'node_nvme_info{cntlid="7",device="nvme3",firmware_revision="F1",model="Acme 4T",serial="S1",state="live"} 1',
    'node_nvme_namespace_capacity_bytes{device="nvme3",nsid="1"} 4.000787030016e+12',
    'node_nvme_namespace_info{ana_state="unknown",device="nvme3",nsid="1"} 1',
    'node_nvme_namespace_logical_block_size_bytes{device="nvme3",nsid="1"} 4096',
    'node_nvme_namespace_size_bytes{device="nvme3",nsid="1"} 4.000787030016e+12',
    'node_nvme_namespace_used_bytes{device="nvme3",nsid="1"} 4.096e+06',
  ]);
});

test("nvme: a kernel without nuse loses one series, an unreadable model leaves an empty label", async () => {
  const { [`${controller}/nvme3n1/nuse`]: _, ...older } = drive;
  const { series, skipped } = await collectFrom(nvme, { ...older, [`${controller}/model`]: unreadable });
  expect(series).toHaveLength(5);
  expect(series[0]).toContain('model="",serial="S1"');
  expect(skipped).toEqual([`${controller}/model`]);
});

const multipath = {
  "sys/block/dm-0/dm/uuid": "LVM-abc\n",
  "sys/block/dm-1/dm/uuid": "mpath-36000\n",
  "sys/block/dm-1/dm/name": "data\n",
  "sys/block/dm-1/dm/suspended": "0\n",
  "sys/block/dm-1/size": "2048\n",
  "sys/block/dm-1/slaves/sdb": { to: "../../sdb" },
  "sys/block/dm-1/slaves/sdc": { to: "../../sdc" },
  "sys/block/sdb/device/state": "running\n",
  "sys/block/sdc/device/state": "offline\n",
};

test("dmmultipath: paths and their states, other device mapper targets left out", async () => {
  const labels = 'device="data",sysfs_name="dm-1"';
  expect((await collectFrom(dmmultipath, multipath)).series).toEqual([
    `node_dmmultipath_device_active{${labels}} 1`,
    `node_dmmultipath_device_info{${labels},uuid="mpath-36000"} 1`,
    `node_dmmultipath_device_paths{${labels}} 2`,
    `node_dmmultipath_device_paths_active{${labels}} 1`,
    `node_dmmultipath_device_paths_failed{${labels}} 1`,
    `node_dmmultipath_device_size_bytes{${labels}} 1.048576e+06`,
    'node_dmmultipath_path_state{device="data",path="sdb",state="running"} 1',
    'node_dmmultipath_path_state{device="data",path="sdc",state="offline"} 1',
  ]);
});

test("dmmultipath: a path of unknown state takes the counts by state along, nothing else", async () => {
  const { series, skipped } = await collectFrom(dmmultipath, {
    ...multipath,
    "sys/block/sdc/device/state": unreadable,
  });
  expect(series).toHaveLength(5);
  expect(series.some((line) => line.includes("paths_active") || line.includes("paths_failed"))).toBeFalse();
  expect(skipped).toEqual(["sys/block/sdc/device/state"]);
});

test("absent without the class; no multipath device is a success without series", async () => {
  expect((await collectFrom(nvme, {})).state).toBe("absent");
  expect((await collectFrom(dmmultipath, {})).state).toBe("absent");
  expect(await collectFrom(dmmultipath, { "sys/block/": "" })).toMatchObject({ state: "ok", series: [] });
});
