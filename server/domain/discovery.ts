import { createHash } from "node:crypto";
import { isIPv6 } from "node:net";
import type { Group } from "../store/groups.ts";
import type { Target, TargetExporter } from "../store/targets.ts";

/** One entry of Prometheus HTTP service discovery. */
export interface DiscoveredTarget {
  readonly targets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

export interface DiscoveryFilter {
  readonly exporterType?: string;
  /** Disabled exporters and inactive targets as well. */
  readonly all?: boolean;
  readonly shard?: { readonly index: number; readonly count: number };
}

/**
 * One entry per exporter. Without a label `job`: that is the name which Prometheus' own configuration gives. Targets that are down stay listed: it is Prometheus that must see `up == 0`.
 */
export function toDiscovery(
  targets: readonly Target[],
  groups: ReadonlyMap<string, Group>,
  { all = false, exporterType, shard }: DiscoveryFilter,
): DiscoveredTarget[] {
  const wanted = ({ enabled, type }: TargetExporter) =>
    (all || enabled) && (exporterType === undefined || type === exporterType);
  return targets
    .filter(({ id, status }) => (all || status !== "inactive") && inShard(id, shard))
    .flatMap((target) => target.exporters.filter(wanted).map((exporter) => toEntry(target, exporter, groups)));
}

/** A target keeps its shard as long as the number of shards stays. */
export function inShard(targetId: string, shard: DiscoveryFilter["shard"]): boolean {
  if (shard === undefined) return true;
  return createHash("sha256").update(targetId).digest().readUInt32BE(0) % shard.count === shard.index;
}

function toEntry(target: Target, exporter: TargetExporter, groups: ReadonlyMap<string, Group>): DiscoveredTarget {
  const { ip_address: ip } = target;
  return {
    targets: [`${isIPv6(ip) ? `[${ip}]` : ip}:${exporter.port}`],
    labels: {
      ...userLabels(target),
      ...groupLabels(target.group_ids, groups),
      instance: target.hostname,
      hostname: target.hostname,
      ip_address: ip,
      target_id: target.id,
      exporter_type: exporter.type,
      exporter_id: exporter.id,
      metrics_path: exporter.metrics_path,
      __metrics_path__: exporter.metrics_path,
      __scheme__: exporter.scheme,
      // As a plain label it would start new series at every change of status.
      __meta_aami_target_status: target.status,
      ...(exporter.scrape_interval === undefined ? {} : { __scrape_interval__: exporter.scrape_interval }),
      ...(exporter.scrape_timeout === undefined ? {} : { __scrape_timeout__: exporter.scrape_timeout }),
    },
  };
}

// Labels come from the node: with a prefix they cannot replace what the server says.
function userLabels({ labels }: Target): Record<string, string> {
  return Object.fromEntries(
    Object.entries(labels).map(([name, value]) => [`target_label_${name.replaceAll(/[^a-zA-Z0-9_]/g, "_")}`, value]),
  );
}

/** `group_id` is the primary group; `group_ids` holds all of them between commas, for `group_ids=~".*,ID,.*"`. */
function groupLabels(groupIds: readonly string[], groups: ReadonlyMap<string, Group>): Record<string, string> {
  const known = groupIds.map((id) => groups.get(id)).filter((group) => group !== undefined);
  const [primary] = known;
  if (primary === undefined) return {};
  const numbered = known.flatMap(({ id, path, namespace }, index): [string, string][] => [
    [`group_${index}`, path],
    [`group_${index}_id`, id],
    [`group_${index}_namespace`, namespace],
  ]);
  return {
    ...Object.fromEntries(numbered),
    group: primary.path,
    group_id: primary.id,
    group_ids: `,${known.map(({ id }) => id).join(",")},`,
    namespace: primary.namespace,
  };
}
