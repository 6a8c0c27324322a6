import { Type } from "@sinclair/typebox";
import { defineCollector } from "./collector.ts";
import { createDeviceFilter, deprecatedPattern, pickRenamed } from "./device-filter.ts";
import { createFamilySet } from "./families.ts";
import { askNetlink, netlinkFamily, parseAttributes, toText } from "./netlink.ts";
import { readText } from "./read.ts";
import { readDeviceNames } from "./rtnetlink.ts";

/** Queueing disciplines at the root of each device, tc(8). */
export const qdisc = defineCollector({
  name: "qdisc",
  description: "Traffic, drops and queue lengths of the root queueing discipline of each device.",
  enabledByDefault: false,
  options: Type.Object(
    {
      device_include: Type.String({
        default: "",
        flag: "collector.qdisc.device-include",
        description: "Regexp of the devices to publish; excludes device_exclude.",
      }),
      device_exclude: Type.String({
        default: "",
        flag: "collector.qdisc.device-exclude",
        description: "Regexp of the devices to leave out; excludes device_include.",
      }),
      qdisk_device_include: deprecatedPattern("collector.qdisk.device-include", "device_include"),
      qdisk_device_exclude: deprecatedPattern("collector.qdisk.device-exclude", "device_exclude"),
      fixtures: Type.String({
        default: "",
        flag: "collector.qdisc.fixtures",
        path: true,
        hidden: true,
        description: "Folder with a results.json to read instead of asking the kernel, for tests.",
      }),
    },
    { additionalProperties: false },
  ),
  create: ({ device_include, device_exclude, qdisk_device_include, qdisk_device_exclude, fixtures }) => {
    const renamed = (end: string) => ({ flag: `collector.qdisc.${end}`, older: `collector.qdisk.${end}` });
    const include = pickRenamed(device_include, qdisk_device_include, renamed("device-include"));
    const exclude = pickRenamed(device_exclude, qdisk_device_exclude, renamed("device-exclude"));
    const keep = createDeviceFilter({
      flag: "collector.qdisc.device",
      include,
      exclude,
      exclusive: { defaultExclude: "" },
    });
    return {
      collect: async () => {
        const out = createFamilySet();
        for (const queue of fixtures === "" ? readQueues() : readFixture(fixtures)) {
          const { IfaceName: device = "", Kind: kind = "" } = queue;
          if (!keep(device)) continue;
          for (const [field, type, name, help] of statistics) {
            out[type](`node_qdisc_${name}`, help, queue[field] ?? 0, { device, kind });
          }
        }
        return out.list();
      },
    };
  },
});

const statistics = [
  ["Bytes", "counter", "bytes_total", "Number of bytes sent."],
  ["Packets", "counter", "packets_total", "Number of packets sent."],
  ["Drops", "counter", "drops_total", "Number of packets dropped."],
  ["Requeues", "counter", "requeues_total", "Number of packets dequeued, not transmitted, and requeued."],
  ["Overlimits", "counter", "overlimits_total", "Number of overlimit packets."],
  ["Qlen", "gauge", "current_queue_length", "Number of packets currently in queue to be sent."],
  ["Backlog", "gauge", "backlog", "Number of bytes currently in queue to be sent."],
] as const;

/** One queueing discipline, in the names of the fixture format. */
export type Queue = Partial<Record<(typeof statistics)[number][0], number>> & {
  readonly IfaceName?: string;
  readonly Kind?: string;
  readonly Parent?: number;
};

function readFixture(folder: string): Queue[] {
  const queues = JSON.parse(readText(`${folder}/results.json`)) as Queue[];
  return queues.filter(({ Parent = 0 }) => Parent === 0);
}

const RTM_NEWQDISC = 36;
const RTM_GETQDISC = 38;
const TC_H_ROOT = 0xffff_ffff;
const tcmsgBytes = 20;

function readQueues(): Queue[] {
  const names = readDeviceNames();
  return askNetlink({ family: netlinkFamily.route, type: RTM_GETQDISC, payload: Buffer.alloc(tcmsgBytes) })
    .filter(({ type, payload }) => type === RTM_NEWQDISC && isRoot(payload.readUInt32LE(12)))
    .map(({ payload }) => ({ ...parseQueue(payload), IfaceName: names.get(payload.readInt32LE(4)) ?? "" }));
}

function isRoot(parent: number): boolean {
  return parent === TC_H_ROOT || parent === 0;
}

const TCA = { kind: 1, statistics: 3, statistics2: 7 } as const;
const TCA_STATS = { basic: 1, queue: 3, packets64: 8 } as const;

/** struct tcmsg and the attributes TCA_STATS2 (nested) or, on old kernels, TCA_STATS (struct tc_stats). */
export function parseQueue(payload: Buffer): Queue {
  const attributes = parseAttributes(payload, tcmsgBytes);
  const Kind = toText(attributes.get(TCA.kind) ?? Buffer.alloc(0));
  const old = attributes.get(TCA.statistics);
  const nested = attributes.get(TCA.statistics2);
  if (nested === undefined) {
    if (old === undefined || old.length < 32) return { Kind };
    const word = (index: number): number => old.readUInt32LE(8 + index * 4);
    const counts = { Packets: word(0), Drops: word(1), Overlimits: word(2), Qlen: word(5), Backlog: word(6) };
    return { Kind, Bytes: Number(old.readBigUInt64LE(0)), ...counts };
  }
  const parts = parseAttributes(nested);
  const basic = parts.get(TCA_STATS.basic);
  const queue = parts.get(TCA_STATS.queue);
  const word = (index: number): number => queue?.readUInt32LE(index * 4) ?? 0;
  const packets64 = parts.get(TCA_STATS.packets64);
  return {
    ...{ Kind, Qlen: word(0), Backlog: word(1), Drops: word(2), Requeues: word(3), Overlimits: word(4) },
    Bytes: Number(basic?.readBigUInt64LE(0) ?? 0),
    // The 32-bit packet count wraps; kernels since 5.5 add the whole one once it does.
    Packets: packets64 === undefined ? (basic?.readUInt32LE(8) ?? 0) : Number(packets64.readBigUInt64LE(0)),
  };
}
