import { expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openNodeStore } from "../../../daemon/node/store.ts";
import { silentLogger } from "../../../runtime/log.ts";
import { lacks } from "../../harness/requirements.ts";

const noRoot = await lacks("root");
const child = `${process.execPath} ${join(import.meta.dir, "open-store.ts")}`;

interface Found {
  readonly isPersistent?: boolean;
  readonly nodeId?: string;
  readonly version?: number;
  readonly error?: string;
  readonly lines: readonly string[];
}

/** Runs a shell line in a mount namespace of its own; `$D` is a state directory that was in use before. */
function openAfter(line: string): Found {
  const parent = mkdtempSync(join(tmpdir(), "aami-sick-"));
  // The folder itself must be open to the user of the permission test.
  chmodSync(parent, 0o755);
  const directory = join(parent, "lib");
  const store = openNodeStore({ directory, log: silentLogger, programVersion: "1.0.0", machine: { machineId: "m" } });
  store.identity.register({ nodeId: "n1", fleet: "f", serverUrl: "u", trustedKeys: [], registeredAt: 1 });
  const bundle = {
    epoch: 1,
    version: 5,
    hash: "h",
    bytes: new Uint8Array(9000),
    source: "server",
    etag: undefined,
    acceptedAt: 1,
  };
  const mark = { epoch: 1, version: 5, hash: "h", clockFloor: 1 };
  store.state.install({ bundle, blobs: new Map(), keepBlobs: new Set(), mark });
  store.close();
  const { stdout, stderr } = Bun.spawnSync(["unshare", "--mount", "sh", "-ec", line], {
    env: { ...process.env, D: directory },
  });
  rmSync(parent, { recursive: true });
  if (stdout.length === 0) throw new Error(stderr.toString());
  return JSON.parse(stdout.toString()) as Found;
}

const readOnly = "mount --bind $D $D; mount -o remount,ro,bind $D";
const full =
  "mkdir $D.small; mount -t tmpfs -o size=256k tmpfs $D.small; cp -a $D/. $D.small; dd if=/dev/zero of=$D.small/fill 2>/dev/null || true";

test.skipIf(noRoot)("a read-only disk: runs what it had from a copy in memory, and says so", () => {
  const { lines, ...found } = openAfter(`${readOnly}; ${child} $D`);
  expect(found).toEqual({ isPersistent: false, nodeId: "n1", version: 5 });
  expect(lines.join("")).toContain(
    "state directory cannot be written, running from a copy in memory until the next start",
  );
  expect(readdirSync("/run").filter((name) => name.startsWith("aami-state-"))).toEqual([]);
});

test.skipIf(noRoot)("a full disk: starts with what it had", () => {
  const found = openAfter(`${full}; ${child} $D.small`);
  expect(found).toMatchObject({ nodeId: "n1", version: 5 });
});

test.skipIf(noRoot)("a full disk at the very first start: the daemon comes up all the same", () => {
  const found = openAfter(
    `${full}; rm $D.small/state.db $D.small/identity.json; dd if=/dev/zero of=$D.small/fill2 2>/dev/null || true; ${child} $D.small`,
  );
  expect(found.error).toBeUndefined();
  expect(found.isPersistent).toBe(false);
});

test.skipIf(noRoot)("a directory of somebody else's is an error with its name, and nothing is moved", () => {
  const found = openAfter(`setpriv --reuid=65534 --clear-groups ${child} $D`);
  expect(found.error).toContain("/lib/state.db: ");
  expect(found.error).toMatch(/EACCES|EPERM/);
  expect(found.lines).toEqual([]);
});
