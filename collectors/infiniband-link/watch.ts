import { describeError, type Logger } from "../../runtime/log.ts";
import type { MetricFamily } from "../collector.ts";
import type { EventLog, HardwareEvent } from "../events.ts";
import { counter, createFamilySet, gauge } from "../families.ts";
import type { PortLister } from "./command.ts";
import type { PortReading } from "./ports.ts";
import {
  advance,
  isFlapping,
  type LinkChange,
  type LinkRules,
  overReboot,
  type PortHistory,
  vanish,
} from "./tracker.ts";

const head = {
  up: gauge("aami_infiniband_link_up", "Whether the port was ACTIVE when it was last looked at."),
  since: gauge(
    "aami_infiniband_link_since_timestamp_seconds",
    "Unix time at which the port was first seen in the state that it is in.",
  ),
  expected: gauge(
    "aami_infiniband_link_expected",
    "Whether the port has been ACTIVE before, so that it is missed when it is not.",
  ),
  goneSince: gauge(
    "aami_infiniband_link_gone_since_timestamp_seconds",
    "Unix time since which the kernel does not show a port that has been ACTIVE; for a day.",
  ),
  dropped: gauge(
    "aami_infiniband_link_dropped",
    "Whether the port has stayed down for long without its own link_downed counter moving.",
  ),
  flapping: gauge(
    "aami_infiniband_link_flapping",
    "Whether the port has lost its link and come back too often lately.",
  ),
  recentFlaps: gauge("aami_infiniband_link_recent_flaps", "How often the port has lost its link and come back lately."),
  lastFlap: gauge(
    "aami_infiniband_link_last_flap_timestamp_seconds",
    "Unix time at which the port was up again after the newest of these losses.",
  ),
  drops: counter("aami_infiniband_link_drops_total", "How often the port has dropped out since boot."),
  flaps: counter("aami_infiniband_link_flaps_total", "How often the port has lost its link and come back since boot."),
  lastSuccess: gauge(
    "aami_infiniband_link_last_success_timestamp_seconds",
    "Unix time at which the ports were last looked at.",
  ),
};

const memoryName = "infiniband_link";
/** After that long it is taken for removed. */
const goneMs = 86_400_000;

export interface LinkWatch {
  /** Looks at the ports once. Never rejects. */
  look(): Promise<void>;
  families(): MetricFamily[];
  /** Why the last look failed. */
  error(): unknown;
  /** There is a port, or one that has worked is missed. */
  knowsPorts(): boolean;
  stop(): void;
}

export interface LinkWatchOptions {
  readonly rules: LinkRules;
  readonly isWatched: (device: string) => boolean;
  readonly lister: PortLister;
  readonly bootId: string;
  readonly events: EventLog;
  readonly log: Logger;
  readonly now: () => number;
}

export function createLinkWatch(options: LinkWatchOptions): LinkWatch {
  const { rules, isWatched, lister, bootId, events, log, now } = options;
  const remembered = recall(events.saved(memoryName), { bootId, nowMs: now() });
  const ports = new Map(remembered.map((history) => [keyOf(history), history]));
  let lastSuccessMs: number | undefined;
  let failure: unknown;

  const take = (readings: readonly PortReading[]): void => {
    const nowMs = now();
    const shown = new Set(readings.map(keyOf));
    for (const [key, history] of ports) {
      const { goneSinceMs, hasBeenUp } = history;
      if (shown.has(key)) continue;
      if (!hasBeenUp || nowMs - (goneSinceMs ?? nowMs) > goneMs) ports.delete(key);
      else if (goneSinceMs === undefined) {
        ports.set(key, vanish(history, nowMs));
        tell(history, { kind: "infiniband_port_gone", severity: "critical", message: "port is gone", nowMs });
      }
    }
    for (const reading of readings) {
      const { history, change } = advance(ports.get(keyOf(reading)), reading, { rules, nowMs });
      ports.set(keyOf(reading), history);
      if (change !== undefined) tell(history, { ...describe(change, history, { rules, nowMs }), nowMs });
    }
    lastSuccessMs = nowMs;
    events.save(memoryName, JSON.stringify({ bootId, ports: [...ports.values()] }));
  };

  const tell = (
    port: PortHistory,
    told: Pick<HardwareEvent, "kind" | "severity" | "message"> & { nowMs: number },
  ): void => {
    const { nowMs, ...event } = told;
    const device = keyOf(port);
    events.record({
      ...event,
      key: `infiniband:${device}:${event.kind}:${nowMs}`,
      atMs: nowMs,
      source: "infiniband_link",
      device,
    });
    log[event.severity === "info" ? "info" : "warn"](event.message, { device: port.device, port: port.port });
  };

  const look = async (): Promise<void> => {
    try {
      take((await lister.list()).filter(({ device }) => isWatched(device)));
      if (failure !== undefined) log.info("ports can be read again");
      failure = undefined;
    } catch (error) {
      if (failure === undefined) log.warn("ports cannot be read", { error: describeError(error) });
      failure = error;
    }
  };

  return {
    look,
    error: () => failure,
    knowsPorts: () => ports.size > 0,
    families: () => {
      const set = createFamilySet();
      set.add(head.lastSuccess, {}, lastSuccessMs === undefined ? undefined : lastSuccessMs / 1000);
      // A port that was not looked at since this start is not known to be as it was.
      const seen = lastSuccessMs === undefined ? [] : [...ports.values()];
      for (const history of seen) {
        const labels = { device: history.device, port: history.port };
        const { goneSinceMs, flapsMs } = history;
        if (goneSinceMs !== undefined) {
          set.add(head.goneSince, labels, goneSinceMs / 1000);
          continue;
        }
        const recent = flapsMs.filter((atMs) => now() - atMs <= rules.flapWindowMs);
        const last = recent.at(-1);
        set.add(head.expected, labels, Number(history.hasBeenUp));
        if (history.isRead) {
          set.add(head.up, labels, Number(history.isUp));
          set.add(head.since, labels, history.sinceMs / 1000);
          set.add(head.dropped, labels, Number(history.isDropped));
        }
        set.add(head.flapping, labels, Number(isFlapping(history, rules, now())));
        set.add(head.recentFlaps, labels, recent.length);
        set.add(head.lastFlap, labels, last === undefined ? undefined : last / 1000);
        set.add(head.drops, labels, history.dropsTotal);
        set.add(head.flaps, labels, history.flapsTotal);
      }
      return set.list();
    },
    stop: () => lister.close(),
  };
}

function describe(
  change: LinkChange,
  history: PortHistory,
  { rules, nowMs }: { rules: LinkRules; nowMs: number },
): Pick<HardwareEvent, "kind" | "severity" | "message"> {
  if (change === "dropped") {
    return {
      kind: "infiniband_link_drop",
      severity: "critical",
      message: "port stays down, its own counter of lost links stands still",
    };
  }
  if (change === "recovered") {
    return { kind: "infiniband_link_recovered", severity: "info", message: "port is up again" };
  }
  const severity = isFlapping(history, rules, nowMs) ? "critical" : "warning";
  return { kind: "infiniband_link_flap", severity, message: "port has lost its link and is up again" };
}

const keyOf = ({ device, port }: Pick<PortReading, "device" | "port">): string => `${device}:${port}`;

function recall(text: string | undefined, { bootId, nowMs }: { bootId: string; nowMs: number }): PortHistory[] {
  if (text === undefined) return [];
  try {
    const memory = JSON.parse(text) as { bootId?: unknown; ports?: PortHistory[] };
    if (!Array.isArray(memory.ports)) return [];
    return memory.bootId === bootId ? memory.ports : memory.ports.map((history) => overReboot(history, nowMs));
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}
