import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRoleToken, hashCredential } from "../protocol/bootstrap-token.ts";
import { createSigningKey, exportSigningKey, importSigningKey, KeyError, type SigningKey } from "../protocol/keys.ts";
import { ExitCode, ExitError } from "../runtime/exit.ts";
import type { Logger } from "../runtime/log.ts";
import type { Store } from "./store/store.ts";

/** Who this control server is. The private key is a file, never a row: a stolen database can sign nothing. */
export interface ServerIdentity {
  readonly fleet: string;
  /** Raised together with a key rotation to start versions anew. */
  readonly epoch: number;
  readonly signingKey: SigningKey;
}

export interface IdentityOptions {
  readonly store: Store;
  readonly dataDirectory: string;
  readonly log: Logger;
  readonly now: () => number;
}

/** Reads the identity, or makes it on the first start together with the first admin token. */
export async function openIdentity({ store, dataDirectory, log, now }: IdentityOptions): Promise<ServerIdentity> {
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  const known = await store.settings.get("fleet");
  const signingKey = readOrCreateKey(join(dataDirectory, "signing-key.pem"), known !== undefined);
  const fleet = known ?? `f-${Bun.randomUUIDv7()}`;
  const publicKey = { id: signingKey.id, public_key: signingKey.publicKey };
  await store.transaction(async (tx) => {
    if (known === undefined) {
      await tx.settings.set("fleet", fleet);
      await tx.settings.set("epoch", "1");
    }
    await tx.settings.addSigningKey(publicKey, now());
  });
  await createFirstAdminToken({ store, dataDirectory, log, now });
  const epoch = Number((await store.settings.get("epoch")) ?? "1");
  return { fleet, epoch, signingKey };
}

function readOrCreateKey(file: string, fleetExists: boolean): SigningKey {
  if (existsSync(file)) {
    try {
      return importSigningKey(readFileSync(file, "utf8"));
    } catch (error) {
      if (!(error instanceof KeyError)) throw error;
      throw new ExitError(ExitCode.badConfiguration, `${file}: ${error.message}`, { cause: error });
    }
  }
  if (fleetExists) {
    const message = `${file} is missing, but the database belongs to a fleet that trusts it: restore it from your backup`;
    throw new ExitError(ExitCode.badConfiguration, message);
  }
  const key = createSigningKey();
  writeSecret(file, exportSigningKey(key));
  return key;
}

// Written before the row exists: a token in the file that the server does not know is replaced at the next start,
// the other way round nobody would ever get in.
async function createFirstAdminToken({ store, dataDirectory, log, now }: IdentityOptions): Promise<void> {
  if ((await store.adminTokens.list()).length > 0) return;
  const file = join(dataDirectory, "admin.token");
  const token = createRoleToken("admin");
  writeSecret(file, `${token}\n`);
  await store.adminTokens.create({
    id: Bun.randomUUIDv7(),
    name: "first",
    role: "admin",
    hash: hashCredential(token),
    created_at: now(),
  });
  log.info("created the first admin token", { file });
}

function writeSecret(file: string, content: string): void {
  writeFileSync(file, content, { mode: 0o600 });
  chmodSync(file, 0o600); // the mode above counts only for a new file
}
