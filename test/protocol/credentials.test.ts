import { describe, expect, test } from "bun:test";
import {
  createBootstrapToken,
  equalHashes,
  hashCredential,
  parseBootstrapToken,
} from "../../protocol/bootstrap-token.ts";
import { createSigningKey, exportSigningKey, importSigningKey } from "../../protocol/keys.ts";
import {
  CredentialError,
  signNodeRequest,
  signRegistrationProof,
  verifyNodeRequest,
  verifyRegistrationProof,
} from "../../protocol/proof.ts";
import { openRegistration } from "../../protocol/registration.ts";
import { createReplayMemory } from "../../protocol/replay-memory.ts";
import { signDocument } from "../../protocol/signed-document.ts";

const nowMs = Date.parse("2026-11-20T12:00:00Z");
const server = createSigningKey();
const node = createSigningKey();
const other = createSigningKey();
const request = { method: "POST", path: "/api/v1/nodes/self/status?x=1", body: '{"a":1}' };
const sign = (overrides = {}) =>
  signNodeRequest({ ...request, nodeId: "n-1", audience: "f-1", key: node, nowMs, ...overrides });
const verify = (token: string, seen = request, now = nowMs, replay = createReplayMemory({ now: () => nowMs })) =>
  verifyNodeRequest(token, seen, {
    audience: "f-1",
    nowMs: now,
    replay,
    publicKeyOf: async (id) => (id === "n-1" ? node.publicKey : undefined),
  });
const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return "accepted";
  } catch (error) {
    if (error instanceof CredentialError) return error.code;
    throw error;
  }
};

describe("bootstrap tokens", () => {
  test("carry id, secret and the server's fingerprint", () => {
    const { id, credential, token } = createBootstrapToken(server.id);
    expect(parseBootstrapToken(token)).toEqual({ id, credential, serverFingerprint: server.id });
    expect(parseBootstrapToken(credential)).toEqual({ id, credential, serverFingerprint: undefined });
    expect(equalHashes(hashCredential(credential), hashCredential(credential))).toBeTrue();
    expect(equalHashes(hashCredential(credential), hashCredential(`${credential} `))).toBeFalse();
    expect(equalHashes("", "")).toBeFalse();
  });

  test("a token chosen by the admin has no fingerprint", () => {
    expect(parseBootstrapToken("my-secure-bootstrap-token-12345")).toEqual({
      id: undefined,
      credential: "my-secure-bootstrap-token-12345",
      serverFingerprint: undefined,
    });
  });

  const generated = createBootstrapToken(server.id).token;
  test.each([
    ["cut off", generated.slice(0, -1)],
    ["doubled", generated + generated],
    ["short", "secret"],
    ["with a space", "my secure bootstrap token"],
    ["with a newline", "my-secure-bootstrap-token\n"],
    ["empty", ""],
    ["huge", "x".repeat(257)],
  ])("%s is refused without being repeated", (_name, text) => {
    const attempt = () => parseBootstrapToken(text);
    expect(attempt).toThrow(expect.objectContaining({ code: "VALIDATION_ERROR" }));
    if (text.length > 0)
      expect(attempt).toThrow(expect.objectContaining({ message: expect.not.stringContaining(text) }));
  });
});

describe("node requests", () => {
  test("a proof is accepted once", async () => {
    const replay = createReplayMemory({ now: () => nowMs });
    const token = await sign();
    expect(await verify(token, request, nowMs, replay)).toEqual({ nodeId: "n-1" });
    expect(await codeOf(verify(token, request, nowMs, replay))).toBe("REPLAYED");
  });

  test.each([
    ["another method", { ...request, method: "GET" }],
    ["another path", { ...request, path: "/api/v1/nodes/self/bundle" }],
    ["another query", { ...request, path: "/api/v1/nodes/self/status?x=2" }],
    ["another body", { ...request, body: '{"a":2}' }],
  ])("is bound to the request: %s", async (_name, seen) => {
    expect(await codeOf(verify(await sign(), seen))).toBe("INVALID_CREDENTIAL");
  });

  test.each([
    ["another key", { key: other }, "INVALID_CREDENTIAL"],
    ["another audience", { audience: "f-2" }, "INVALID_CREDENTIAL"],
    ["an unknown node", { nodeId: "n-2" }, "NODE_UNKNOWN"],
    ["a clock 10 minutes ahead", { nowMs: nowMs + 600_000 }, "CLOCK_SKEW"],
    ["a clock 10 minutes behind", { nowMs: nowMs - 600_000 }, "CLOCK_SKEW"],
    ["a clock an hour behind", { nowMs: nowMs - 3_600_000 }, "CLOCK_SKEW"],
    ["a clock 4 minutes ahead", { nowMs: nowMs + 240_000 }, "accepted"],
    ["a clock 4 minutes behind", { nowMs: nowMs - 240_000 }, "accepted"],
  ])("%s → %s", async (_name, overrides, code) => {
    expect(await codeOf(verify(await sign(overrides)))).toBe(code);
  });

  test.each([
    ["empty", ""],
    ["no JWT", "abc"],
    ["alg none", "eyJhbGciOiJub25lIn0.e30."],
  ])("%s is refused", async (_name, token) => {
    expect(await codeOf(verify(token))).toBe("INVALID_CREDENTIAL");
  });

  test("a registration proof is no request proof", async () => {
    const proof = await signRegistrationProof({ key: node, tokenHash: "00", serverFingerprint: "f-1", nowMs });
    const attempt = verifyNodeRequest(proof, request, {
      audience: "f-1",
      nowMs,
      replay: createReplayMemory({ now: () => nowMs }),
      publicKeyOf: async () => node.publicKey,
    });
    expect(await codeOf(attempt)).toBe("INVALID_CREDENTIAL");
  });
});

describe("registration", () => {
  const prove = (overrides = {}) =>
    signRegistrationProof({ key: node, tokenHash: "aa", serverFingerprint: server.id, nowMs, ...overrides });
  const check = (proof: string, overrides = {}) =>
    verifyRegistrationProof(proof, {
      audiences: [server.id],
      publicKey: node.publicKey,
      tokenHash: "aa",
      nowMs,
      replay: createReplayMemory({ now: () => nowMs }),
      ...overrides,
    });

  test("proves possession of the key", async () => {
    expect(await check(await prove())).toMatchObject({ serverFingerprint: server.id });
  });

  test.each([
    ["another key", { key: other }, {}],
    ["another token", { tokenHash: "bb" }, {}],
    ["another server", { serverFingerprint: other.id }, {}],
    ["an old proof", { nowMs: nowMs - 400_000 }, {}],
  ])("%s is refused", async (_name, made, checked) => {
    expect(["INVALID_CREDENTIAL", "CLOCK_SKEW"]).toContain(await codeOf(check(await prove(made), checked)));
  });

  const statement = {
    type: "registration",
    fleet: "f-1",
    node_id: "n-1",
    node_key_id: node.id,
    server_time_ms: nowMs,
    trusted_keys: [{ id: server.id, public_key: server.publicKey }],
  };
  const answer = async (payload: unknown = statement, key = server) => ({
    signed: await signDocument("aami-registration+jws", payload, key),
    signing_key: { id: key.id, public_key: key.publicKey },
  });
  const expected = { serverFingerprint: server.id, nodeKeyId: node.id };

  test("the answer is believed when the token's fingerprint verifies it", async () => {
    expect(await openRegistration(await answer(), expected)).toMatchObject({ fleet: "f-1", node_id: "n-1" });
  });

  test.each([
    ["an unsigned answer", async () => ({})],
    ["another server's answer", () => answer(statement, other)],
    [
      "another server under our key id",
      async () => ({
        ...(await answer(statement, other)),
        signing_key: { id: server.id, public_key: other.publicKey },
      }),
    ],
    ["an answer for another node", () => answer({ ...statement, node_key_id: other.id })],
    ["a malformed answer", () => answer({ fleet: 3 })],
  ])("%s is refused", async (_name, make) => {
    await expect(openRegistration(await make(), expected)).rejects.toThrow();
  });

  test("keys survive their storage form", () => {
    expect(importSigningKey(exportSigningKey(node)).id).toBe(node.id);
    expect(() => importSigningKey("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")).toThrow("PKCS#8");
  });
});

describe("replay memory", () => {
  test("forgets what has expired and stays bounded", async () => {
    let now = 0;
    const memory = createReplayMemory({ now: () => now, capacity: 4 });
    expect(memory.claim("a", 1000)).toBeTrue();
    expect(memory.claim("a", 1000)).toBeFalse();
    now = 1001;
    expect(memory.claim("a", 2000)).toBeTrue();
    for (const id of ["b", "c", "d", "e"]) expect(memory.claim(id, 9000)).toBeTrue();
    expect(memory.claim("e", 9000)).toBeFalse();
  });
});
