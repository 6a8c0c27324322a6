import { expect, test } from "bun:test";
import { buddyinfo } from "../../collectors/buddyinfo.ts";
import { ksmd } from "../../collectors/ksmd.ts";
import { meminfoNuma } from "../../collectors/meminfo-numa.ts";
import { slabinfo } from "../../collectors/slabinfo.ts";
import { zoneinfo } from "../../collectors/zoneinfo.ts";
import { collectFrom } from "./fixture-host.ts";

test("buddyinfo: one series per order; a bad count costs the rest of its zone", async () => {
  const text = "Node 0, zone      DMA      1      0\nNode 1, zone   Normal   4381      x\n";
  expect(await collectFrom(buddyinfo, { "proc/buddyinfo": text })).toMatchObject({
    series: [
      'node_buddyinfo_blocks{node="0",size="0",zone="DMA"} 1',
      'node_buddyinfo_blocks{node="0",size="1",zone="DMA"} 0',
      'node_buddyinfo_blocks{node="1",size="0",zone="Normal"} 4381',
    ],
    skipped: ["node 1 zone Normal in buddyinfo"],
  });
});

const zones = `Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 95612
      nr_dirtied   1189097
  pages free     2949
        min      8
        high     14
        protection: (0, 2039)
      nr_free_pages 2949
      numa_hit     1
  pagesets
    cpu: 0
              count: 0
              high:  0
Node 1, zone   Normal
        min      many
        protection: (0)
      nr_novelty 7
`;

test("zoneinfo: what the kernel says of a node stands under its first zone", async () => {
  const { series, skipped } = await collectFrom(zoneinfo, { "proc/zoneinfo": zones });
  expect(series).toEqual([
    'node_zoneinfo_high_pages{node="0",zone="DMA"} 14',
    'node_zoneinfo_min_pages{node="0",zone="DMA"} 8',
    'node_zoneinfo_nr_dirtied_total{node="0",zone="DMA"} 1.189097e+06',
    'node_zoneinfo_nr_free_pages{node="0",zone="DMA"} 2949',
    'node_zoneinfo_nr_inactive_anon_pages{node="0",zone="DMA"} 95612',
    'node_zoneinfo_numa_hit_total{node="0",zone="DMA"} 1',
    'node_zoneinfo_protection_0{node="0",zone="DMA"} 0',
    'node_zoneinfo_protection_0{node="1",zone="Normal"} 0',
    'node_zoneinfo_protection_1{node="0",zone="DMA"} 2039',
  ]);
  expect(skipped).toEqual(["min in zoneinfo"]);
});

const slabs = `slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit>
tw_sock_TCP          704    864    256   32    2 : tunables    0    0    0 : slabdata     27     27      0
kmalloc-64             1      2     64    x    1 : tunables    0    0    0 : slabdata      1      1      0
kmem_cache           320    320    256   32    2 : tunables    0    0    0 : slabdata     10     10      0
`;

test("slabinfo: both filters together", async () => {
  const options = { slabs_include: "^(tw|km)", slabs_exclude: "cache$" };
  expect(await collectFrom(slabinfo, { "proc/slabinfo": slabs }, options)).toMatchObject({
    series: [
      'node_slabinfo_active_objects{slab="tw_sock_TCP"} 704',
      'node_slabinfo_object_size_bytes{slab="tw_sock_TCP"} 256',
      'node_slabinfo_objects{slab="tw_sock_TCP"} 864',
      'node_slabinfo_objects_per_slab{slab="tw_sock_TCP"} 32',
      'node_slabinfo_pages_per_slab{slab="tw_sock_TCP"} 2',
    ],
    skipped: ["kmalloc-64 in slabinfo"],
  });
});

test("ksmd: milliseconds to seconds, a negative profit, files that the kernel lacks", async () => {
  const { series } = await collectFrom(ksmd, {
    "sys/kernel/mm/ksm/full_scans": "323\n",
    "sys/kernel/mm/ksm/general_profit": "-4096\n",
    "sys/kernel/mm/ksm/sleep_millisecs": "20\n",
  });
  expect(series).toEqual([
    "node_ksmd_full_scans_total 323",
    "node_ksmd_general_profit_bytes -4096",
    "node_ksmd_sleep_seconds 0.02",
  ]);
});

test("meminfo_numa: bytes per node under names without a unit", async () => {
  const page = await collectFrom(meminfoNuma, {
    "sys/devices/system/node/node0/meminfo":
      "\nNode 0 MemTotal:       2 kB\nNode 0 Active(anon): 1 kB\nNode 0 HugePages_Total:     3\nNode 0 Odd: 1 MB\n",
    "sys/devices/system/node/node0/numastat": "numa_hit 193460335812\n",
    "sys/devices/system/node/node10/numastat": "numa_hit 1\nnuma_miss\n",
    "sys/devices/system/node/possible": "0-15\n",
  });
  expect(page.series).toEqual([
    'node_memory_numa_Active_anon{node="0"} 1024',
    'node_memory_numa_HugePages_Total{node="0"} 3',
    'node_memory_numa_MemTotal{node="0"} 2048',
    'node_memory_numa_numa_hit_total{node="0"} 1.93460335812e+11',
    'node_memory_numa_numa_hit_total{node="10"} 1',
  ]);
  expect(page.skipped).toEqual(["Odd in meminfo of node 0", "numa_miss in numastat of node 10"]);
});
