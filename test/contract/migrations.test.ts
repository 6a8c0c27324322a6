import { SQL } from "bun";
import { expect, test } from "bun:test";
import { sha256Hex } from "../../protocol/keys.ts";
import type { Policy } from "../../server/store/policies.ts";
import { engines } from "./stores.ts";

const policy = (name: string, overrides: Partial<Policy> = {}): Policy => ({
  id: Bun.randomUUIDv7(),
  name,
  script_type: "x",
  script_content: "echo 1\n",
  language: "bash",
  version: "1",
  hash: sha256Hex("echo 1\n"),
  default_config: {},
  description: "",
  interval_seconds: 60,
  timeout_seconds: 30,
  permissions: {},
  config: {},
  scope: "global",
  priority: 100,
  is_active: true,
  created_at: 1,
  updated_at: 1,
  ...overrides,
});

test.each(engines)("$name: of policies that tie in a database of version 1 the oldest goes on", async (engine) => {
  const { store, url, reopen, discard } = await engine.open();
  const tied = [policy("tied"), policy("tied"), policy("tied")];
  const others = [policy("other"), policy("tied", { priority: 50 })];
  for (const made of [...tied.map((one) => ({ ...one, is_active: false })), ...others])
    await store.policies.create(made);
  await store.close();

  const sql = new SQL(url);
  await sql.unsafe("DROP INDEX script_policies_tie");
  await sql.unsafe("UPDATE script_policies SET is_active = 1");
  await sql.unsafe("DELETE FROM schema_version WHERE version > 1");
  await sql.unsafe("INSERT INTO schema_version (version) VALUES (1)");
  await sql.close();

  const migrated = await reopen();
  const active = (await migrated.policies.activeFor([])).map(({ id }) => id);
  expect(active.toSorted()).toEqual([tied[0]?.id ?? "", ...others.map(({ id }) => id)].toSorted());
  await migrated.close();
  await discard();
});
