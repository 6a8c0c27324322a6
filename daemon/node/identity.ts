import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { chmodSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import {
  createSigningKey,
  exportSigningKey,
  importSigningKey,
  KeyError,
  type SigningKey,
} from "../../protocol/keys.ts";
import { ExitCode, ExitError } from "../../runtime/exit.ts";
import type { Logger } from "../../runtime/log.ts";
import { differingIds, type MachineIds } from "./machine.ts";
import { isOpenToOthers, readFileIfPresent, writePrivateFile } from "./private-file.ts";

/** What the node was told when it registered; all that later requests and the first verification need. */
export const Registration = t.Object({
  nodeId: t.String(),
  fleet: t.String(),
  /** The server that knows this node, as configured at the time. */
  serverUrl: t.String(),
  trustedKeys: t.Array(t.Object({ id: t.String(), public_key: t.String() })),
  registeredAt: t.Number(),
});
export type Registration = Static<typeof Registration>;

const IdentityFile = t.Object({
  privateKey: t.String(),
  machine: t.Object({
    machineId: t.Optional(t.String()),
    instanceId: t.Optional(t.String()),
    virtualMachineUuid: t.Optional(t.String()),
  }),
  registration: t.Optional(Registration),
});
type IdentityFile = Static<typeof IdentityFile>;

/**
 * The node's key pair and registration. It lives in a file of its own beside the database: a damaged database then costs
 * a download, not a new bootstrap token.
 */
export interface Identity {
  readonly key: SigningKey;
  readonly registration: Registration | undefined;
  /** The key was made for another machine and has been replaced: what was measured there is not ours. */
  readonly isClone: boolean;
  register(registration: Registration): void;
  /** After a key rotation that the active bundle announced. */
  trust(trustedKeys: Registration["trustedKeys"]): void;
}

export interface OpenIdentityOptions {
  readonly directory: string;
  readonly machine: MachineIds;
  readonly log: Logger;
  readonly now?: () => number;
}

/** Reads `identity.json`, or makes a key pair; the private key is on disk before anything refers to it. */
export function openIdentity({ directory, machine, log, now = Date.now }: OpenIdentityOptions): Identity {
  const path = join(directory, "identity.json");
  const stored = readIdentity(path, log, now);
  const changed = stored ? differingIds(stored.file.machine, machine) : [];
  if (changed.length > 0) {
    log.warn("state was copied from another machine, making a new key and registering again", { path, changed });
  }
  const known = changed.length > 0 ? undefined : stored;
  const key = known?.key ?? createSigningKey();
  let file: IdentityFile = {
    ...(known?.file ?? { privateKey: exportSigningKey(key) }),
    // Ids that were unknown when the key was made (cloud-init still running) are kept as soon as they are known.
    machine: { ...known?.file.machine, ...machine },
  };
  const save = (next: IdentityFile) => {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writePrivateFile(path, `${JSON.stringify(next, null, 2)}\n`);
    file = next;
  };
  if (!known || JSON.stringify(known.file) !== JSON.stringify(file)) orFail(path, () => save(file));
  return {
    key,
    get registration() {
      return file.registration;
    },
    isClone: changed.length > 0,
    register: (registration) => save({ ...file, registration }),
    trust: (trustedKeys) => {
      if (!file.registration || JSON.stringify(file.registration.trustedKeys) === JSON.stringify(trustedKeys)) return;
      save({ ...file, registration: { ...file.registration, trustedKeys: [...trustedKeys] } });
    },
  };
}

function readIdentity(
  path: string,
  log: Logger,
  now: () => number,
): { file: IdentityFile; key: SigningKey } | undefined {
  const text = readPrivate(path, log);
  if (text === undefined) return undefined;
  try {
    return parseIdentity(text);
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof KeyError)) throw error;
    const keptAt = `${path}.damaged-${now()}`;
    renameSync(path, keptAt);
    log.error("identity file is damaged, making a new key and registering again", { path, kept_at: keptAt, error });
    return undefined;
  }
}

function parseIdentity(text: string): { file: IdentityFile; key: SigningKey } {
  const file: unknown = JSON.parse(text);
  if (!Value.Check(IdentityFile, file)) throw new SyntaxError("not an identity file");
  return { file, key: importSigningKey(file.privateKey) };
}

function readPrivate(path: string, log: Logger): string | undefined {
  try {
    const text = readFileIfPresent(path);
    if (text !== undefined && isOpenToOthers(path)) {
      chmodSync(path, 0o600);
      log.warn("identity file was readable by others, corrected its mode", { path });
    }
    return text;
  } catch (error) {
    throw new ExitError(ExitCode.failure, `cannot read the node's identity ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function orFail(path: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    throw new ExitError(ExitCode.failure, `cannot write the node's identity ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
