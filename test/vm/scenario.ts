import type { Machine } from "./lab/machine.ts";
import type { Node } from "./node.ts";
import type { Report } from "./report.ts";

/** One part of the machine's life; parts run one after the other in the same machine. */
export type Scenario = (context: {
  readonly machine: Machine;
  readonly node: Node;
  readonly check: Report["check"];
}) => Promise<void>;
