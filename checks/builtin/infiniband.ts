import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Sample } from "../../collectors/collector.ts";
import type { Finding } from "../verdict.ts";
import { count, defineBuiltin, duration, type GradeInput } from "./builtin.ts";
import { observePort, PortMemory, type PortReading } from "./infiniband-ports.ts";

const Parameters = t.Object(
  {
    expected_ports: t.Optional(
      t.Integer({ minimum: 1, description: "Ports that have to be active at expected_rate_gbps or more." }),
    ),
    expected_rate_gbps: t.Optional(
      t.Number({ exclusiveMinimum: 0, description: "Rate of a port, Gb/s, below which it does not count." }),
    ),
    drop_seconds: t.Number({
      default: 240,
      minimum: 30,
      description: "A port that is down for this long is critical.",
    }),
    flaps: t.Integer({
      default: 3,
      minimum: 1,
      description: "Losses of the link within flap_hours that are a finding.",
    }),
    flap_hours: t.Number({ default: 12, exclusiveMinimum: 0, description: "Window for counting losses of the link." }),
    ignore: t.Array(t.String(), { default: [], description: "Ports that are not judged: mlx5_2 or mlx5_2/1." }),
  },
  { additionalProperties: false },
);
type Parameters = Static<typeof Parameters>;
const Memory = t.Record(t.String(), PortMemory);
/** 4: ACTIVE. */
const activeState = 4;
const bytesPerGigabit = 125_000_000;
/** A port that was down for long is still shown for a while after it has come back. */
const afterwardsSeconds = 600;
const forgottenAfterSeconds = 86_400;

export const infinibandPorts = defineBuiltin({
  name: "infiniband",
  description: "InfiniBand and RoCE ports: down, too slow, or losing their link again and again.",
  explanation: [
    "A port that has been active is missed when it is not. Down with its count of link losses unchanged means that the " +
      "adapter itself has not seen the link go: suspect the adapter, its firmware or its slot. With the count risen " +
      "the link was lost: cable, transceiver, switch port.",
    "A port below the rate that it once had has trained with fewer lanes or slower: reseat or change the cable. A port " +
      "that loses its link several times within hours makes collective operations of a whole job hang or fail.",
    "`ibstat` and `mlxlink -d mlx5_0 -m` show state, errors and the transceiver. Ports that have never been active " +
      "are not judged unless expected_ports is set.",
  ],
  source: "infiniband",
  companion: "infiniband_link",
  intervalSeconds: 30,
  parameters: Parameters,
  grade: ({ parameters, samples, memory, nowSeconds, companion }) => {
    const before = Value.Check(Memory, memory) ? memory : {};
    const windowSeconds = parameters.flap_hours * 3600;
    const ports = readPorts(samples, parameters);
    const after = Object.fromEntries(
      [...ports].map(
        ([port, reading]) => [port, observePort(before[port], reading, { nowSeconds, windowSeconds })] as const,
      ),
    );
    const gone = missing(before, ports, { parameters, nowSeconds });
    const findings = [
      ...expectation(ports, parameters),
      ...[...ports].flatMap(([port, reading]) =>
        judgePort({ port, reading, parameters, nowSeconds, watched: watchedLink(companion, port) }, after[port]),
      ),
      ...Object.entries(gone).map(([port, { downSince = nowSeconds }]): Finding => {
        const summary = `gone for ${duration(nowSeconds - downSince)}`;
        return { status: "critical", subject: port, summary, action: "inspect_hardware" };
      }),
    ];
    const active = [...ports.values()].filter((reading) => reading.active).length;
    const summary = `${active} of ${count(ports.size, "port")} active`;
    return { findings, summary, memory: { ...gone, ...after } };
  },
  gradeAbsent: ({ expected_ports: expected }, reason) => {
    if (expected === undefined) return undefined;
    const summary = `${count(expected, "port")} expected, none found: ${reason}`;
    return { findings: [{ status: "critical", subject: "", summary, action: "inspect_hardware" }], summary };
  },
});

function nameOf({ labels }: Sample): string {
  return `${labels["device"] ?? ""}/${labels["port"] ?? ""}`;
}

function readPorts(samples: GradeInput<unknown>["samples"], { ignore }: Parameters): Map<string, PortReading> {
  const valuesOf = (family: string): Map<string, number> =>
    new Map(samples(family).map((sample) => [nameOf(sample), sample.value]));
  const rates = valuesOf("node_infiniband_rate_bytes_per_second");
  const losses = valuesOf("node_infiniband_link_downed_total");
  return new Map(
    [...valuesOf("node_infiniband_state_id")]
      .filter(([port]) => !ignore.includes(port) && !ignore.includes(port.split("/")[0] ?? ""))
      .map(([port, state]) => [
        port,
        { active: state === activeState, bytesPerSecond: rates.get(port) ?? 0, losses: losses.get(port) },
      ]),
  );
}

/** Ports that were active and that the kernel does not show any more; after a day they are taken for removed. */
function missing(
  before: Readonly<Record<string, PortMemory>>,
  ports: ReadonlyMap<string, PortReading>,
  { parameters: { ignore }, nowSeconds }: Pick<Judged, "parameters" | "nowSeconds">,
): Record<string, PortMemory> {
  const entries = Object.entries(before)
    .filter(([port, { wasActive }]) => wasActive && !ports.has(port))
    .filter(([port]) => !ignore.includes(port) && !ignore.includes(port.split("/")[0] ?? ""))
    .map(([port, memory]) => [port, { ...memory, downSince: memory.downSince ?? nowSeconds }] as const)
    .filter(([, { downSince }]) => nowSeconds - downSince < forgottenAfterSeconds);
  return Object.fromEntries(entries);
}

function expectation(
  ports: ReadonlyMap<string, PortReading>,
  { expected_ports: expected, expected_rate_gbps: rate = 0 }: Parameters,
): Finding[] {
  const good = [...ports.values()].filter(
    ({ active, bytesPerSecond }) => active && bytesPerSecond >= rate * bytesPerGigabit,
  ).length;
  if (expected === undefined || good >= expected) return [];
  const summary = `${good} of ${count(expected, "expected port")} active${rate === 0 ? "" : ` at ${rate} Gb/s`}`;
  return [{ status: "critical", subject: "", summary, action: "inspect_hardware" }];
}

interface Judged {
  readonly port: string;
  readonly reading: PortReading;
  readonly parameters: Parameters;
  readonly nowSeconds: number;
  readonly watched: WatchedLink;
}

/** What the collector that looks more often than this check has seen. */
interface WatchedLink {
  readonly dropped: boolean;
  readonly flapping: boolean;
}

function watchedLink(companion: GradeInput<unknown>["companion"], port: string): WatchedLink {
  const is = (family: string): boolean =>
    companion(family).some((sample) => nameOf(sample) === port && sample.value === 1);
  return { dropped: is("aami_infiniband_link_dropped"), flapping: is("aami_infiniband_link_flapping") };
}

function judgePort(
  { port: subject, reading, parameters, nowSeconds, watched }: Judged,
  memory?: PortMemory,
): Finding[] {
  if (memory === undefined || !memory.wasActive) return [];
  const findings: Finding[] = [];
  const { downSince, lossesWhenUp, recoveredAt, flaps, bestRate } = memory;
  if (downSince !== undefined) {
    const seconds = nowSeconds - downSince;
    const isLost = seconds >= parameters.drop_seconds || watched.dropped;
    const isSilent = reading.losses !== undefined && reading.losses <= lossesWhenUp;
    const why = isLost && isSilent ? ", and the port has counted no loss of the link" : "";
    const action = isLost && isSilent ? "inspect_hardware" : "check_network";
    const summary = `down for ${duration(seconds)}${why}`;
    findings.push({ status: isLost ? "critical" : "warning", subject, summary, action });
  } else if (reading.bytesPerSecond < bestRate) {
    const [now, best] = [reading.bytesPerSecond, bestRate].map((rate) => Math.round(rate / bytesPerGigabit));
    findings.push({ status: "warning", subject, summary: `runs at ${now} of ${best} Gb/s`, action: "check_network" });
  }
  if (flaps.length >= parameters.flaps) {
    const summary = `has lost its link ${flaps.length} times within ${duration(parameters.flap_hours * 3600)}`;
    findings.push({ status: "warning", subject, summary, action: "inspect_hardware" });
  } else if (watched.flapping) {
    const summary = "loses its link and comes back again and again";
    findings.push({ status: "warning", subject, summary, action: "inspect_hardware" });
  } else if (downSince === undefined && recoveredAt !== undefined && nowSeconds - recoveredAt < afterwardsSeconds) {
    const summary = `was down, has come back ${duration(nowSeconds - recoveredAt)} ago`;
    findings.push({ status: "warning", subject, summary, action: "none" });
  }
  return findings;
}
