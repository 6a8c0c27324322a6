import { describe, expect, test } from "bun:test";
import {
  BundleError,
  type BundleFault,
  type BundleState,
  bundleEtag,
  checkBlob,
  considerBundle,
  reopenBundle,
} from "../../protocol/bundle.ts";
import { fingerprint, sha256Hex } from "../../protocol/keys.ts";
import {
  check,
  manifest,
  nowMs,
  otherKey,
  script,
  seal,
  sealRaw,
  serverKey,
  state,
  toTrusted,
} from "./bundle-fixture.ts";

const faultOf = async (bytes: Uint8Array, given: BundleState = state(), now = nowMs): Promise<string> => {
  try {
    return (await considerBundle(bytes, given, now)).action;
  } catch (error) {
    if (error instanceof BundleError) return error.code;
    throw error;
  }
};
const text = (payload: unknown = manifest()) => JSON.stringify(payload);
const flip = (bytes: Uint8Array, part: number) => {
  const parts = Buffer.from(bytes).toString().split(".");
  const old = parts[part] ?? "";
  parts[part] = `${old.slice(0, 20)}${old[20] === "A" ? "B" : "A"}${old.slice(21)}`;
  return Buffer.from(parts.join("."));
};
const deep = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;

describe("a bundle that may be installed", () => {
  test("gives the checks with complete permissions and a hash of the payload", async () => {
    const decision = await considerBundle(await seal(manifest()), state(), nowMs);
    expect(decision.action).toBe("install");
    expect(decision.expired).toBeFalse();
    expect(decision.hash).toBe(sha256Hex(text()));
    expect(decision.checks[0]?.permissions).toMatchObject({ view: "minimal", network: "none", memory_mb: 256 });
    expect(decision.refused).toEqual([]);
  });

  test("the same content again is 'same', also when it has expired since", async () => {
    const bytes = await seal(manifest());
    const held = state({ version: 6, hash: sha256Hex(text()) });
    expect(await faultOf(bytes, held)).toBe("same");
    const late = await considerBundle(bytes, held, Date.parse("2027-03-01T00:00:00Z"));
    expect(late).toMatchObject({ action: "same", expired: true });
  });

  test("what was received re-verifies byte for byte after a restart", async () => {
    const bytes = await seal(manifest());
    const { hash } = await considerBundle(bytes, state(), nowMs);
    const reopened = await reopenBundle(Buffer.from(bytes), state({ version: 6, hash }), nowMs);
    expect(reopened.hash).toBe(hash);
    await expect(reopenBundle(bytes, state({ version: 5, hash }), nowMs)).rejects.toThrow(
      "not the one that was accepted",
    );
  });

  test("a higher epoch starts versions anew, also from the greatest version", async () => {
    const stuck = state({ version: Number.MAX_SAFE_INTEGER });
    expect(await faultOf(await seal(manifest({ epoch: 2, version: 1 })), stuck)).toBe("install");
  });

  test("keys rotate: the new key is trusted by an old one, then signs alone", async () => {
    const both = [toTrusted(serverKey), toTrusted(otherKey)];
    const first = await considerBundle(await seal(manifest({ trusted_keys: both })), state(), nowMs);
    const next = await seal(manifest({ version: 7, trusted_keys: [toTrusted(otherKey)] }), otherKey);
    expect(await faultOf(next, state())).toBe("signature");
    expect(await faultOf(next, state({ version: 6, trustedKeys: first.manifest.trusted_keys }))).toBe("install");
  });

  test("unknown fields outside permissions are ignored", async () => {
    expect(await faultOf(await seal(manifest({ comment: "x", checks: [check({ splay_s: 3 })] })))).toBe("install");
  });
});

const zero = Buffer.alloc(32).toString("base64url");
const weakKey = (bytes: number[]) => [
  toTrusted(serverKey),
  { id: zero, public_key: Buffer.from(bytes).toString("base64url") },
];
const order8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
const refusals: readonly (readonly [string, BundleFault, () => Promise<Uint8Array>, Partial<BundleState>?, number?])[] =
  [
    ["signed by an unknown key", "signature", () => seal(manifest(), otherKey)],
    [
      "kid of a trusted key on another's signature",
      "signature",
      async () => {
        const mine = Buffer.from(await seal(manifest()))
          .toString()
          .split(".");
        const theirs = Buffer.from(await seal(manifest(), otherKey))
          .toString()
          .split(".");
        return Buffer.from([mine[0], mine[1], theirs[2]].join("."));
      },
    ],
    [
      "signature removed",
      "envelope_form",
      async () =>
        Buffer.from(
          `${Buffer.from(await seal(manifest()))
            .toString()
            .split(".")
            .slice(0, 2)
            .join(".")}.`,
        ),
    ],
    ["bare JSON without an envelope", "envelope_form", async () => Buffer.from(text())],
    [
      "alg none",
      "envelope_form",
      async () =>
        Buffer.from(`${Buffer.from('{"alg":"none","typ":"aami-bundle+jws","kid":"x"}').toString("base64url")}.e30.`),
    ],
    ["one bit of the payload changed", "signature", async () => flip(await seal(manifest()), 1)],
    ["one bit of the signature changed", "signature", async () => flip(await seal(manifest()), 2)],
    ["another type, signed", "document_type", () => sealRaw(text(), { typ: "aami-registration+jws" })],
    ["unknown header field", "envelope_form", () => sealRaw(text(), { jku: "https://example.com" })],
    [
      "padding in the envelope",
      "envelope_form",
      async () => Buffer.concat([Buffer.from(await seal(manifest())), Buffer.from("=")]),
    ],
    [
      "a newline in the envelope",
      "envelope_form",
      async () => Buffer.concat([Buffer.from(await seal(manifest())), Buffer.from("\n")]),
    ],
    ["too large", "too_large", async () => Buffer.alloc(5 * 1024 * 1024)],
    ["empty", "envelope_form", async () => Buffer.alloc(0)],
    ["zero key in trusted_keys", "key_weak", () => seal(manifest({ trusted_keys: weakKey(new Array(32).fill(0)) }))],
    [
      "identity point in trusted_keys",
      "key_weak",
      () => seal(manifest({ trusted_keys: weakKey([1, ...new Array(31).fill(0)]) })),
    ],
    [
      "point of order 8 in trusted_keys",
      "key_weak",
      () => seal(manifest({ trusted_keys: weakKey([...Buffer.from(order8, "hex")]) })),
    ],
    [
      "non-canonical point in trusted_keys",
      "key_weak",
      () => seal(manifest({ trusted_keys: weakKey([...new Array(31).fill(255), 127]) })),
    ],
    [
      "key of a wrong length in trusted_keys",
      "manifest_form",
      () => seal(manifest({ trusted_keys: [{ id: zero, public_key: "AAAA" }] })),
    ],
    [
      "key id that is not the fingerprint",
      "trusted_keys_form",
      () => seal(manifest({ trusted_keys: [{ ...toTrusted(serverKey), id: otherKey.id }] })),
    ],
    [
      "signer missing in trusted_keys",
      "trusted_keys_form",
      () => seal(manifest({ trusted_keys: [toTrusted(otherKey)] })),
    ],
    ["no trusted keys at all", "manifest_form", () => seal(manifest({ trusted_keys: [] }))],
    ["older version", "rollback", () => seal(manifest({ version: 4 }))],
    [
      "older epoch with a higher version",
      "rollback",
      () => seal(manifest({ epoch: 1, version: 900 })),
      { epoch: 2, version: 3 },
    ],
    ["same version, other content", "equivocation", () => seal(manifest({ version: 5 }))],
    [
      "rollback is noticed before expiry",
      "rollback",
      () => seal(manifest({ version: 4, issued: "2025-01-01T00:00:00Z", expires: "2025-02-01T00:00:00Z" })),
    ],
    ["another fleet is noticed before its version", "other_fleet", () => seal(manifest({ fleet: "f-2", version: 1 }))],
    ["another fleet is noticed before its form", "other_fleet", () => seal(manifest({ fleet: "f-2", checks: 5 }))],
    ["expired", "expired", () => seal(manifest()), {}, Date.parse("2027-01-01T00:00:00Z")],
    [
      "expired, clock set back",
      "expired",
      () => seal(manifest()),
      { clockFloorMs: Date.parse("2027-01-01T00:00:00Z") },
    ],
    ["issued two days ahead", "issued_in_future", () => seal(manifest()), {}, Date.parse("2026-11-18T08:00:00Z")],
    ["expires before it was issued", "expiry_before_issue", () => seal(manifest({ expires: "2026-11-20T08:00:00Z" }))],
    ["a time that does not exist", "time_form", () => seal(manifest({ expires: "2026-13-45T08:00:00Z" }))],
    ["a time without zone", "time_form", () => seal(manifest({ expires: "2026-12-20T09:00:00" }))],
    ["another kind of payload", "spec", () => seal(manifest({ type: "beat" }))],
    ["a later specification", "spec", () => seal(manifest({ spec: 2 }))],
    ["version 2^53", "json_number", () => sealRaw(text().replace('"version":6', '"version":9007199254740992'))],
    ["version 5.5", "version_form", () => seal(manifest({ version: 5.5 }))],
    ["version as text", "version_form", () => seal(manifest({ version: "6" }))],
    ["version 0", "version_form", () => seal(manifest({ version: 0 }))],
    ["duplicate key", "json_duplicate_key", () => sealRaw(text().replace('"version":6', '"version":6,"version":9'))],
    [
      "duplicate key behind an escape",
      "json_duplicate_key",
      () => sealRaw(text().replace('"version":6', '"version":6,"versi\\u006fn":9')),
    ],
    ["__proto__", "json_forbidden_key", () => sealRaw(text().replace('"spec":1', '"spec":1,"__proto__":{"x":1}'))],
    ["trailing bytes", "json_trailing", () => sealRaw(`${text()}{}`)],
    ["bad UTF-8", "json_encoding", () => sealRaw(new Uint8Array([0x7b, 0xff, 0x7d]))],
    ["byte order mark", "json_syntax", () => sealRaw(`\ufeff${text()}`)],
    ["10,000 levels", "json_depth", () => sealRaw(deep(10_000))],
    ["half a surrogate pair", "json_surrogate", () => sealRaw(text().replace('"f-1"', '"\\ud800"'))],
    ["checks not a list", "policies_form", () => seal(manifest({ checks: {} }))],
    [
      "501 checks",
      "policies_form",
      () => seal(manifest({ checks: Array.from({ length: 501 }, (_, i) => check({ name: `c${i}` })) })),
    ],
    [
      "two checks of one name",
      "policy_duplicate",
      () => seal(manifest({ checks: [check(), check({ instance_id: "policy-2" })] })),
    ],
    ["name with a path", "policies_form", () => seal(manifest({ checks: [check({ name: "../x" })] }))],
    ["name that looks like an option", "policies_form", () => seal(manifest({ checks: [check({ name: "--bind" })] }))],
    ["negative size", "policies_form", () => seal(manifest({ checks: [check({ size_bytes: -1 })] }))],
    ["script of 256 KiB + 1", "policies_form", () => seal(manifest({ checks: [check({ size_bytes: 262_145 })] }))],
    [
      "scripts of 33 MiB together",
      "scripts_size",
      () =>
        seal(
          manifest({ checks: Array.from({ length: 132 }, (_, i) => check({ name: `c${i}`, size_bytes: 262_144 })) }),
        ),
    ],
    ["hash that is none", "policies_form", () => seal(manifest({ checks: [check({ hash: "sha256:00" })] }))],
    ["timeout longer than the interval", "timing", () => seal(manifest({ checks: [check({ timeout_seconds: 60 })] }))],
    ["interval and schedule at once", "timing", () => seal(manifest({ checks: [check({ schedule: "* * * * *" })] }))],
    [
      "neither interval nor schedule",
      "timing",
      () => seal(manifest({ checks: [{ ...check(), interval_seconds: undefined }] })),
    ],
  ];

describe("a bundle that must not be installed", () => {
  const rows = refusals.map(([name, code, make, overrides = {}, now = nowMs]) => ({
    name,
    code,
    make,
    overrides,
    now,
  }));
  test.each(rows)("$name → $code", async ({ code, make, overrides, now }) => {
    expect(await faultOf(await make(), state(overrides), now)).toBe(code);
  });

  test("an all-zero trusted key with an all-zero signature → key_weak", async () => {
    const header = Buffer.from(
      JSON.stringify({ alg: "EdDSA", typ: "aami-bundle+jws", kid: fingerprint(zero) }),
    ).toString("base64url");
    const forged = `${header}.${Buffer.from(text()).toString("base64url")}.${Buffer.alloc(64).toString("base64url")}`;
    expect(
      await faultOf(Buffer.from(forged), state({ trustedKeys: [{ id: fingerprint(zero), public_key: zero }] })),
    ).toBe("key_weak");
  });

  test("no trusted keys means that nothing loads", async () => {
    expect(await faultOf(await seal(manifest()), state({ trustedKeys: [] }))).toBe("signature");
  });
});

describe("a check that this node must not run", () => {
  const cases: readonly (readonly [string, string, Record<string, unknown>])[] = [
    ["unknown permission", "permissions_unknown", { permissions: { landlock: true } }],
    ["unknown language", "language_unknown", { language: "perl" }],
    ["relative path", "permissions_form", { permissions: { paths: ["data"] } }],
    ["path with ..", "permissions_form", { permissions: { paths: ["/data/../etc"] } }],
    ["path with a newline", "permissions_form", { permissions: { paths: ["/data\n--bind"] } }],
    ["write grant with a space", "permissions_form", { permissions: { write: ["/data /etc"] } }],
    ["network as it pleases", "permissions_form", { permissions: { network: "mesh" } }],
    ["no memory at all", "permissions_form", { permissions: { memory_mb: 0 } }],
  ];
  test.each(cases)("%s → %s, and the others run", async (_name, code, overrides) => {
    const bytes = await seal(
      manifest({ checks: [check(overrides), check({ name: "good", instance_id: "policy-2" })] }),
    );
    const decision = await considerBundle(bytes, state(), nowMs);
    expect(decision.checks.map(({ name }) => name)).toEqual(["good"]);
    expect(decision.refused.map((refused) => refused.code as string)).toEqual([code]);
  });
});

describe("blobs and entity tags", () => {
  const want = { hash: sha256Hex(script), size_bytes: script.length };
  const cases: readonly (readonly [string, string, string])[] = [
    ["longer", `${script} `, "blob_size"],
    ["shorter", script.slice(1), "blob_size"],
    ["of another content", script.replace("1", "2"), "blob_hash"],
  ];
  test.each(cases)("a blob that is %s is refused", (_name, content, code) => {
    expect(() => checkBlob(Buffer.from(content), want)).toThrow(expect.objectContaining({ code }));
  });

  test("the right blob passes", () => {
    expect(checkBlob(Buffer.from(script), want)).toEqual(Buffer.from(script));
    expect(bundleEtag({ epoch: 1, version: 42, hash: want.hash })).toBe(`"1.42.${want.hash.slice(0, 32)}"`);
  });
});
