import type { EffectiveCheck } from "../../protocol/registration.ts";
import type { Group } from "../store/groups.ts";
import type { Policy } from "../store/policies.ts";
import { depthOf } from "./groups.ts";

/**
 * One policy per check name. A group's policy beats a global one; among groups the higher group priority, then the
 * higher policy priority, then the deeper path, then the older id. An inactive policy is as if it were not there.
 */
export function resolvePolicies(policies: readonly Policy[], groups: readonly Group[]): Policy[] {
  const byId = new Map(groups.map((group) => [group.id, group]));
  const winners = new Map<string, Policy>();
  for (const policy of policies) {
    if (!policy.is_active || (policy.group_id !== undefined && !byId.has(policy.group_id))) continue;
    const current = winners.get(policy.name);
    if (current === undefined || beats(policy, current, byId)) winners.set(policy.name, policy);
  }
  return [...winners.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function beats(left: Policy, right: Policy, groups: ReadonlyMap<string, Group>): boolean {
  const a = rank(left, groups);
  const b = rank(right, groups);
  const decided = a.findIndex((value, index) => value !== b[index]);
  if (decided >= 0) return (a[decided] ?? 0) > (b[decided] ?? 0);
  return left.id < right.id; // ids are UUIDv7: the smaller one is the older one
}

function rank(policy: Policy, groups: ReadonlyMap<string, Group>): readonly number[] {
  const group = policy.group_id === undefined ? undefined : groups.get(policy.group_id);
  return group === undefined ? [0, 0, policy.priority, 0] : [1, group.priority, policy.priority, depthOf(group.path)];
}

/** By top-level key, override over default; nested values are replaced whole. */
export function mergeConfig({
  default_config,
  config,
}: Pick<Policy, "default_config" | "config">): Record<string, unknown> {
  return { ...default_config, ...config };
}

export function toEffectiveCheck(policy: Policy): EffectiveCheck {
  const { name, script_type, script_content, language, version, hash, id } = policy;
  return { name, script_type, script_content, language, config: mergeConfig(policy), version, hash, instance_id: id };
}
