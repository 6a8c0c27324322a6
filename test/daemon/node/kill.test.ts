import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { openIdentity } from "../../../daemon/node/identity.ts";
import { type NodeState, openState } from "../../../daemon/node/state.ts";
import { sha256Hex } from "../../../protocol/keys.ts";
import { createLogger } from "../../../runtime/log.ts";

const kills = 200;
const writer = join(import.meta.dir, "state-writer.ts");

test(`${kills} SIGKILLs of a process that writes: it always starts again, from the old state or the new one`, async () => {
  const directory = join(mkdtempSync(join(tmpdir(), "aami-kill-")), "lib");
  const lines: string[] = [];
  const log = createLogger({ write: (line) => lines.push(line) });
  let publicKey: string | undefined;
  let lastVersion = 0;
  for (let kill = 0; kill < kills; kill++) {
    const child = Bun.spawn([process.execPath, writer, directory], { stdout: "pipe", stderr: "pipe" });
    // Every other one in the middle of the writing, the rest at any moment of the start.
    if (kill % 2 === 0) await child.stdout.getReader().read();
    await Bun.sleep(Math.random() * (kill % 2 === 0 ? 20 : 120));
    child.kill("SIGKILL");
    const complaint = await new Response(child.stderr).text();
    await child.exited;
    expect(complaint).toBe("");

    const state = openState({ directory, log, programVersion: "1.0.0" });
    const identity = openIdentity({ directory, machine: { machineId: "m" }, log });
    lastVersion = expectWhole(state, lastVersion);
    publicKey ??= identity.key.publicKey;
    expect(identity.key.publicKey).toBe(publicKey);
    state.close();
  }
  expect(lastVersion).toBeGreaterThanOrEqual(kills / 2);
  expect(lines).toEqual([]);
  expect(readdirSync(directory).filter((name) => name.includes("damaged"))).toEqual([]);
  rmSync(dirname(directory), { recursive: true });
}, 180_000); // Every kill costs a start of the runtime; the rest is reserve for a busy machine.

function expectWhole(state: NodeState, atLeast: number): number {
  const mark = state.mark();
  const active = state.bundle("active");
  expect(active?.version).toBe(mark?.version);
  if (!active || !mark) return atLeast;
  expect(mark.version).toBeGreaterThanOrEqual(atLeast);
  for (const bundle of [active, state.bundle("previous")]) {
    if (bundle) expect(sha256Hex(state.blob(bundle.hash) ?? "")).toBe(bundle.hash);
  }
  expect(state.blobHashes().size).toBeLessThanOrEqual(2);
  return mark.version;
}
