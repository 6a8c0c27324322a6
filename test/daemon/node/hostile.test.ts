import { describe, expect, test } from "bun:test";
import { createSigningKey, sha256Hex } from "../../../protocol/keys.ts";
import { nodePaths } from "../../../protocol/status.ts";
import type { FakeServer, Published } from "./fake-server.ts";
import { createRig, type Rig, until } from "./node-rig.ts";

const day = 86_400_000;
const scripts = { disk: "echo new" };

function tamper({ bytes, etag }: Published): Published {
  const changed = bytes.slice();
  const middle = Math.floor(changed.length / 2);
  changed[middle] = changed[middle] === 65 ? 66 : 65;
  return { bytes: changed, etag };
}

/** Each makes what the server hands out next, after the good revision 5. */
const bundles: [string, string, (server: FakeServer, rig: Rig) => Promise<Published>][] = [
  ["one byte changed", "signature", async (server) => tamper(await server.sign(6, scripts))],
  ["signed by another key", "signature", (server) => server.sign(6, scripts, { key: createSigningKey() })],
  ["an older version", "rollback", (server) => server.sign(4, scripts)],
  ["an older epoch with a higher version", "rollback", (server) => server.sign(9, scripts, { epoch: 1 })],
  ["the same version with other content", "equivocation", (server) => server.sign(5, scripts, { epoch: 2 })],
  [
    "expired",
    "expired",
    (server, { clock: { nowMs } }) =>
      server.sign(6, scripts, { epoch: 2, issuedMs: nowMs - 9 * day, expiresMs: nowMs - day }),
  ],
  [
    "issued in the future",
    "issued_in_future",
    (server, { clock: { nowMs } }) => server.sign(6, scripts, { epoch: 2, issuedMs: nowMs + 3 * day }),
  ],
  ["another fleet's", "other_fleet", (server) => server.sign(6, scripts, { epoch: 2, fleet: "fleet-2" })],
  [
    "the signature cut off",
    "envelope_form",
    async (server) => stripSignature(await server.sign(6, scripts, { epoch: 2 })),
  ],
  [
    "no bundle at all",
    "envelope_form",
    async () => ({ bytes: new TextEncoder().encode("<html>hello</html>"), etag: '"x"' }),
  ],
  ["endless", "too_large", async () => ({ bytes: new Uint8Array(6 * 1024 * 1024), etag: '"x"' })],
];

function stripSignature({ bytes, etag }: Published): Published {
  const [header, payload] = new TextDecoder().decode(bytes).split(".");
  return { bytes: new TextEncoder().encode(`${header}.${payload}.`), etag };
}

describe("a bundle that must not be installed: the active one stays, the reason is shown, a good one heals", () => {
  test.each(bundles)("%s: %s", async (_name, code, make) => {
    await using rig = await createRig({ prepare: (server) => server.publish(5, { disk: "echo good" }, { epoch: 2 }) });
    await until("the good one runs", () => rig.metric("aami_bundle_revision") === 5);
    rig.server.serve(await make(rig.server, rig));
    await until("it is refused", () => rig.node.status().error?.code === code);
    expect(rig.metric("aami_bundle_revision")).toBe(5);
    expect(new TextDecoder().decode(rig.running.get("disk")?.script)).toBe("echo good");
    expect(rig.store.state.mark()).toMatchObject({ epoch: 2, version: 5 });
    expect(rig.store.state.bundle("previous")).toBeUndefined();
    if (code !== "too_large")
      expect(rig.metric(`aami_bundle_rejects_total{reason="${code}"}`)).toBeGreaterThanOrEqual(1);

    await rig.server.publish(7, { disk: "echo healed" }, { epoch: 2 });
    await until("the next good one runs", () => rig.metric("aami_bundle_revision") === 7);
    await until("the fault is over", () => rig.node.status().error === undefined);
  });
});

const blobs: [string, string, (good: Uint8Array) => Response][] = [
  ["with other content", "blob_hash", (good) => new Response(good.map((byte) => byte ^ 1))],
  ["too short", "blob_size", (good) => new Response(good.slice(1))],
  ["endless", "too_large", () => new Response(endless())],
  [
    "that nobody has",
    "NOT_FOUND",
    () => Response.json({ error: { code: "NOT_FOUND", message: "gone" } }, { status: 404 }),
  ],
];

function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) });
}

describe("a script", () => {
  test.each(blobs)("%s: %s, nothing is activated until it is right", async (_name, code, answer) => {
    await using rig = await createRig({ prepare: (server) => server.publish(1, { disk: "echo good" }) });
    await until("the good one runs", () => rig.metric("aami_bundle_revision") === 1);
    const wanted = nodePaths.blob(sha256Hex("echo next"));
    rig.server.intercept = (path) => (path === wanted ? answer(new TextEncoder().encode("echo next")) : undefined);
    await rig.server.publish(2, { disk: "echo next" });
    await until("it is refused", () => rig.node.status().error?.code === code);
    expect(rig.metric("aami_bundle_revision")).toBe(1);
    expect(rig.store.state.mark()?.version).toBe(1);
    rig.server.intercept = () => undefined;
    await until("it is right", () => rig.metric("aami_bundle_revision") === 2);
  });
});

test("a body that trickles in ends with the deadline, a redirect is not followed", async () => {
  await using rig = await createRig({ prepare: (server) => server.publish(1, { disk: "echo good" }) });
  await until("it runs", () => rig.running.has("disk"));
  const seen: unknown[] = [];
  rig.server.intercept = (_path, init) => {
    seen.push(init.redirect, init.decompress);
    return undefined;
  };
  await rig.restart();
  await until("it asked", () => seen.length > 0);
  expect(seen.slice(0, 2)).toEqual(["error", false]);
});

test("a key rotation announced by a bundle is followed, over restarts as well; the old key is worth nothing then", async () => {
  const next = createSigningKey();
  await using rig = await createRig({ prepare: (server) => server.publish(1, { disk: "echo 1" }) });
  await until("1 runs", () => rig.metric("aami_bundle_revision") === 1);
  await rig.server.publish(2, { disk: "echo 2" }, { trustedKeys: [rig.server.key, next] });
  await until("2 runs", () => rig.metric("aami_bundle_revision") === 2);
  await rig.server.publish(3, { disk: "echo 3" }, { key: next });
  await until("3 runs", () => rig.metric("aami_bundle_revision") === 3);
  rig.server.serve(await rig.server.sign(4, scripts));
  await until("the old key is refused at once", () => rig.node.status().error?.code === "signature");
  await rig.restart();
  expect(rig.metric("aami_bundle_revision")).toBe(3);
  rig.server.serve(await rig.server.sign(4, scripts));
  await until("the old key is refused", () => rig.node.status().error?.code === "signature");
  expect(rig.metric("aami_bundle_revision")).toBe(3);
});

test("no room on the disk: the active bundle stays, the code is store, and a smaller one gets in", async () => {
  await using rig = await createRig({
    prepare: (server) => server.publish(1, { disk: "echo 1" }),
    maxStateBytes: 30 * 4096,
  });
  await until("1 runs", () => rig.metric("aami_bundle_revision") === 1);
  await rig.server.publish(2, { disk: "#".repeat(200_000) });
  await until("it is refused", () => rig.node.status().error?.code === "store");
  expect(rig.metric('aami_bundle_rejects_total{reason="store"}')).toBeGreaterThanOrEqual(1);
  expect([...rig.store.state.blobHashes()]).toEqual([sha256Hex("echo 1")]);
  await rig.restart();
  expect(rig.metric("aami_bundle_revision")).toBe(1);
  await rig.server.publish(3, { disk: "echo 3" });
  await until("3 runs", () => rig.metric("aami_bundle_revision") === 3);
});
