import { describeError, type Logger } from "../runtime/log.ts";

export type Severity = "info" | "warning" | "critical" | "fatal";

/** Something that happened to the hardware or to the kernel. Plain JSON. */
export interface HardwareEvent {
  /** Unique over restarts of the daemon and of the machine, for example "kmsg:<boot id>:<sequence>". */
  readonly key: string;
  readonly atMs: number;
  /** The collector that saw it. */
  readonly source: string;
  /** Stable name: "gpu_xid", "disk_disappeared", "link_drop". */
  readonly kind: string;
  readonly severity: Severity;
  /** PCI bus ID, disk, port, … ; empty when there is none. */
  readonly device: string;
  /** Xid or SXid. */
  readonly code?: number;
  /** For people: the line of the kernel log, or what was seen. */
  readonly message: string;
}

/**
 * What has happened, kept over a restart of the daemon where it has a state directory. Everything is in memory and
 * written a little later: no method waits for a disk, and none throws.
 */
export interface EventLog {
  /** An event whose key is known already changes nothing. The oldest are forgotten first. */
  record(event: HardwareEvent): void;
  /** Events at or after this time, oldest first. */
  since(atMs: number): readonly HardwareEvent[];
  /** The text that `save` was last given under this name, perhaps by the daemon before this one. */
  saved(name: string): string | undefined;
  /** Keeps a small text of a collector, written in one transaction with the events that were recorded before. */
  save(name: string, text: string): void;
  /** Writes what is waiting, now. Whether all of it is on the disk. */
  flush(): boolean;
  /** The same, and what comes later stays in memory. */
  close(): void;
}

/** Where the events of a daemon with a state directory are kept; daemon/node/state.ts is it. */
export interface EventStorage {
  loadEvents(): { readonly events: readonly HardwareEvent[]; readonly texts: ReadonlyMap<string, string> };
  /** All of it or nothing; keeps the newest `keep` events. */
  saveEvents(events: readonly HardwareEvent[], texts: ReadonlyMap<string, string>, keep: number): void;
  /** They are another machine's. */
  forgetEvents(): void;
}

export interface EventLogOptions {
  /** Undefined: nothing outlives the daemon. */
  readonly storage?: EventStorage | undefined;
  readonly log: Logger;
  /** Calls `work` once, after a while; tests call it themselves. */
  readonly later?: (work: () => void) => void;
}

const eventsKept = 1000;
const flushAfterMs = 2000;

export function createEventLog({ storage: given, log, later = afterAWhile }: EventLogOptions): EventLog {
  const stored = given?.loadEvents();
  let storage = given;
  const events = new Map(stored?.events.map((event) => [event.key, event]));
  const texts = new Map(stored?.texts);
  const waiting = { events: new Map<string, HardwareEvent>(), texts: new Map<string, string>() };
  let isScheduled = false;
  let isFailing = false;

  const flush = (): void => {
    isScheduled = false;
    if (waiting.events.size + waiting.texts.size === 0 || storage === undefined) return;
    try {
      storage.saveEvents([...waiting.events.values()], waiting.texts, eventsKept);
      waiting.events.clear();
      waiting.texts.clear();
      isFailing = false;
    } catch (error) {
      // Kept in memory and tried with the next one; a full disk is no reason to stop watching.
      if (!isFailing) log.error("cannot store hardware events", { error: describeError(error) });
      isFailing = true;
    }
  };
  const schedule = (): void => {
    if (isScheduled || storage === undefined) return;
    isScheduled = true;
    later(flush);
  };
  return {
    record: (event) => {
      if (events.has(event.key)) return;
      events.set(event.key, event);
      forgetOldest(events);
      if (storage === undefined) return;
      waiting.events.set(event.key, event);
      forgetOldest(waiting.events);
      schedule();
    },
    since: (atMs) => [...events.values()].filter((event) => event.atMs >= atMs).sort((a, b) => a.atMs - b.atMs),
    saved: (name) => texts.get(name),
    save: (name, text) => {
      if (texts.get(name) === text) return;
      texts.set(name, text);
      if (storage !== undefined) waiting.texts.set(name, text);
      schedule();
    },
    flush: () => {
      flush();
      return storage !== undefined && waiting.events.size + waiting.texts.size === 0;
    },
    close: () => {
      flush();
      storage = undefined;
    },
  };
}

function forgetOldest(events: Map<string, HardwareEvent>): void {
  for (const key of events.keys()) {
    if (events.size <= eventsKept) return;
    events.delete(key);
  }
}

function afterAWhile(work: () => void): void {
  setTimeout(work, flushAfterMs).unref();
}
