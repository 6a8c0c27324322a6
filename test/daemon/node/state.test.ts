import { Database } from "bun:sqlite";
import { afterEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Installation, type NodeState, openState } from "../../../daemon/node/state.ts";
import { sha256Hex } from "../../../protocol/keys.ts";
import { ExitError } from "../../../runtime/exit.ts";
import { createLogger } from "../../../runtime/log.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true, force: true })));

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "aami-state-"));
  folders.push(made);
  return join(made, "lib");
}

function open(directory: string, lines: string[] = []): NodeState {
  const log = createLogger({ write: (line) => lines.push(line) });
  return openState({ directory, log, programVersion: "1.2.3", now: () => Date.UTC(2026, 10, 21) });
}

function bundleOf(version: number, script: string, extra: Partial<Installation> = {}): Installation {
  const hash = sha256Hex(script);
  return {
    bundle: {
      epoch: 1,
      version,
      hash: `hash-${version}`,
      bytes: new TextEncoder().encode(`bytes of ${version}`),
      source: "server",
      etag: undefined,
      acceptedAt: version * 1000,
    },
    blobs: new Map([[hash, new TextEncoder().encode(script)]]),
    keepBlobs: new Set([hash]),
    mark: { epoch: 1, version, hash: `hash-${version}`, clockFloor: version },
    ...extra,
  };
}

function failure(action: () => unknown): ExitError {
  try {
    action();
  } catch (error) {
    if (error instanceof ExitError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("open", () => {
  test("directory and every file are private", () => {
    const directory = folder();
    withState(open(directory), (state) => {
      state.recordEvent("started", {});
      expect(statSync(directory).mode & 0o777).toBe(0o700);
      for (const name of readdirSync(directory))
        expect([name, statSync(join(directory, name)).mode & 0o777]).toEqual([name, 0o600]);
      expect(readdirSync(directory)).toContain("state.db-wal");
    });
  });

  test("modes that were widened are corrected", () => {
    const directory = folder();
    open(directory).close();
    chmodSync(directory, 0o755);
    chmodSync(join(directory, "state.db"), 0o644);
    open(directory).close();
    expect([statSync(directory).mode & 0o777, statSync(join(directory, "state.db")).mode & 0o777]).toEqual([
      0o700, 0o600,
    ]);
  });

  test("a folder of others is refused and keeps its mode", () => {
    const directory = folder();
    mkdirSync(directory);
    writeFileSync(join(directory, "passwd"), "");
    chmodSync(directory, 0o1777);
    const { exitCode, message } = failure(() => open(directory));
    expect(exitCode).toBe(78);
    expect(message).toBe(
      `state_directory ${directory} holds other files and others may enter it (mode 1777): ` +
        "name a folder that only the daemon uses",
    );
    expect(statSync(directory).mode & 0o7777).toBe(0o1777);
    expect(readdirSync(directory)).toEqual(["passwd"]);
  });

  test("an empty folder that a service manager made is taken and made private", () => {
    const directory = folder();
    mkdirSync(directory, { mode: 0o755 });
    open(directory).close();
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  test("a database from a newer version is refused and left alone", () => {
    const directory = folder();
    open(directory).close();
    const path = join(directory, "state.db");
    const database = new Database(path);
    database.run("PRAGMA user_version = 7");
    database.run("UPDATE meta SET value = '9.9.9'");
    database.close();
    const { exitCode, message } = failure(() => open(directory));
    expect(exitCode).toBe(78);
    expect(message).toContain(`${path} was written by aami 9.9.9 (schema 7); this is aami 1.2.3 (schema 2)`);
    expect(message).not.toContain("\n");
    expect(readdirSync(directory).filter((name) => name.includes("damaged"))).toEqual([]);
  });

  const damages: [string, (path: string) => void][] = [
    ["overwritten with garbage", (path) => writeFileSync(path, "garbage ".repeat(2000))],
    ["cut off in the middle", (path) => truncateSync(path, statSync(path).size / 2)],
    ["a page of zeros inside", (path) => zeroPage(path, 2)],
    ["a database of another program", (path) => foreignDatabase(path)],
  ];
  test.each(damages)("damaged (%s): kept under another name, started empty", (_name, damage) => {
    const directory = folder();
    const path = join(directory, "state.db");
    withState(open(directory), (state) => state.install(bundleOf(1, "echo 1".repeat(3000))));
    damage(path);
    const lines: string[] = [];
    withState(open(directory, lines), (state) => {
      expect(state.bundle("active")).toBeUndefined();
      expect(JSON.parse(lines.join(""))).toMatchObject({
        level: "error",
        msg: "state database is damaged, starting with an empty one",
        path,
        kept_at: `${path}.damaged-20261121T000000Z`,
      });
      expect(existsSync(`${path}.damaged-20261121T000000Z`)).toBe(true);
    });
  });

  test("an empty file is a new database", () => {
    const directory = folder();
    mkdirSync(directory);
    writeFileSync(join(directory, "state.db"), "");
    const lines: string[] = [];
    open(directory, lines).close();
    expect(lines).toEqual([]);
  });

  test("something that cannot be opened as a file is an error, not damage", () => {
    const directory = folder();
    mkdirSync(join(directory, "state.db"), { recursive: true });
    const { exitCode, message } = failure(() => open(directory));
    expect(exitCode).toBe(1);
    expect(message).toStartWith(`cannot open the state database ${directory}/state.db: `);
    expect(readdirSync(directory)).toEqual(["state.db"]);
  });

  test("a second daemon on the same directory is told so", () => {
    const directory = folder();
    withState(open(directory), () => {
      expect(failure(() => open(directory)).message).toContain("is in use by another aami process");
    });
  });
});

describe("bundles", () => {
  test("survive a restart byte for byte; the previous one and its scripts are kept, older ones go", () => {
    const directory = folder();
    withState(open(directory), (state) => {
      for (const version of [1, 2, 3]) {
        const keepBlobs = new Set([sha256Hex(`echo ${version}`), sha256Hex(`echo ${version - 1}`)]);
        state.install(bundleOf(version, `echo ${version}`, { keepBlobs }));
      }
      state.rememberEtag('"1.3"');
    });
    withState(open(directory), (state) => {
      expect(state.bundle("active")).toEqual({ ...bundleOf(3, "").bundle, etag: '"1.3"' });
      expect(state.bundle("previous")).toEqual(bundleOf(2, "").bundle);
      expect(state.mark()).toEqual({ epoch: 1, version: 3, hash: "hash-3", clockFloor: 3 });
      expect(state.blobHashes()).toEqual(new Set([sha256Hex("echo 2"), sha256Hex("echo 3")]));
      expect(new TextDecoder().decode(state.blob(sha256Hex("echo 3")))).toBe("echo 3");
    });
  });

  test("a full disk leaves what was there, and space again lets the next one in", () => {
    const directory = folder();
    open(directory).close();
    const path = join(directory, "state.db");
    withState(open(directory), (state) => state.install(bundleOf(1, "small")));
    // SQLite's own page limit fails exactly as a full file system does: SQLITE_FULL in the middle of the transaction.
    const large = "x".repeat(400_000);
    withState(openLimited(directory), (state) => {
      expect(() => state.install(bundleOf(2, large))).toThrow("database or disk is full");
      expect(state.bundle("active")).toEqual(bundleOf(1, "").bundle);
      expect(state.mark()?.version).toBe(1);
      expect(state.blobHashes()).toEqual(new Set([sha256Hex("small")]));
      state.saveResults([{ checkKey: "a", finishedAt: 1, result: "{}" }], []);
    });
    expect(existsSync(path)).toBe(true);
    withState(open(directory), (state) => {
      state.install(bundleOf(2, large));
      expect(state.bundle("active")?.version).toBe(2);
    });
  });
});

test("results of removed checks go, the others stay over a restart", () => {
  const directory = folder();
  withState(open(directory), (state) => {
    state.saveResults(
      ["a", "b"].map((checkKey) => ({ checkKey, finishedAt: 5, result: `{"of":"${checkKey}"}` })),
      [],
    );
    state.saveResults([{ checkKey: "b", finishedAt: 6, result: "{}" }], ["a"]);
  });
  withState(open(directory), (state) =>
    expect(state.results()).toEqual([{ checkKey: "b", finishedAt: 6, result: "{}" }]),
  );
});

test("events are kept newest first, and only so many", () => {
  withState(open(folder()), (state) => {
    for (let n = 1; n <= 250; n++) state.recordEvent("activated", { n });
    const events = state.events(1000);
    expect(events).toHaveLength(200);
    expect(events[0]).toEqual({ at: Date.UTC(2026, 10, 21), kind: "activated", fields: { n: 250 } });
  });
});

function withState(state: NodeState, work: (state: NodeState) => void): void {
  try {
    work(state);
  } finally {
    state.close();
  }
}

function openLimited(directory: string): NodeState {
  return openState({
    directory,
    log: createLogger({ write: () => {} }),
    programVersion: "1.2.3",
    maxBytes: 20 * 4096,
  });
}

function zeroPage(path: string, page: number): void {
  const bytes = readFileSync(path);
  bytes.fill(0, (page - 1) * 4096, page * 4096);
  writeFileSync(path, bytes);
}

function foreignDatabase(path: string): void {
  rmSync(path);
  const database = new Database(path);
  database.run("CREATE TABLE theirs (a INTEGER)");
  database.close();
}
