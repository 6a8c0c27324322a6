/**
 * One entry per schema version, oldest first; `PRAGMA user_version` holds how many were applied. An entry that was
 * released is never edited: nodes skip versions when they upgrade.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE bundles (
    slot        TEXT PRIMARY KEY CHECK (slot IN ('active', 'previous')),
    epoch       INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    hash        TEXT NOT NULL,
    bytes       BLOB NOT NULL,
    source      TEXT NOT NULL,
    etag        TEXT,
    accepted_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE blobs (hash TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
  CREATE TABLE mark (
    only        INTEGER PRIMARY KEY CHECK (only = 1),
    epoch       INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    hash        TEXT NOT NULL,
    clock_floor INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE check_results (check_key TEXT PRIMARY KEY, finished_at INTEGER NOT NULL, result TEXT NOT NULL) STRICT;
  CREATE TABLE events (
    id     INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    kind   TEXT NOT NULL,
    fields TEXT NOT NULL
  ) STRICT;
  `,
  `
  CREATE TABLE hardware_events (
    id    INTEGER PRIMARY KEY,
    key   TEXT NOT NULL UNIQUE,
    event TEXT NOT NULL
  ) STRICT;
  CREATE TABLE collector_texts (name TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
  `,
];
