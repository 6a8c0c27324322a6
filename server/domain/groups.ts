import { sha256Hex } from "../../protocol/keys.ts";
import type { GroupReference } from "../../protocol/registration.ts";
import type { Group } from "../store/groups.ts";

/** Names a set of groups, whatever their order: nodes with the same key share one bundle. */
export function groupKeyOf(groupIds: readonly string[]): string {
  return sha256Hex([...new Set(groupIds)].toSorted().join("\n"));
}

export function toGroupReference({ id, name, namespace, path, priority }: Group): GroupReference {
  return { id, name, namespace, path, priority };
}

/** Paths of a group and of all above it: a policy of `infrastructure:aws` also applies in `infrastructure:aws/us-east-1`. */
export function pathsUpwards(path: string): string[] {
  const separator = path.indexOf(":") + 1;
  const names = path.slice(separator).split("/");
  return names.map((_name, index) => path.slice(0, separator) + names.slice(0, index + 1).join("/"));
}

export function depthOf(path: string): number {
  return path.split("/").length;
}
