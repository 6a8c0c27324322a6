import { Type } from "@sinclair/typebox";
import { defineCollector, type MetricFamily } from "./collector.ts";
import { counter, createFamilySet, type FamilyHead, type FamilySet, gauge } from "./families.ts";
import type { Host } from "./host.ts";
import { detectPath, listAttributes, listIfPresent, readAttribute, readNumber } from "./read.ts";

const info = gauge("node_fibrechannel_info", "Non-numeric data from /sys/class/fc_host/<host>, value is always 1.");

const labelAttributes = [
  "speed",
  "port_state",
  "port_type",
  "port_id",
  "port_name",
  "fabric_name",
  "symbolic_name",
  "supported_classes",
  "supported_speeds",
  "dev_loss_tmo",
] as const;

const total = (name: string, help: string): FamilyHead => counter(`node_fibrechannel_${name}_total`, help);

/** By file of /sys/class/fc_host/<host>/statistics. */
const statistics: Readonly<Record<string, FamilyHead>> = {
  dumped_frames: total("dumped_frames", "Number of dumped frames"),
  error_frames: total("error_frames", "Number of errors in frames"),
  fcp_packet_aborts: total("fcp_packet_aborts", "Number of aborted packets"),
  invalid_crc_count: total("invalid_crc", "Invalid Cyclic Redundancy Check count"),
  invalid_tx_word_count: total("invalid_tx_words", "Number of invalid words transmitted by host port"),
  link_failure_count: total("link_failure", "Number of times the host port link has failed"),
  loss_of_signal_count: total("loss_of_signal", "Number of times signal has been lost"),
  loss_of_sync_count: total("loss_of_sync", "Number of failures on either bit or transmission word boundaries"),
  nos_count: total("nos", "Number Not_Operational Primitive Sequence received by host port"),
  rx_frames: total("rx_frames", "Number of frames received"),
  rx_words: total("rx_words", "Number of words received by host port"),
  seconds_since_last_reset: total("seconds_since_last_reset", "Number of seconds since last host port reset"),
  tx_frames: total("tx_frames", "Number of frames transmitted by host port"),
  tx_words: total("tx_words", "Number of words transmitted by host port"),
};

/** All bits set: the firmware does not keep this counter. */
const notImplemented = Number(0xffff_ffff_ffff_ffffn);

export const fibrechannel = defineCollector({
  name: "fibrechannel",
  description: "Fibre Channel host ports from /sys/class/fc_host.",
  enabledByDefault: true,
  options: Type.Object({}, { additionalProperties: false }),
  create: () => ({
    detect: async ({ sysPath }) => detectPath(`${sysPath}/class/fc_host`, "no Fibre Channel host port"),
    collect: async (host): Promise<MetricFamily[]> => {
      const families = createFamilySet();
      const folder = `${host.sysPath}/class/fc_host`;
      for (const port of listIfPresent(folder)) addPort(host, families, port, `${folder}/${port}`);
      return families.list();
    },
  }),
});

function addPort(host: Host, families: FamilySet, port: string, path: string): void {
  const labels: Record<string, string> = { fc_host: port };
  for (const attribute of labelAttributes) {
    labels[attribute] = toLabelValue(attribute, readAttribute(host, `${path}/${attribute}`)?.trim() ?? "");
  }
  families.add(info, labels, 1);
  // A disabled port has no statistics, or only some.
  for (const name of listAttributes(`${path}/statistics`)) {
    const family = statistics[name];
    if (family === undefined) continue;
    const value = readNumber(host, `${path}/statistics/${name}`);
    families.add(family, { fc_host: port }, value === notImplemented ? undefined : value);
  }
}

function toLabelValue(attribute: string, value: string): string {
  return ["port_id", "port_name", "fabric_name"].includes(attribute) ? value.replace(/^0x(?=.)/, "") : value;
}
