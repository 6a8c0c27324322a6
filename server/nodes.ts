import type { KeyObject } from "node:crypto";
import { importPublicKey } from "../protocol/keys.ts";
import type { Store } from "./store/store.ts";

export interface KnownNode {
  readonly id: string;
  readonly publicKey: KeyObject;
  readonly groupIds: readonly string[];
}

/** What a node's request needs to know about it, remembered for a few seconds so that a poll costs no query. */
export interface Nodes {
  get(id: string): Promise<KnownNode | undefined>;
  /** After a change of this node; without an id after a change of many. */
  forget(id?: string): void;
}

// Another server on the same database learns of a removed node this late at the most.
const rememberMs = 5_000;
const maxRemembered = 200_000;

export function createNodes(store: Store, now: () => number): Nodes {
  const known = new Map<string, { readonly until: number; readonly node: Promise<KnownNode | undefined> }>();
  const load = async (id: string): Promise<KnownNode | undefined> => {
    const target = await store.targets.get(id);
    if (target?.public_key === undefined) return undefined;
    return { id, publicKey: importPublicKey(target.public_key), groupIds: target.group_ids };
  };
  return {
    get: (id) => {
      const entry = known.get(id);
      if (entry !== undefined && entry.until > now()) return entry.node;
      if (known.size >= maxRemembered) known.clear();
      const node = load(id);
      known.set(id, { until: now() + rememberMs, node });
      node.catch(() => known.delete(id)); // the caller gets the error; the next one asks again
      return node;
    },
    forget: (id) => (id === undefined ? known.clear() : void known.delete(id)),
  };
}
