import { rmSync } from "node:fs";
import { createEventLog, type EventLog } from "../../collectors/events.ts";
import type { Logger } from "../../runtime/log.ts";
import { type Identity, openIdentity } from "./identity.ts";
import { type MachineIds, readMachineIds } from "./machine.ts";
import { createResultStore, type ResultStore } from "./results.ts";
import { copyToMemory, isSickDisk } from "./sick-disk.ts";
import { type NodeState, openState } from "./state.ts";

/** Everything that a node keeps on disk. */
export interface NodeStore {
  readonly state: NodeState;
  readonly identity: Identity;
  readonly results: ResultStore;
  readonly events: EventLog;
  readonly machine: MachineIds;
  /** False while the disk takes nothing: the node runs from a copy in memory and does not register. */
  readonly isPersistent: boolean;
  close(): void;
}

export interface OpenNodeStoreOptions {
  /** The state directory, usually /var/lib/aami. */
  readonly directory: string;
  readonly log: Logger;
  readonly programVersion: string;
  readonly machine?: MachineIds;
  readonly maxStateBytes?: number;
}

/**
 * Throws ExitError, with a line for the operator, where somebody has to act: another daemon has the directory, it may not
 * be read, or a newer version wrote it. A disk that is read-only, full or failing is no reason to stop: such a node
 * needs its monitoring most.
 */
export function openNodeStore(options: OpenNodeStoreOptions): NodeStore {
  const { directory, log } = options;
  try {
    return openIn(directory, options, true);
  } catch (error) {
    if (!isSickDisk(error)) throw error;
    const copy = copyToMemory(directory);
    log.error("state directory cannot be written, running from a copy in memory until the next start", {
      directory,
      copy,
      error,
    });
    const store = openIn(copy, options, false);
    const close = () => {
      store.close();
      rmSync(copy, { recursive: true, force: true });
    };
    return { ...store, close };
  }
}

function openIn(directory: string, options: OpenNodeStoreOptions, isPersistent: boolean): NodeStore {
  const { log, programVersion, machine = readMachineIds(), maxStateBytes } = options;
  const limit = maxStateBytes === undefined ? {} : { maxBytes: maxStateBytes };
  const state = openState({ directory, log, programVersion, ...limit });
  try {
    const identity = openIdentity({ directory, machine, log });
    // Another machine's results and events are no facts about this one, and its bundle was for its groups.
    if (identity.isClone) {
      state.reset();
      state.forgetEvents();
    }
    const results = createResultStore({ state, log });
    const events = createEventLog({ storage: state, log });
    const close = () => {
      results.flush();
      events.close();
      state.close();
    };
    return { state, identity, results, events, machine, isPersistent, close };
  } catch (error) {
    state.close();
    throw error;
  }
}
