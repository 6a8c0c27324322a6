import type { MetricFamily, MetricType, Sample } from "../../collectors/collector.ts";
import type { NodeMemory } from "./status.ts";

export interface MetricFacts {
  readonly isPersistent: boolean;
  readonly nowMs: number;
  readonly clockSkewMs: number | undefined;
}

/** What the daemon says about its control server and its bundle. Only reads memory; nothing without a server. */
export function nodeFamilies(memory: NodeMemory, { nowMs, clockSkewMs, isPersistent }: MetricFacts): MetricFamily[] {
  const { active, isReachable, isRegistered, lastSuccessAt, fault, rejects, registrationFailures } = memory;
  return [
    gauge("aami_state_persistent", "Whether the daemon can write its state to disk.", one(isPersistent)),
    gauge("aami_registered", "Whether the control server knows this node.", one(isRegistered)),
    gauge(
      "aami_server_reachable",
      "Whether the last exchange with the control server came to an answer.",
      one(isReachable),
    ),
    gauge(
      "aami_sync_last_success_timestamp_seconds",
      "When the control server last confirmed or delivered the bundle, in seconds since 1970.",
      lastSuccessAt === undefined ? [] : value(lastSuccessAt / 1000),
    ),
    gauge(
      "aami_clock_skew_seconds",
      "Clock of the control server less the clock of this node, as of the last answer.",
      clockSkewMs === undefined ? [] : value(clockSkewMs / 1000),
    ),
    ...(active ? bundleFamilies(active, nowMs) : []),
    gauge(
      "aami_bundle_rolled_back",
      "Whether an older bundle runs because the daemon crashed twice with the newest.",
      one(memory.state === "rolled_back"),
    ),
    counts("aami_bundle_rejects_total", "Bundles that were not installed, by reason.", "reason", rejects),
    counts(
      "aami_registration_failures_total",
      "Attempts to register that failed, by error code.",
      "code",
      registrationFailures,
    ),
    // Names of AAMI's first check runner, kept for the alerts built on them.
    gauge(
      "aami_check_fetch_status",
      "Whether the last fetch of the node's checks succeeded.",
      one(isRegistered && !fault),
    ),
    gauge(
      "aami_check_fetch_timestamp_seconds",
      "When the node's checks were last fetched or confirmed, in seconds since 1970.",
      lastSuccessAt === undefined ? [] : value(lastSuccessAt / 1000),
    ),
  ];
}

function bundleFamilies(active: NonNullable<NodeMemory["active"]>, nowMs: number): MetricFamily[] {
  const { epoch, version, hash, source, acceptedAt, expiresAt } = active;
  return [
    gauge("aami_bundle_epoch", "Epoch of the active bundle.", value(epoch)),
    gauge("aami_bundle_revision", "Version of the active bundle within its epoch.", value(version)),
    gauge("aami_bundle_info", "The active bundle.", [{ labels: { hash, source }, value: 1 }]),
    gauge(
      "aami_bundle_accepted_timestamp_seconds",
      "When the active bundle was installed, in seconds since 1970.",
      value(acceptedAt / 1000),
    ),
    gauge(
      "aami_bundle_expiry_timestamp_seconds",
      "When the active bundle expires, in seconds since 1970; it keeps running afterwards.",
      value(expiresAt / 1000),
    ),
    gauge("aami_bundle_expired", "Whether the active bundle has expired.", one(expiresAt <= nowMs)),
    gauge(
      "aami_bundle_refused_checks",
      "Checks of the active bundle that this daemon does not run.",
      value(active.refused.length),
    ),
  ];
}

function counts(name: string, help: string, label: string, values: ReadonlyMap<string, number>): MetricFamily {
  const samples = [...values].map(([key, count]) => ({ labels: { [label]: key }, value: count }));
  return family(name, help, "counter", samples);
}

function gauge(name: string, help: string, samples: readonly Sample[]): MetricFamily {
  return family(name, help, "gauge", samples);
}

function family(name: string, help: string, type: MetricType, samples: readonly Sample[]): MetricFamily {
  return { name, help, type, samples };
}

function value(number: number): Sample[] {
  return [{ labels: {}, value: number }];
}

function one(isTrue: boolean): Sample[] {
  return value(isTrue ? 1 : 0);
}
