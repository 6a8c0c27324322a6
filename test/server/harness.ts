import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hashCredential, parseBootstrapToken } from "../../protocol/bootstrap-token.ts";
import { createSigningKey, type SigningKey } from "../../protocol/keys.ts";
import { signNodeRequest, signRegistrationProof } from "../../protocol/proof.ts";
import type { RegistrationAnswer } from "../../protocol/registration.ts";
import { parseConfig } from "../../runtime/config.ts";
import { createLogger } from "../../runtime/log.ts";
import { ServerConfig } from "../../server/config.ts";
import type { ApiDocument } from "../../server/openapi.ts";
import { type RunningServer, startServer } from "../../server/server.ts";
import { assertDescribed } from "./described.ts";

export interface Answer<T = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly fleet: string;
  readonly data: string;
  readonly adminToken: string;
  /** Lines that the server logged, as JSON. */
  readonly logged: string[];
  /** A JSON call with the admin's token, or the given one ("" for none). */
  call<T = Record<string, unknown>>(method: string, path: string, options?: CallOptions): Promise<Answer<T>>;
  createToken(settings?: Record<string, unknown>): Promise<{ id: string; token: string }>;
  register(
    token: string,
    options?: RegisterOptions,
  ): Promise<Answer<RegistrationAnswer> & { readonly key: SigningKey }>;
  /** A request proven with the node's key. */
  nodeCall(node: TestNode, method: string, path: string, options?: NodeCallOptions): Promise<Response>;
  stop(): Promise<void>;
}

export interface TestNode {
  readonly id: string;
  readonly key: SigningKey;
}

interface CallOptions {
  readonly body?: unknown;
  readonly token?: string;
  readonly raw?: string;
  readonly headers?: Record<string, string>;
}

interface RegisterOptions {
  readonly hostname?: string;
  readonly key?: SigningKey;
  readonly extra?: Record<string, unknown>;
  readonly fingerprint?: string;
}

interface NodeCallOptions {
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly signal?: AbortSignal;
  readonly nowMs?: number;
}

interface StartOptions {
  readonly data?: string;
  readonly config?: Record<string, unknown>;
  readonly now?: () => number;
}

/** The real server on an ephemeral port with a SQLite file of its own. */
export async function startTestServer({ data, config = {}, now }: StartOptions = {}): Promise<TestServer> {
  const folder = data ?? mkdtempSync(join(tmpdir(), "aami-server-"));
  const logged: string[] = [];
  const settings = { listen: "127.0.0.1:0", data: folder, ...config };
  const server = await startServer({
    config: parseConfig(ServerConfig, JSON.stringify(settings), "test"),
    log: createLogger({ level: "debug", write: (line) => void logged.push(line) }),
    ...(now === undefined ? {} : { now }),
  });
  const adminToken = readFileSync(join(folder, "admin.token"), "utf8").trim();
  let stopped: Promise<void> | undefined;
  const stop = () => (stopped ??= server.stop());
  return {
    url: server.url,
    fleet: server.fleet,
    data: folder,
    adminToken,
    logged,
    stop,
    ...client(server, adminToken),
    [Symbol.asyncDispose]: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function client({ url, fleet }: RunningServer, adminToken: string) {
  let document: Promise<ApiDocument> | undefined;
  const readDocument = async () => (await (await fetch(`${url}/docs/json`)).json()) as ApiDocument;
  const call = async <T = Record<string, unknown>>(
    method: string,
    path: string,
    { body, token = adminToken, raw, headers = {} }: CallOptions = {},
  ): Promise<Answer<T>> => {
    const content = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await fetch(url + path, {
      method,
      ...(content === undefined ? {} : { body: content }),
      headers: {
        ...(content === undefined ? {} : { "content-type": "application/json" }),
        ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
    });
    const text = await response.text();
    const type = response.headers.get("content-type") ?? "";
    const answer: unknown = type.startsWith("application/json") && text !== "" ? JSON.parse(text) : text;
    assertDescribed(await (document ??= readDocument()), { method, path, status: response.status, body: answer });
    return { status: response.status, headers: response.headers, body: answer as T };
  };
  const createToken = async (settings: Record<string, unknown> = {}) => {
    const { status, body } = await call<{ id: string; token: string }>("POST", "/api/v1/bootstrap-tokens", {
      body: { name: "test", max_uses: 100, ...settings },
    });
    if (status !== 201) throw new Error(`no token: ${JSON.stringify(body)}`);
    return body;
  };
  const register = async (
    token: string,
    { hostname = "node-1", key = createSigningKey(), extra = {}, fingerprint }: RegisterOptions = {},
  ) => {
    const { credential, serverFingerprint = fingerprint ?? "" } = parseBootstrapToken(token);
    const proof = await signRegistrationProof({
      key,
      tokenHash: hashCredential(credential),
      serverFingerprint: fingerprint ?? serverFingerprint,
      nowMs: Date.now(),
    });
    const body = { token, hostname, public_key: key.publicKey, proof, ...extra };
    return { ...(await call<RegistrationAnswer>("POST", "/api/v1/bootstrap/register", { body, token: "" })), key };
  };
  const nodeCall = async (
    { id, key }: TestNode,
    method: string,
    path: string,
    { headers = {}, body = "", signal, nowMs = Date.now() }: NodeCallOptions = {},
  ) => {
    const proof = await signNodeRequest({ method, path, body, nodeId: id, audience: fleet, key, nowMs });
    const type: Record<string, string> = body === "" ? {} : { "content-type": "application/json" };
    return fetch(url + path, {
      method,
      ...(body === "" ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
      headers: { authorization: `Bearer ${proof}`, ...type, ...headers },
    });
  };
  return { call, createToken, register, nodeCall };
}

export const codeOf = ({ body }: Answer<unknown>): string | undefined =>
  (body as { error?: { code?: string } }).error?.code;

export const templateBody = {
  name: "check-mount-points",
  script_type: "mount",
  script_content: "#!/bin/bash\necho 'mount_check 1'\n",
  language: "bash",
  version: "1.0.0",
  default_config: { mount_points: ["/data"] },
  description: "mount points",
};
