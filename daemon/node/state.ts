import type { Database } from "bun:sqlite";
import { join } from "node:path";
import type { EventStorage } from "../../collectors/events.ts";
import type { Logger } from "../../runtime/log.ts";
import { openDatabase } from "./database.ts";
import { hardwareEventStore } from "./hardware-events.ts";

/** A bundle that was verified when it was accepted. `bytes` are the received ones, never encoded again. */
export interface StoredBundle {
  readonly epoch: number;
  readonly version: number;
  readonly hash: string;
  readonly bytes: Uint8Array;
  /** Where the bytes came from: "server", "peer:<node id>". */
  readonly source: string;
  readonly etag: string | undefined;
  /** Milliseconds since the epoch, as every time here. */
  readonly acceptedAt: number;
}

/** The highest revision ever accepted and the latest time any accepted document was issued at. Never lowered. */
export interface Mark {
  readonly epoch: number;
  readonly version: number;
  readonly hash: string;
  readonly clockFloor: number;
}

export interface StoredResult {
  readonly checkKey: string;
  readonly finishedAt: number;
  /** JSON text; what is in it belongs to whoever ran the check. */
  readonly result: string;
}

export interface NodeEvent {
  readonly at: number;
  readonly kind: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Installation {
  readonly bundle: StoredBundle;
  /** Scripts by hex SHA-256 that are not stored yet. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
  /** Every script that the active and the previous bundle name; the others are dropped. */
  readonly keepBlobs: ReadonlySet<string>;
  readonly mark: Mark;
  /** The active bundle proved bad: the one before it stays the previous one. */
  readonly replacesBad?: boolean;
}

/** The node's embedded database. Every method is one transaction: it happened whole or, with a throw, not at all. */
export interface NodeState extends EventStorage {
  readonly path: string;
  bundle(slot: "active" | "previous"): StoredBundle | undefined;
  /** The active bundle becomes the previous one; bundle, scripts, mark and keys change together or not at all. */
  install(installation: Installation): void;
  /** After activation only, so that a 304 confirms a revision that runs. */
  rememberEtag(etag: string | undefined): void;
  dropBundle(slot: "active" | "previous"): void;
  /** Counts a start of the daemon while the active bundle is on trial, which it is from its installation on. */
  countTrialStart(): number;
  /** The active bundle has run for long enough: its trial is over. */
  endTrial(): void;
  blob(hash: string): Uint8Array | undefined;
  blobHashes(): Set<string>;
  mark(): Mark | undefined;
  results(): StoredResult[];
  /** Not flushed to disk at once: losing the last results to a power cut is cheaper than a wait for a sick disk. */
  saveResults(changed: readonly StoredResult[], removed: readonly string[]): void;
  /** What happened to the node's registration and bundle; hardware events are apart. */
  events(limit: number): NodeEvent[];
  recordEvent(kind: string, fields: Readonly<Record<string, unknown>>): void;
  /** Forgets bundles, mark, keys and results: the node belongs to another fleet now. */
  reset(): void;
  close(): void;
}

export interface OpenStateOptions {
  /** Made with mode 0700 if it is not there. */
  readonly directory: string;
  readonly log: Logger;
  readonly programVersion: string;
  /** The database never grows past this; the write that would is refused like one on a full disk. */
  readonly maxBytes?: number;
  readonly now?: () => number;
}

const eventsKept = 200;

export function openState(options: OpenStateOptions): NodeState {
  const { directory, log, programVersion, maxBytes = 256 * 1024 * 1024, now = Date.now } = options;
  const path = join(directory, "state.db");
  const database = openDatabase({ path, log, now, programVersion, maxBytes });
  return {
    path,
    ...bundleStore(database),
    ...resultStore(database),
    ...eventStore(database, now),
    ...hardwareEventStore(database),
    reset: () => resetAll(database),
    // Explicit, because close(true) reports what a checkpoint at close would swallow.
    close: () => database.close(true),
  };
}

interface BundleRow {
  readonly epoch: number;
  readonly version: number;
  readonly hash: string;
  readonly bytes: Uint8Array;
  readonly source: string;
  readonly etag: string | null;
  readonly accepted_at: number;
}

type BundleStore = Pick<
  NodeState,
  "bundle" | "install" | "rememberEtag" | "dropBundle" | "countTrialStart" | "endTrial" | "blob" | "blobHashes" | "mark"
>;

function bundleStore(database: Database): BundleStore {
  return {
    bundle: (slot) => {
      const row = database.query<BundleRow, [string]>("SELECT * FROM bundles WHERE slot = ?").get(slot);
      return row ? toBundle(row) : undefined;
    },
    install: (installation) => install(database, installation),
    rememberEtag: (etag) => {
      database.query("UPDATE bundles SET etag = ? WHERE slot = 'active'").run(etag ?? null);
    },
    dropBundle: (slot) => {
      database.query("DELETE FROM bundles WHERE slot = ?").run(slot);
    },
    countTrialStart: () => {
      database.run("UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'trial_starts'");
      const row = database.query<{ value: string }, []>("SELECT value FROM meta WHERE key = 'trial_starts'").get();
      return Number(row?.value ?? 0);
    },
    endTrial: () => {
      database.run("DELETE FROM meta WHERE key = 'trial_starts'");
    },
    blob: (hash) =>
      database.query<{ bytes: Uint8Array }, [string]>("SELECT bytes FROM blobs WHERE hash = ?").get(hash)?.bytes,
    blobHashes: () =>
      new Set(
        database
          .query<{ hash: string }, []>("SELECT hash FROM blobs")
          .all()
          .map((row) => row.hash),
      ),
    mark: () =>
      database.query<Mark, []>("SELECT epoch, version, hash, clock_floor AS clockFloor FROM mark").get() ?? undefined,
  };
}

function toBundle({ accepted_at, etag, ...row }: BundleRow): StoredBundle {
  const { epoch, version, hash, bytes, source } = row;
  return { epoch, version, hash, bytes, source, etag: etag ?? undefined, acceptedAt: accepted_at };
}

function install(database: Database, installation: Installation): void {
  const { bundle, blobs, keepBlobs, mark, replacesBad = false } = installation;
  database
    .transaction(() => {
      const putBlob = database.query("INSERT OR REPLACE INTO blobs (hash, bytes) VALUES (?, ?)");
      for (const [hash, bytes] of blobs) putBlob.run(hash, bytes);
      if (replacesBad) database.run("DELETE FROM bundles WHERE slot = 'active'");
      else shiftBundles(database);
      database.run("INSERT OR REPLACE INTO meta (key, value) VALUES ('trial_starts', '0')");
      database
        .query(
          "INSERT INTO bundles (slot, epoch, version, hash, bytes, source, accepted_at) VALUES ('active', ?, ?, ?, ?, ?, ?)",
        )
        .run(bundle.epoch, bundle.version, bundle.hash, bundle.bytes, bundle.source, bundle.acceptedAt);
      database
        .query("INSERT OR REPLACE INTO mark (only, epoch, version, hash, clock_floor) VALUES (1, ?, ?, ?, ?)")
        .run(mark.epoch, mark.version, mark.hash, mark.clockFloor);
      dropOtherBlobs(database, keepBlobs);
    })
    .immediate();
}

function shiftBundles(database: Database): void {
  database.run("DELETE FROM bundles WHERE slot = 'previous'");
  database.run("UPDATE bundles SET slot = 'previous', etag = NULL WHERE slot = 'active'");
}

function dropOtherBlobs(database: Database, keep: ReadonlySet<string>): void {
  const stored = database.query<{ hash: string }, []>("SELECT hash FROM blobs").all();
  const drop = database.query("DELETE FROM blobs WHERE hash = ?");
  for (const { hash } of stored) if (!keep.has(hash)) drop.run(hash);
}

function resultStore(database: Database): Pick<NodeState, "results" | "saveResults"> {
  return {
    results: () =>
      database
        .query<StoredResult, []>("SELECT check_key AS checkKey, finished_at AS finishedAt, result FROM check_results")
        .all(),
    saveResults: (changed, removed) => {
      const put = database.query(
        "INSERT OR REPLACE INTO check_results (check_key, finished_at, result) VALUES (?, ?, ?)",
      );
      const drop = database.query("DELETE FROM check_results WHERE check_key = ?");
      database.run("PRAGMA synchronous = NORMAL");
      try {
        database
          .transaction(() => {
            for (const { checkKey, finishedAt, result } of changed) put.run(checkKey, finishedAt, result);
            for (const checkKey of removed) drop.run(checkKey);
          })
          .immediate();
      } finally {
        database.run("PRAGMA synchronous = FULL");
      }
    },
  };
}

function eventStore(database: Database, now: () => number): Pick<NodeState, "events" | "recordEvent"> {
  return {
    events: (limit) =>
      database
        .query<{ at: number; kind: string; fields: string }, [number]>(
          "SELECT at, kind, fields FROM events ORDER BY id DESC LIMIT ?",
        )
        .all(limit)
        .map(({ at, kind, fields }) => ({ at, kind, fields: JSON.parse(fields) })),
    recordEvent: (kind, fields) => {
      database
        .transaction(() => {
          const put = database.query("INSERT INTO events (at, kind, fields) VALUES (?, ?, ?)");
          const { lastInsertRowid } = put.run(now(), kind, JSON.stringify(fields));
          database.query("DELETE FROM events WHERE id <= ?").run(Number(lastInsertRowid) - eventsKept);
        })
        .immediate();
    },
  };
}

function resetAll(database: Database): void {
  database
    .transaction(() => {
      for (const table of ["bundles", "blobs", "mark", "check_results"]) database.run(`DELETE FROM ${table}`);
    })
    .immediate();
}
