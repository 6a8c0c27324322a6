import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { createFamilySet, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { listIfPresent, readAttribute, readNumber } from "./read.ts";

const info = gauge("node_drm_card_info", "Card information");
const readings = {
  gpu_busy_percent: gauge("node_drm_gpu_busy_percent", "How busy the GPU is as a percentage."),
  mem_info_gtt_total: memory("gtt_size", "The size of the graphics translation table (GTT) block in bytes."),
  mem_info_gtt_used: memory("gtt_used", "The used amount of the graphics translation table (GTT) block in bytes."),
  mem_info_vis_vram_total: memory("vis_vram_size", "The size of visible VRAM in bytes."),
  mem_info_vis_vram_used: memory("vis_vram_used", "The used amount of visible VRAM in bytes."),
  mem_info_vram_total: memory("vram_size", "The size of VRAM in bytes."),
  mem_info_vram_used: memory("vram_used", "The used amount of VRAM in bytes."),
};

function memory(what: string, help: string) {
  return gauge(`node_drm_memory_${what}_bytes`, help);
}

/** node_exporter's view of AMD cards; the collector amdgpu says far more. */
export const drm = defineCollector({
  name: "drm",
  description: "Memory and use of AMD graphics cards from /sys/class/drm.",
  enabledByDefault: false,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    collect: async (host): Promise<MetricFamily[]> => {
      const families = createFamilySet();
      // "card0-HDMI-A-1" is a connector.
      const cards = listIfPresent(`${host.sysPath}/class/drm`).filter((name) => /^card\d+$/.test(name));
      for (const card of cards) addCard(host, families, card, `${host.sysPath}/class/drm/${card}/device`);
      return families.list();
    },
  }),
});

function addCard(host: Host, families: FamilySet, card: string, path: string): void {
  const read = (attribute: string): string => readAttribute(host, `${path}/${attribute}`)?.trim() ?? "";
  if (!/^DRIVER=amdgpu$/m.test(read("uevent"))) return;
  const labels = {
    card,
    memory_vendor: read("mem_info_vram_vendor"),
    power_performance_level: read("power_dpm_force_performance_level"),
    unique_id: read("unique_id"),
    vendor: "amd",
  };
  families.add(info, labels, 1);
  for (const [attribute, family] of Object.entries(readings)) {
    families.add(family, { card }, readNumber(host, `${path}/${attribute}`));
  }
}
