import type { Machine } from "./lab/machine.ts";
import type { Node } from "./node.ts";

/** One part of the machine's life; parts run one after the other in the same machine. */
export type Scenario = (context: {
  readonly machine: Machine;
  readonly node: Node;
  check(title: string, body: () => Promise<void>): Promise<boolean>;
}) => Promise<void>;
