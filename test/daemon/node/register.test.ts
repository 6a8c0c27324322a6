import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createBootstrapToken } from "../../../protocol/bootstrap-token.ts";
import { createSigningKey } from "../../../protocol/keys.ts";
import { nodePaths } from "../../../protocol/status.ts";
import { refuse } from "./fake-server.ts";
import { createRig, type Rig, type RigOptions, until } from "./node-rig.ts";

const good: RigOptions["prepare"] = (server) => server.publish(1, { disk: "echo 1" });

const attempts = (rig: Rig) => rig.server.requests.filter(({ path }) => path === nodePaths.register).length;

const refusals: [string, string, string, RigOptions, (rig: Rig) => void][] = [
  ["no token file", "TOKEN_MISSING", "create one on the control server and write it to", { token: null }, () => {}],
  ["a token that is cut off", "TOKEN_MALFORMED", "cut off or mistyped", { token: "aami_bootstrap_abc" }, () => {}],
  [
    "a chosen token without a fingerprint",
    "FINGERPRINT_MISSING",
    "set server.signing_key_fingerprint",
    { token: "a-token-chosen-by-hand" },
    () => {},
  ],
  [
    "a token of another server than the configured one",
    "FINGERPRINT_MISMATCH",
    "another signing key",
    { config: { signing_key_fingerprint: createSigningKey().id } },
    () => {},
  ],
  [
    "a token the server does not know",
    "INVALID_TOKEN",
    "create a new bootstrap token",
    { token: createBootstrapToken(createSigningKey().id).token },
    () => {},
  ],
];

describe("a registration that cannot succeed says what to do, waits, and takes a good token within seconds", () => {
  test.each(refusals)("%s: %s", async (_name, code, remedy, options) => {
    await using rig = await createRig({ prepare: good, ...options });
    await until("the reason is shown", () => rig.node.status().error?.code === code);
    expect(rig.node.status().error?.message).toContain(remedy);
    expect(rig.metric("aami_registered")).toBe(0);
    expect(rig.metric(`aami_registration_failures_total{code="${code}"}`)).toBeGreaterThanOrEqual(1);
    const warnings = rig.lines.filter(({ level, msg }) => level === "warn" && msg === "registration failed");
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ code });
    if (options.config) return;
    writeFileSync(rig.tokenFile, rig.server.token, { mode: 0o600 });
    await until("it is registered", () => rig.metric("aami_registered") === 1);
  });

  test("a token file that others can read is not used before its mode is right", async () => {
    await using rig = await createRig({ token: null, prepare: good });
    writeFileSync(rig.tokenFile, rig.server.token);
    chmodSync(rig.tokenFile, 0o644);
    await until("it is refused", () => rig.node.status().error?.code === "TOKEN_FILE_MODE");
    expect(rig.node.status().error?.message).toContain(`chmod 600 ${rig.tokenFile}`);
    expect(attempts(rig)).toBe(0);
    chmodSync(rig.tokenFile, 0o600);
    await until("it is registered", () => rig.metric("aami_registered") === 1);
  });
});

test("a server that answers with another key is not believed, and the token is kept", async () => {
  await using rig = await createRig({
    prepare: async (server) => {
      server.key = createSigningKey();
    },
  });
  await until("it is refused", () => rig.node.status().error?.code === "signature");
  expect(rig.node.status().error?.message).toContain("did not prove that it is the server the token is for");
  expect(rig.store.identity.registration).toBeUndefined();
  expect(existsSync(rig.tokenFile)).toBe(true);
});

test("permanent refusals are asked about ever more seldom, up to a quarter of an hour", async () => {
  await using rig = await createRig({ prepare: good, token: createBootstrapToken(createSigningKey().id).token });
  await until("several attempts", () => attempts(rig) >= 6);
  const waits = rig.lines.filter(({ msg }) => msg === "registration failed").map(({ retry_seconds }) => retry_seconds);
  expect(waits.slice(0, 6)).toEqual([45, 75, 135, 255, 465, 465]);
});

test("a server that is not up yet is retried with jitter, obeying Retry-After", async () => {
  const answers: (() => Response)[] = [
    () => {
      throw new Error("connection refused");
    },
    () => new Response("starting", { status: 502 }),
    () => refuse(503, "STARTING", "starting", { "retry-after": "20" }),
  ];
  await using rig = await createRig({
    prepare: async (server) => {
      await server.publish(1, { disk: "echo 1" });
      server.intercept = (path) => (path === nodePaths.register ? answers.shift()?.() : undefined);
    },
  });
  await until("it is registered", () => rig.running.has("disk"));
  const failures = rig.lines.filter(({ msg }) => msg === "registration failed");
  expect(failures.map(({ code, retry_seconds }) => [code, retry_seconds])).toEqual([
    ["unreachable", 2],
    ["HTTP_502", 3],
    ["STARTING", 22],
  ]);
});

test("an answer that was lost costs nothing: the same node, registered once", async () => {
  let lost = 0;
  await using rig = await createRig({
    prepare: async (server) => {
      await server.publish(1, { disk: "echo 1" });
      const { fetch } = server;
      server.intercept = async (path, init) => {
        if (path !== nodePaths.register || lost > 0) return undefined;
        lost += 1;
        await fetch(`https://server.test${path}`, init);
        throw new Error("connection reset");
      };
    },
  });
  await until("it is registered", () => rig.running.has("disk"));
  expect([lost, rig.server.nodes.size]).toEqual([1, 1]);
});

test.each([
  ["an hour behind", 3_600_000],
  ["an hour ahead", -3_600_000],
])("a clock %s: one retry with the server's time, said in the log and as a metric", async (_name, serverAheadMs) => {
  await using rig = await createRig({ prepare: good, serverAheadMs });
  await until("it runs", () => rig.running.has("disk"));
  expect(attempts(rig)).toBe(2);
  expect(rig.metric("aami_clock_skew_seconds")).toBeCloseTo(serverAheadMs / 1000, -1);
  const said = rig.lines.filter(({ msg }) => msg === "clock differs from the control server's, check the time service");
  expect(said).toHaveLength(1);
  rig.clock.serverAheadMs = 0;
  await rig.restart();
  await until("it is over", () => Math.abs(rig.metric("aami_clock_skew_seconds") ?? 99) < 2);
});

test("a token that cannot be deleted is named in the log", async () => {
  await using rig = await createRig({ token: null, prepare: good });
  writeFileSync(rig.tokenFile, rig.server.token, { mode: 0o600 });
  // A folder takes the file's place while the server answers: deleting it fails for root as well.
  rig.server.intercept = (path) => {
    if (path === nodePaths.register) {
      rmSync(rig.tokenFile);
      mkdirSync(rig.tokenFile, { recursive: true });
      writeFileSync(`${rig.tokenFile}/x`, "");
    }
    return undefined;
  };
  await until("it is registered", () => rig.metric("aami_registered") === 1);
  expect(
    rig.lines.find(({ level, msg }) => level === "warn" && String(msg).includes("delete it yourself")),
  ).toMatchObject({
    path: rig.tokenFile,
  });
});
