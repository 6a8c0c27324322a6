import { expect, test } from "bun:test";
import { swap } from "../../collectors/swap.ts";
import { collectFrom } from "./fixture-host.ts";

const heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

test("swap: KiB to bytes, one device a line", async () => {
  const text = `${heading}/dev/zram0  partition\t4194300\t\t1024\t\t100\n/swap\\040file  file  8  0  -2\n`;
  expect((await collectFrom(swap, { "proc/swaps": text })).series).toEqual([
    'node_swap_priority{device="/dev/zram0",swap_type="partition"} 100',
    'node_swap_priority{device="/swap\\\\040file",swap_type="file"} -2',
    'node_swap_size_bytes{device="/dev/zram0",swap_type="partition"} 4.2949632e+09',
    'node_swap_size_bytes{device="/swap\\\\040file",swap_type="file"} 8192',
    'node_swap_used_bytes{device="/dev/zram0",swap_type="partition"} 1.048576e+06',
    'node_swap_used_bytes{device="/swap\\\\040file",swap_type="file"} 0',
  ]);
});

test.each([
  ["no device", heading, 0, []],
  [
    "a line that is cut off",
    `${heading}/dev/sda1 partition 8 0 -2\n/dev/sdb1 partition 8\n`,
    3,
    ["/dev/sdb1 in swaps"],
  ],
  ["a size that is no number", `${heading}/dev/sda1 partition many 0 -2\n`, 0, ["/dev/sda1 in swaps"]],
])("swap: %s", async (_what, text, series, skipped) => {
  const page = await collectFrom(swap, { "proc/swaps": text });
  expect(page.series).toHaveLength(series);
  expect(page.skipped).toEqual(skipped);
});
