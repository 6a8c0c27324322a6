import { expect, test } from "bun:test";
import { btrfs } from "../../collectors/btrfs.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

const path = "sys/fs/btrfs/0abb23a9-579b";
const tree = {
  "proc/self/mountinfo": "36 35 0:44 / /data rw - btrfs /dev/sda1 rw\n",
  "sys/fs/btrfs/features/raid56": "0\n",
  [`${path}/label`]: "data\n",
  [`${path}/commit_stats`]: "commits 3\nlast_commit_ms 1\nmax_commit_ms 51462\ntotal_commit_ms 47836090\n",
  [`${path}/devices/sda1/size`]: "2048\n",
  [`${path}/devices/sdb1/size`]: "2048\n",
  [`${path}/devices/sdc1/size`]: "2048\n",
  [`${path}/allocation/global_rsv_size`]: "16777216\n",
  [`${path}/allocation/data/bytes_reserved`]: "0\n",
  [`${path}/allocation/data/raid5/used_bytes`]: "100\n",
  [`${path}/allocation/data/raid5/total_bytes`]: "200\n",
};

test("space, commits and devices from sysfs where the mount point cannot be asked", async () => {
  const uuid = 'uuid="0abb23a9-579b"';
  const { series, skipped } = await collectFrom(btrfs, tree);
  expect(series).toEqual([
    `node_btrfs_allocation_ratio{block_group_type="data",mode="raid5",${uuid}} 1.5`,
    `node_btrfs_commit_seconds_total{${uuid}} 47836.09`,
    `node_btrfs_commits_total{${uuid}} 3`,
    `node_btrfs_device_size_bytes{device="sda1",${uuid}} 1.048576e+06`,
    `node_btrfs_device_size_bytes{device="sdb1",${uuid}} 1.048576e+06`,
    `node_btrfs_device_size_bytes{device="sdc1",${uuid}} 1.048576e+06`,
    `node_btrfs_global_rsv_size_bytes{${uuid}} 1.6777216e+07`,
    `node_btrfs_info{label="data",${uuid}} 1`,
    `node_btrfs_last_commit_seconds{${uuid}} 0.001`,
    `node_btrfs_max_commit_seconds{${uuid}} 51.462`,
    `node_btrfs_reserved_bytes{block_group_type="data",${uuid}} 0`,
    `node_btrfs_size_bytes{block_group_type="data",mode="raid5",${uuid}} 200`,
    `node_btrfs_used_bytes{block_group_type="data",mode="raid5",${uuid}} 100`,
  ]);
  expect(skipped).toEqual([]);
});

test("what is not a btrfs, or cannot be read, costs its own series", async () => {
  const { series, skipped } = await collectFrom(btrfs, {
    ...tree,
    "data/file": "an ordinary folder at the mount point\n",
    [`${path}/devices/sdb1/size`]: unreadable,
    [`${path}/commit_stats`]: unreadable,
    [`${path}/allocation/global_rsv_size`]: "lots\n",
  });
  expect(series).toHaveLength(7);
  expect(skipped).toEqual([
    "btrfs devices of data",
    `${path}/allocation/global_rsv_size`,
    `${path}/commit_stats`,
    `${path}/devices/sdb1/size`,
  ]);
});

test("a kernel without commit_stats publishes zero commits, as node_exporter does", async () => {
  const { [`${path}/commit_stats`]: _, ...older } = tree;
  expect((await collectFrom(btrfs, older)).series).toContain('node_btrfs_commits_total{uuid="0abb23a9-579b"} 0');
});

test("no btrfs is a success without series", async () => {
  expect(await collectFrom(btrfs, {})).toMatchObject({ state: "ok", series: [] });
});
