import { expect, test } from "bun:test";
import { bcache, parseHuman } from "../../collectors/bcache.ts";
import { bcachefs, parseSize } from "../../collectors/bcachefs.ts";
import { xfs } from "../../collectors/xfs.ts";
import { zfs } from "../../collectors/zfs.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

const kstat = "proc/spl/kstat/zfs";
const pool = {
  [`${kstat}/arcstats`]:
    "6 1 0x01 91 4368 1 2\nname   type data\nhits   4    12\nmemory_available_bytes 3 -5\nname7 7 text\n",
  [`${kstat}/fm`]: "0 1 0x01 4 192 1 2\nname   type data\nerpt-dropped   4    18\n",
  [`${kstat}/dbgmsg`]: "a table for people\n",
  [`${kstat}/tank/state`]: "DEGRADED\n",
  [`${kstat}/tank/io`]: "12 3 0x00 1 80 1 2\nnread    nwritten reads\n18       0        4\n",
  [`${kstat}/tank/objset-0x36`]:
    "23 1 0x01 7 2160 1 2\nname type data\ndataset_name 7 tank/my  data\nwrites 4 9\nlag 3 1\n",
  [`${kstat}/tank/txgs`]: "1 2 3\n",
};

test("zfs: kstats by subsystem, pools, datasets", async () => {
  const { series, lines, skipped } = await collectFrom(zfs, pool);
  expect(series.filter((line) => !line.includes("_state{"))).toEqual([
    "node_zfs_arc_hits 12",
    "node_zfs_arc_memory_available_bytes -5",
    "node_zfs_fm_erpt_dropped 18",
    'node_zfs_zpool_dataset_writes{dataset="tank/my  data",zpool="tank"} 9',
    'node_zfs_zpool_nread{zpool="tank"} 18',
    'node_zfs_zpool_nwritten{zpool="tank"} 0',
    'node_zfs_zpool_reads{zpool="tank"} 4',
  ]);
  expect(series.filter((line) => line.endsWith("} 1"))).toEqual([
    'node_zfs_zpool_state{state="degraded",zpool="tank"} 1',
  ]);
  expect(lines).toContain("# HELP node_zfs_fm_erpt_dropped kstat.zfs.misc.fm.erpt-dropped");
  expect(lines).toContain("# TYPE node_zfs_arc_hits untyped");
  expect(skipped).toEqual([]);
});

test("zfs: an unreadable file and a number that is none cost their own series", async () => {
  const { series, skipped } = await collectFrom(zfs, {
    ...pool,
    [`${kstat}/tank/state`]: unreadable,
    [`${kstat}/fm`]: "0 1 0x01 4 192 1 2\nname type data\nerpt-dropped 4 many\n",
  });
  expect(series).toHaveLength(6);
  expect(skipped).toEqual(["kstat.zfs.misc.fm.erpt-dropped", `${kstat}/tank/state`]);
});

test("zfs: absent without the module", async () => {
  expect((await collectFrom(zfs, {})).state).toBe("absent");
});

test("xfs: numbers by their place in the line, what is unknown or missing left out", async () => {
  const page = await collectFrom(xfs, { "sys/fs/xfs/sda1/stats/stats": "abt 1 2 x 4\nrw 28 39 7\nnew_thing 1 2\n" });
  expect(page.series).toEqual([
    'node_xfs_allocation_btree_compares_total{device="sda1"} 2',
    'node_xfs_allocation_btree_lookups_total{device="sda1"} 1',
    'node_xfs_allocation_btree_records_deleted_total{device="sda1"} 4',
    'node_xfs_read_calls_total{device="sda1"} 39',
    'node_xfs_write_calls_total{device="sda1"} 28',
  ]);
  expect(page.skipped).toEqual(["node_xfs_allocation_btree_records_inserted_total of sda1"]);
  expect(await collectFrom(xfs, {})).toMatchObject({ state: "ok", series: [] });
});

test.each([
  ["0", 0],
  ["512", 512],
  ["1.5k", 1524],
  ["5.10k", 6120],
  ["-1.0M", -1048576],
  ["1.5", 1],
  ["", undefined],
  ["1.5q", undefined],
])("bcache size %j", (text, bytes) => {
  expect(parseHuman(text)).toBe(bytes);
});

const set = "sys/fs/bcache/2f7-11";
const cached = {
  "sys/fs/bcache/register": "",
  [`${set}/tree_depth`]: "2\n",
  [`${set}/bdev0/dirty_data`]: "1.0k\n",
  [`${set}/bdev0/stats_total/cache_readaheads`]: "0\n",
  [`${set}/bdev0/writeback_rate_debug`]: "rate:\t\t2.0M/sec\ndirty:\t\t20.3G\nproportional:\t-1.0k\nnext io:\t0ms\n",
  [`${set}/cache0/io_errors`]: "3\n",
  [`${set}/cache0/priority_stats`]: "Unused:\t\t99%\nMetadata:\t1%\nAverage:\t10473\n",
};

test("bcache: set, backing device, cache device", async () => {
  expect((await collectFrom(bcache, cached)).series).toEqual([
    'node_bcache_dirty_data_bytes{backing_device="bdev0",uuid="2f7-11"} 1024',
    'node_bcache_io_errors{cache_device="cache0",uuid="2f7-11"} 3',
    'node_bcache_tree_depth{uuid="2f7-11"} 2',
    'node_bcache_writeback_rate{backing_device="bdev0",uuid="2f7-11"} 2.097152e+06',
    'node_bcache_writeback_rate_proportional_term{backing_device="bdev0",uuid="2f7-11"} -1024',
  ]);
  const more = await collectFrom(bcache, cached, { priority_stats: true });
  expect(more.series).toContain('node_bcache_priority_stats_unused_percent{cache_device="cache0",uuid="2f7-11"} 99');
});

test("bcache: what cannot be read costs one series; no set is a success without series", async () => {
  const page = await collectFrom(bcache, {
    ...cached,
    [`${set}/tree_depth`]: unreadable,
    [`${set}/cache0/io_errors`]: "?\n",
  });
  expect(page.series).toHaveLength(3);
  expect(page.skipped).toEqual([`${set}/tree_depth`, `${set}/cache0/io_errors`]);
  expect(await collectFrom(bcache, {})).toMatchObject({ state: "ok", series: [] });
});

test.each([
  ["2.05G", 2201170739],
  [" 697 ", 697],
  ["100k", 102400],
  ["", undefined],
  ["k", undefined],
])("bcachefs size %j", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

const filesystem = "sys/fs/bcachefs/u-1";
const formatted = {
  [`${filesystem}/btree_cache_size`]: "1.00M\n",
  [`${filesystem}/compression_stats`]: "typetype  compressed  uncompressed  average extent size\nzstd  1k  2k  64k\n",
  [`${filesystem}/errors`]: "bset_bad_csum   2   1767112063\n",
  [`${filesystem}/counters/io-read`]: "since mount:  1\nsince filesystem creation:  2.00k\n",
  [`${filesystem}/dev-0/state`]: "[rw] ro\n",
  [`${filesystem}/dev-0/nbuckets`]: "7\n",
  [`${filesystem}/dev-0/io_done`]: "read:\nsb : 10\nuser :20\nwrite:\nsb : 30\n",
  [`${filesystem}/dev-0/io_errors`]:
    "IO errors since filesystem creation\n  read:    4\nIO errors since 8 y ago\n  read:    1\n",
};

test("bcachefs: filesystem, counters, devices", async () => {
  const device = 'device="0"';
  expect((await collectFrom(bcachefs, formatted)).series).toEqual([
    'node_bcachefs_btree_cache_size_bytes{uuid="u-1"} 1.048576e+06',
    'node_bcachefs_compression_compressed_bytes{algorithm="zstd",uuid="u-1"} 1024',
    'node_bcachefs_compression_uncompressed_bytes{algorithm="zstd",uuid="u-1"} 2048',
    `node_bcachefs_device_buckets{${device},uuid="u-1"} 7`,
    `node_bcachefs_device_info{${device},label="",state="[rw] ro",uuid="u-1"} 1`,
    `node_bcachefs_device_io_done_bytes_total{data_type="sb",${device},operation="read",uuid="u-1"} 10`,
    `node_bcachefs_device_io_done_bytes_total{data_type="sb",${device},operation="write",uuid="u-1"} 30`,
    `node_bcachefs_device_io_done_bytes_total{data_type="user",${device},operation="read",uuid="u-1"} 20`,
    `node_bcachefs_device_io_errors_total{${device},type="read",uuid="u-1"} 4`,
    'node_bcachefs_errors_total{error_type="bset_bad_csum",uuid="u-1"} 2',
    'node_bcachefs_info{uuid="u-1"} 1',
    'node_bcachefs_io_read_total{uuid="u-1"} 2048',
  ]);
});

test("bcachefs: what cannot be read costs one series; nothing mounted is absent", async () => {
  const page = await collectFrom(bcachefs, {
    ...formatted,
    [`${filesystem}/dev-0/nbuckets`]: unreadable,
    [`${filesystem}/counters/io-read`]: "?\n",
  });
  expect(page.series).toHaveLength(10);
  expect(page.skipped).toEqual([`${filesystem}/counters/io-read`, `${filesystem}/dev-0/nbuckets`]);
  expect((await collectFrom(bcachefs, {})).state).toBe("absent");
  expect((await collectFrom(bcachefs, { "sys/fs/bcachefs/": "" })).state).toBe("absent");
});
