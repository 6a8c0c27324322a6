import { expect, test } from "bun:test";
import { edac, toDimmLabel } from "../../collectors/edac.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

const mc = "sys/devices/system/edac/mc/mc0";
const controller = {
  [`${mc}/ce_count`]: "7\n",
  [`${mc}/ue_count`]: "1\n",
  [`${mc}/ce_noinfo_count`]: "2\n",
  [`${mc}/ue_noinfo_count`]: "0\n",
  [`${mc}/csrow3/ce_count`]: "5\n",
  [`${mc}/csrow3/ue_count`]: "1\n",
  [`${mc}/csrow3/ch1_ce_count`]: "4\n",
  [`${mc}/csrow3/ch1_dimm_label`]: "CPU_SrcID#0_MC#1_Chan#0_DIMM#0\n",
};

test("errors of controller, csrow and channel", async () => {
  const { series, skipped } = await collectFrom(edac, controller);
  expect(series).toEqual([
    'node_edac_channel_correctable_errors_total{channel="1",controller="0",csrow="3",dimm_label="CPU_SrcID0_MC1_Chan0_DIMM0"} 4',
    'node_edac_correctable_errors_total{controller="0"} 7',
    'node_edac_csrow_correctable_errors_total{controller="0",csrow="3"} 5',
    'node_edac_csrow_correctable_errors_total{controller="0",csrow="unknown"} 2',
    'node_edac_csrow_uncorrectable_errors_total{controller="0",csrow="3"} 1',
    'node_edac_csrow_uncorrectable_errors_total{controller="0",csrow="unknown"} 0',
    'node_edac_uncorrectable_errors_total{controller="0"} 1',
  ]);
  expect(skipped).toEqual([]);
});

test("one counter that cannot be read costs one series", async () => {
  const { series, skipped } = await collectFrom(edac, {
    ...controller,
    [`${mc}/ce_count`]: unreadable,
    [`${mc}/csrow3/ue_count`]: "garbage\n",
  });
  expect(series).toHaveLength(5);
  expect(skipped).toEqual([`${mc}/ce_count`, `${mc}/csrow3/ue_count`]);
});

test("no memory controller is a success without series", async () => {
  expect(await collectFrom(edac, {})).toMatchObject({ state: "ok", series: [] });
});

test.each([
  [undefined, "unknown"],
  ["mc#0csrow#1channel#0\n", "mc0_csrow1_channel0"],
  ["\n", ""],
])("label %j", (text, label) => {
  expect(toDimmLabel(text)).toBe(label);
});
