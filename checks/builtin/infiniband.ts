import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Labels, Sample } from "../../collectors/collector.ts";
import type { Finding } from "../verdict.ts";
import { count, defineBuiltin, type GradeInput, happened, timeOf } from "./builtin.ts";

const Parameters = t.Object(
  {
    expected_ports: t.Optional(
      t.Integer({ minimum: 1, description: "Ports that have to be active at expected_rate_gbps or more." }),
    ),
    expected_rate_gbps: t.Optional(
      t.Number({ exclusiveMinimum: 0, description: "Rate of a port, Gb/s, below which it does not count." }),
    ),
    down_seconds: t.Number({
      default: 240,
      minimum: 30,
      description: "A port that is down for this long is critical.",
    }),
    ignore: t.Array(t.String(), { default: [], description: "Ports that are not judged: mlx5_2 or mlx5_2/1." }),
  },
  { additionalProperties: false },
);
type Parameters = Static<typeof Parameters>;
/** By port: the best rate that it has had, bytes per second. */
const Memory = t.Record(t.String(), t.Number());
const bytesPerGigabit = 125_000_000;
/** A port that was down is still shown for a while after it has come back. */
const afterwardsSeconds = 600;

export const infinibandPorts = defineBuiltin({
  name: "infiniband",
  description: "InfiniBand and RoCE ports: down, gone, too slow, or losing their link again and again.",
  explanation: [
    "A port that has been active is missed when it is not. What its physical state says stands behind: no signal (cable, " +
      "transceiver, switch port), a link that no subnet manager has made active, or switched off by an administrator. A " +
      "port that has counted no loss of its link and is down all the same (a drop) was not cut off by errors on the " +
      "link: look at the other end, then at the adapter, its firmware and its slot.",
    "A port below the rate that it once had has trained with fewer lanes or slower: reseat or change the cable. A port " +
      "that loses its link several times within hours makes collective operations of a whole job hang or fail.",
    "`ibstat` and `mlxlink -d mlx5_0 -m` show state, errors and the transceiver. Ports that have never been active " +
      "are not judged unless expected_ports is set. What counts as flapping and as a drop is set in daemon.yaml under " +
      "collectors.infiniband_link.",
  ],
  source: "infiniband_link",
  companion: "infiniband",
  intervalSeconds: 30,
  parameters: Parameters,
  grade: ({ parameters, samples, memory, nowSeconds, companion }) => {
    const best = Value.Check(Memory, memory) ? memory : {};
    const ports = readPorts(samples, companion, parameters);
    const after = Object.fromEntries(
      ports.map(({ name, rate = 0, isUp }) => [name, Math.max(best[name] ?? 0, isUp === true ? rate : 0)]),
    );
    const findings = [
      ...expectation(ports, parameters),
      ...ports.flatMap((port) => [
        ...judgeState(port, { parameters, nowSeconds, bestRate: after[port.name] ?? 0 }),
        ...judgeFlaps(port, nowSeconds),
      ]),
    ];
    const active = ports.filter(({ isUp }) => isUp === true).length;
    return { findings, summary: `${active} of ${count(ports.length, "port")} active`, memory: { ...best, ...after } };
  },
  gradeAbsent: ({ parameters: { expected_ports: expected }, reason }) => {
    if (expected === undefined) return undefined;
    const summary = `${count(expected, "port")} expected, none found: ${reason}`;
    return { findings: [{ status: "critical", subject: "", summary, action: "inspect_hardware" }], summary };
  },
});

/** What the collectors tell of a port; a field is undefined where they do not. Times are seconds since 1970. */
interface Port {
  readonly name: string;
  readonly isUp: boolean | undefined;
  readonly since: number | undefined;
  readonly goneSince: number | undefined;
  readonly isExpected: boolean;
  readonly isDropped: boolean;
  readonly isFlapping: boolean;
  readonly recentFlaps: number;
  readonly lastFlap: number | undefined;
  /** Bytes per second. */
  readonly rate: number | undefined;
  readonly physicalState: number | undefined;
}

function nameOf(labels: Labels): string {
  return `${labels["device"] ?? ""}/${labels["port"] ?? ""}`;
}

function readPorts(
  samples: GradeInput<unknown>["samples"],
  companion: GradeInput<unknown>["companion"],
  { ignore }: Parameters,
): Port[] {
  const byName = (all: readonly Sample[]): Map<string, number> =>
    new Map(all.map(({ labels, value }) => [nameOf(labels), value]));
  const link = (family: string): Map<string, number> => byName(samples(`aami_infiniband_link_${family}`));
  const [isUp, since, goneSince, expected] = [
    link("up"),
    link("since_timestamp_seconds"),
    link("gone_since_timestamp_seconds"),
    link("expected"),
  ];
  const [dropped, flapping, flaps] = [link("dropped"), link("flapping"), link("recent_flaps")];
  const lastFlap = link("last_flap_timestamp_seconds");
  const rates = byName(companion("node_infiniband_rate_bytes_per_second"));
  const physical = byName(companion("node_infiniband_physical_state_id"));
  const isJudged = (name: string): boolean => !ignore.includes(name) && !ignore.includes(name.split("/")[0] ?? "");
  return [...expected.keys(), ...goneSince.keys()].filter(isJudged).map((name): Port => {
    const up = isUp.get(name);
    return {
      name,
      isUp: up === undefined ? undefined : up === 1,
      since: since.get(name),
      goneSince: goneSince.get(name),
      isExpected: expected.get(name) === 1,
      isDropped: dropped.get(name) === 1,
      isFlapping: flapping.get(name) === 1,
      recentFlaps: flaps.get(name) ?? 0,
      lastFlap: lastFlap.get(name),
      rate: rates.get(name),
      physicalState: physical.get(name),
    };
  });
}

function expectation(
  ports: readonly Port[],
  { expected_ports: expected, expected_rate_gbps: rate = 0 }: Parameters,
): Finding[] {
  const active = ports.filter(({ isUp }) => isUp === true);
  const good = active.filter((port) => rate === 0 || (port.rate ?? 0) >= rate * bytesPerGigabit).length;
  if (expected === undefined || good >= expected) return [];
  const unread = rate === 0 ? 0 : active.filter((port) => port.rate === undefined).length;
  if (good + unread >= expected) {
    const summary = `the rate of ${count(unread, "port")} cannot be read`;
    return [{ status: "unknown", subject: "", summary, action: "none" }];
  }
  const summary = `${good} of ${count(expected, "expected port")} active${rate === 0 ? "" : ` at ${rate} Gb/s`}`;
  return [{ status: "critical", subject: "", summary, action: "inspect_hardware" }];
}

interface Judging {
  readonly parameters: Parameters;
  readonly nowSeconds: number;
  readonly bestRate: number;
}

function judgeState(port: Port, { parameters, nowSeconds, bestRate }: Judging): Finding[] {
  const { name: subject, isUp, goneSince, rate = 0 } = port;
  if (goneSince !== undefined) {
    const summary = `gone since ${timeOf(goneSince)}`;
    return [{ status: "critical", subject, summary, action: "inspect_hardware", ...happened(goneSince) }];
  }
  if (isUp === undefined) {
    return port.isExpected ? [{ status: "unknown", subject, summary: "its state cannot be read", action: "none" }] : [];
  }
  if (!isUp) return port.isExpected ? [judgeDown(port, nowSeconds, parameters)] : [];
  if (rate === 0 || rate >= bestRate) return [];
  const [now, best] = [rate, bestRate].map((each) => Math.round(each / bytesPerGigabit));
  return [{ status: "warning", subject, summary: `runs at ${now} of ${best} Gb/s`, action: "check_network" }];
}

/** Of the InfiniBand specification's port physical states. */
const disabled = 3;
const linkUp = 5;

function judgeDown(
  { name: subject, physicalState, isDropped, since }: Port,
  nowSeconds: number,
  parameters: Parameters,
): Finding {
  const how = since === undefined ? "down" : `down since ${timeOf(since)}`;
  if (physicalState === disabled) {
    const summary = `${how}, switched off by an administrator`;
    return { status: "warning", subject, summary, action: "check_configuration" };
  }
  const isLong = nowSeconds - (since ?? nowSeconds) >= parameters.down_seconds;
  const status = isDropped || isLong ? "critical" : "warning";
  if (physicalState === linkUp) {
    const summary = `${how}: there is a link, and no subnet manager has made it active`;
    return { status, subject, summary, action: "check_network" };
  }
  if (!isDropped) return { status, subject, summary: how, action: "check_network" };
  const summary = `${how}, and the port has counted no loss of the link`;
  return { status, subject, summary, action: "inspect_hardware" };
}

function judgeFlaps({ name: subject, isUp, isFlapping, recentFlaps, lastFlap }: Port, nowSeconds: number): Finding[] {
  if (lastFlap === undefined) return [];
  const time = `at ${timeOf(lastFlap)}`;
  if (isFlapping) {
    const summary = `has lost its link ${count(recentFlaps, "time")} within hours, last ${time}`;
    return [{ status: "warning", subject, summary, action: "inspect_hardware", ...happened(lastFlap) }];
  }
  if (isUp !== true || nowSeconds - lastFlap >= afterwardsSeconds) return [];
  const summary = `has lost its link ${time} and come back`;
  return [{ status: "warning", subject, summary, action: "none", ...happened(lastFlap) }];
}
