import { expect, test } from "bun:test";
import { decodeJwt } from "jose";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSigningKey } from "../../protocol/keys.ts";
import { createLogger } from "../../runtime/log.ts";
import { createBundles } from "../../server/bundles.ts";
import { createScript } from "../../server/domain/script.ts";
import { openStore, type Store } from "../../server/store/store.ts";

test("older content never gets the higher version, however late its issuer comes", async () => {
  const folder = mkdtempSync(join(tmpdir(), "aami-bundles-"));
  const store = await openStore(`sqlite://${join(folder, "server.db")}`);
  try {
    const key = createSigningKey();
    await store.settings.addSigningKey({ id: key.id, public_key: key.publicKey }, 1);
    const identity = { fleet: "f", epoch: 1, signingKey: key };
    const common = { identity, log: createLogger({ level: "error" }), now: Date.now };
    const hasRead = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    // Has read the policies, and is held up before it takes a version.
    const slow: Store = {
      ...store,
      settings: {
        ...store.settings,
        signingKeys: async () => {
          hasRead.resolve();
          await goOn.promise;
          return store.settings.signingKeys();
        },
      },
    };
    const late = createBundles({ ...common, store: slow, revisions: { current: () => 1 } }).forGroups([]);
    await hasRead.promise;
    const script = createScript({ name: "disk", script_type: "mount", script_content: "echo 1", language: "bash" });
    const policy = { id: Bun.randomUUIDv7(), scope: "global" as const, config: {}, priority: 1, is_active: true };
    await store.policies.create({ ...script, ...policy, created_at: 1, updated_at: 1 });
    const early = await createBundles({ ...common, store, revisions: { current: () => 2 } }).forGroups([]);
    goOn.resolve();
    const namesOf = (bytes: Uint8Array) =>
      (decodeJwt(Buffer.from(bytes).toString())["checks"] as { name: string }[]).map(({ name }) => name);
    expect(namesOf(early.bytes)).toEqual(["disk"]);
    const { version, bytes } = await late;
    expect([version >= early.version, namesOf(bytes)]).toEqual([true, ["disk"]]);
  } finally {
    await store.close();
    rmSync(folder, { recursive: true });
  }
});
