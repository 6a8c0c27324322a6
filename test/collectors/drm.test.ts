import { expect, test } from "bun:test";
import { drm } from "../../collectors/drm.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

const card = "sys/class/drm/card1/device";
const amd = {
  [`${card}/uevent`]: "DRIVER=amdgpu\nPCI_CLASS=30000\n",
  [`${card}/gpu_busy_percent`]: "4\n",
  [`${card}/mem_info_vram_total`]: "8573157376\n",
  [`${card}/mem_info_vram_used`]: "1490378752\n",
  [`${card}/mem_info_vram_vendor`]: "samsung\n",
  [`${card}/unique_id`]: "0123456789abcdef\n",
  "sys/class/drm/card1-HDMI-A-1/status": "connected\n",
  "sys/class/drm/card0/device/uevent": "DRIVER=ast\n",
};
const info =
  'node_drm_card_info{card="card1",memory_vendor="samsung",power_performance_level="",unique_id="0123456789abcdef",vendor="amd"} 1';

test("drm: AMD cards, what the card has", async () => {
  expect((await collectFrom(drm, amd)).series).toEqual([
    info,
    'node_drm_gpu_busy_percent{card="card1"} 4',
    'node_drm_memory_vram_size_bytes{card="card1"} 8.573157376e+09',
    'node_drm_memory_vram_used_bytes{card="card1"} 1.490378752e+09',
  ]);
});

test("drm: no graphics card is no failure, for node_exporter says success 1 then too", async () => {
  expect(await collectFrom(drm, {})).toMatchObject({ state: "ok", series: [] });
});

test("drm: a reading that fails costs its series", async () => {
  const page = await collectFrom(drm, { ...amd, [`${card}/gpu_busy_percent`]: unreadable });
  expect(page.series).toHaveLength(3);
  expect(page.skipped).toEqual([`${card}/gpu_busy_percent`]);
});
