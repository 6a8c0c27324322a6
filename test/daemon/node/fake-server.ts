import type { Fetch } from "../../../daemon/node/transport.ts";
import { createBootstrapToken, hashCredential, parseBootstrapToken } from "../../../protocol/bootstrap-token.ts";
import { bundleEtag } from "../../../protocol/bundle.ts";
import { createSigningKey, fingerprint, sha256Hex, type SigningKey } from "../../../protocol/keys.ts";
import type { Manifest, ManifestCheck } from "../../../protocol/manifest.ts";
import { CredentialError, verifyNodeRequest, verifyRegistrationProof } from "../../../protocol/proof.ts";
import type { RegistrationRequest } from "../../../protocol/registration.ts";
import { createReplayMemory } from "../../../protocol/replay-memory.ts";
import { signDocument } from "../../../protocol/signed-document.ts";
import { nodePaths } from "../../../protocol/status.ts";

export interface Published {
  readonly bytes: Uint8Array;
  readonly etag: string;
}

export interface PublishOptions {
  readonly epoch?: number;
  readonly fleet?: string;
  readonly key?: SigningKey;
  readonly issuedMs?: number;
  readonly expiresMs?: number;
  readonly trustedKeys?: readonly SigningKey[];
  readonly checks?: readonly Partial<ManifestCheck>[];
}

/** A control server of few lines that speaks protocol/ truly, and that a test can make lie. */
export function createFakeServer(now: () => number) {
  const key = createSigningKey();
  const fleet = "fleet-1";
  const token = createBootstrapToken(key.id).token;
  const replay = createReplayMemory({ now });
  const nodes = new Map<string, string>();
  const blobs = new Map<string, Uint8Array>();
  const requests: { readonly path: string; readonly headers: Headers; readonly body: string }[] = [];
  let current: Published | undefined;
  let wakePolls = () => {};
  let changed = new Promise<void>((resolve) => (wakePolls = resolve));

  /** Signs a bundle of these scripts without serving it. */
  async function sign(
    version: number,
    scripts: Record<string, string>,
    options: PublishOptions = {},
  ): Promise<Published> {
    const { epoch = 1, key: signer = key, issuedMs = now(), expiresMs = now() + 30 * 86_400_000 } = options;
    const time = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;
    const manifest: Manifest = {
      type: "bundle",
      spec: 1,
      fleet: options.fleet ?? fleet,
      epoch,
      version,
      issued: time(issuedMs),
      expires: time(expiresMs),
      trusted_keys: (options.trustedKeys ?? [signer]).map(({ id, publicKey }) => ({ id, public_key: publicKey })),
      groups: [{ id: "g1", path: "infrastructure:test" }],
      checks: Object.entries(scripts).map(([name, script]) => toCheck(name, script)),
    };
    const bytes = Buffer.from(await signDocument("aami-bundle+jws", manifest, signer));
    const hash = sha256Hex(Buffer.from(bytes.toString().split(".")[1] ?? "", "base64url"));
    return { bytes: new Uint8Array(bytes), etag: bundleEtag({ epoch, version, hash }) };
  }

  function toCheck(name: string, script: string): ManifestCheck {
    const bytes = new TextEncoder().encode(script);
    blobs.set(sha256Hex(bytes), bytes);
    return {
      instance_id: `policy-${name}`,
      name,
      script_type: "mount",
      language: "bash",
      version: "1.0.0",
      hash: sha256Hex(bytes),
      size_bytes: bytes.length,
      config: { path: "/data" },
      interval_seconds: 60,
      timeout_seconds: 10,
      permissions: {},
      scope: "group",
      group_id: "g1",
      priority: 100,
    };
  }

  function serve(published: Published | undefined): void {
    current = published;
    wakePolls();
    changed = new Promise<void>((resolve) => (wakePolls = resolve));
  }

  async function register(body: string): Promise<Response> {
    const request = JSON.parse(body) as RegistrationRequest;
    const { public_key: publicKey = "", proof = "" } = request;
    if (request.token !== token) return refuse(401, "INVALID_TOKEN", "unknown, expired or used up");
    const tokenHash = hashCredential(parseBootstrapToken(token).credential);
    await verifyRegistrationProof(proof, { audiences: [key.id], publicKey, tokenHash, nowMs: now(), replay });
    const nodeId = `node-${fingerprint(publicKey).slice(0, 8)}`;
    nodes.set(nodeId, publicKey);
    const trusted = [{ id: server.key.id, public_key: server.key.publicKey }];
    const statement = {
      type: "registration",
      fleet,
      node_id: nodeId,
      node_key_id: fingerprint(publicKey),
      server_time_ms: now(),
      trusted_keys: trusted,
    };
    const signed = await signDocument("aami-registration+jws", statement, server.key);
    return Response.json({ node_id: nodeId, fleet, signed, signing_key: trusted[0] }, { status: 201 });
  }

  async function poll(headers: Headers, signal: AbortSignal): Promise<Response> {
    if (current && headers.get("if-none-match") === current.etag) {
      if (!headers.has("prefer")) return new Response(null, { status: 304, headers: { etag: current.etag } });
      signal.throwIfAborted();
      const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      await Promise.race([changed, aborted]);
      signal.throwIfAborted();
      return poll(headers, signal);
    }
    if (!current) return refuse(503, "NOT_READY", "no bundle yet");
    return new Response(current.bytes, { headers: { etag: current.etag } });
  }

  async function route(path: string, init: BunFetchRequestInit): Promise<Response> {
    const headers = new Headers(init.headers as Record<string, string>);
    const body = typeof init.body === "string" ? init.body : "";
    requests.push({ path, headers, body });
    const method = init.method ?? "GET";
    try {
      if (path === nodePaths.register) return await register(body);
      const proof = headers.get("authorization")?.replace("Bearer ", "") ?? "";
      const publicKeyOf = async (id: string) => nodes.get(id);
      await verifyNodeRequest(proof, { method, path, body }, { audience: fleet, nowMs: now(), replay, publicKeyOf });
    } catch (error) {
      if (error instanceof CredentialError) return refuse(error.status, error.code, error.message);
      throw error;
    }
    if (path === nodePaths.status) return new Response(null, { status: 204 });
    if (path === nodePaths.bundle) return poll(headers, init.signal ?? new AbortController().signal);
    const blob = blobs.get(path.slice(nodePaths.blob("").length));
    return blob ? new Response(blob) : refuse(404, "NOT_FOUND", "no such blob");
  }

  const fetch: Fetch = async (url, init) => {
    const { pathname } = new URL(url);
    const response = (await server.intercept(pathname, init)) ?? (await route(pathname, init));
    if (!response.headers.has("date")) response.headers.set("date", new Date(now()).toUTCString());
    return response;
  };

  const server = {
    /** Replace it and the server proves to be another one. */
    key,
    fleet,
    token,
    nodes,
    blobs,
    requests,
    fetch,
    sign,
    serve,
    /** Answers in the server's place; a throw is a connection that failed. */
    intercept: (_path: string, _init: BunFetchRequestInit): Response | undefined | Promise<Response | undefined> =>
      undefined,
    publish: async (version: number, scripts: Record<string, string>, options?: PublishOptions) => {
      const published = await sign(version, scripts, options);
      serve(published);
      return published;
    },
  };
  return server;
}

export type FakeServer = ReturnType<typeof createFakeServer>;

export function refuse(status: number, code: string, message: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error: { code, message } }, { status, headers });
}
