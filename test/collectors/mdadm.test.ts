import { expect, test } from "bun:test";
import { mdadm } from "../../collectors/mdadm.ts";
import { parseMdstat } from "../../collectors/mdstat.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

const mdstat = `Personalities : [raid1] [raid0] [raid6] [raid5] [raid4]
md0 : active raid1 nvme1n1p2[1] nvme0n1p2[0]
      523200 blocks super 1.2 [2/2] [UU]
      bitmap: 1/4 pages [4KB], 65536KB chunk

md1 : active raid6 sdd1[5](S) sdc1[4](F) sdb1[1] sda1[0]
      1000 blocks super 1.2 level 6, 512k chunk, algorithm 2 [4/3] [UU_U]
      bitmap: 0/1 pages [0KB], 65536KB chunk
      [===>.................]  recovery = 16.9% (169/1000) finish=112.8min speed=100K/sec

md2 : active raid0 sdf[1] sde[0]
      2000 blocks super 1.2 512k chunks

md3 : active (auto-read-only) raid1 sdh[1] sdg[0]
      3000 blocks super 1.2 [2/2] [UU]
      	resync=PENDING

md4 : inactive sdi[0](S)
      4000 blocks super 1.2

unused devices: <none>
`;

const reject = (name: string): never => {
  throw new Error(name);
};

test.each([
  {
    name: "md0",
    activity: "active",
    disksActive: 2,
    disksRequired: 2,
    disksFailed: 0,
    disksSpare: 0,
    blocks: 523200,
    blocksSynced: 523200,
  },
  {
    name: "md1",
    activity: "recovering",
    disksActive: 3,
    disksRequired: 4,
    disksFailed: 1,
    disksSpare: 1,
    blocks: 1000,
    blocksSynced: 169,
  },
  {
    name: "md2",
    activity: "active",
    disksActive: 2,
    disksRequired: 2,
    disksFailed: 0,
    disksSpare: 0,
    blocks: 2000,
    blocksSynced: 2000,
  },
  {
    name: "md3",
    activity: "resyncing",
    disksActive: 2,
    disksRequired: 2,
    disksFailed: 0,
    disksSpare: 0,
    blocks: 3000,
    blocksSynced: 0,
  },
  {
    name: "md4",
    activity: "inactive",
    disksActive: 0,
    disksRequired: 0,
    disksFailed: 0,
    disksSpare: 1,
    blocks: 4000,
    blocksSynced: 4000,
  },
])("mdstat: $name is $activity", (expected) => {
  expect(parseMdstat(mdstat, reject)).toContainEqual(expected);
});

test("mdstat: an array that does not parse costs only itself", async () => {
  const page = await collectFrom(mdadm, { "proc/mdstat": mdstat.replace("523200 blocks", "many blocks") });
  expect(page.skipped).toEqual(["mdstat md0"]);
  expect(page.series).toContain('node_md_state{device="md1",state="recovering"} 1');
  expect(page.series.some((line) => line.includes("md0"))).toBeFalse();
});

test("mdadm: required and degraded disks from sysfs", async () => {
  const { series, skipped } = await collectFrom(mdadm, {
    "proc/mdstat": "Personalities :\nunused devices: <none>\n",
    "sys/block/md1/md/level": "raid6\n",
    "sys/block/md1/md/raid_disks": "5 (4)\n",
    "sys/block/md1/md/degraded": "1\n",
    "sys/block/md2/md/level": "raid1\n",
    "sys/block/md2/md/raid_disks": "2\n",
    "sys/block/md2/md/degraded": unreadable,
    "sys/block/md127/md/level": "container\n",
    "sys/block/sda/size": "1\n",
  });
  expect(series).toEqual([
    'node_md_degraded{device="md1"} 1',
    'node_md_degraded{device="md127"} 0',
    'node_md_raid_disks{device="md1"} 5',
    'node_md_raid_disks{device="md2"} 2',
  ]);
  expect(skipped).toEqual(["sys/block/md2/md/degraded"]);
});

test("mdadm: absent without the md driver", async () => {
  expect((await collectFrom(mdadm, {})).state).toBe("absent");
});
