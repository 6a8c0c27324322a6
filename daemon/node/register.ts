import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { hashCredential } from "../../protocol/bootstrap-token.ts";
import { AppError } from "../../protocol/errors.ts";
import { Limits } from "../../protocol/manifest.ts";
import { signRegistrationProof } from "../../protocol/proof.ts";
import {
  type Exporter,
  openRegistration,
  RegistrationAnswer,
  type RegistrationRequest,
} from "../../protocol/registration.ts";
import { DocumentError } from "../../protocol/signed-document.ts";
import { nodePaths } from "../../protocol/status.ts";
import { readBootstrapToken, TokenError, type UsableToken } from "./bootstrap-file.ts";
import type { ServerConfig } from "./config.ts";
import type { Identity, Registration } from "./identity.ts";
import type { MachineDescription } from "./inventory.ts";
import { RefusedError, toRefusal, type Transport } from "./transport.ts";

/** What a registration says about this node besides its key. */
export interface NodeFacts {
  readonly hostname: string;
  readonly instanceId: string | undefined;
  readonly bootId: string | undefined;
  readonly daemonVersion: string;
  readonly exporters: readonly Exporter[];
  readonly description: MachineDescription;
}

export interface RegisterOptions {
  readonly config: ServerConfig;
  readonly identity: Identity;
  readonly transport: Transport;
  /** Asked for only once there is a usable token. */
  readonly facts: () => Promise<NodeFacts>;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

const deadlineMs = 30_000;
// The answer lists the node's checks with their scripts.
const maxAnswerBytes = Limits.scriptsBytes + Limits.bundleBytes;

const SignedPart = t.Pick(RegistrationAnswer, ["signed", "signing_key"]);
type SignedPart = Static<typeof SignedPart>;

/**
 * One attempt. Repeating it after a lost answer gives the same node and takes no further use of the token, because the
 * key is the same. Throws TokenError, TransportError, RefusedError or DocumentError.
 */
export async function registerOnce(options: RegisterOptions): Promise<Registration> {
  const { config, identity, now } = options;
  const token = readBootstrapToken(config.token_file, config.signing_key_fingerprint);
  const answer = await post(options, token);
  const statement = await openRegistration(answer, {
    serverFingerprint: token.serverFingerprint,
    nodeKeyId: identity.key.id,
  });
  return {
    nodeId: statement.node_id,
    fleet: statement.fleet,
    serverUrl: config.url,
    trustedKeys: statement.trusted_keys,
    registeredAt: now(),
  };
}

async function post(options: RegisterOptions, token: UsableToken): Promise<SignedPart> {
  const { transport, now, signal } = options;
  const send = async (clockOffsetMs: number) => {
    const body = JSON.stringify(await toRequest(options, token, now() + clockOffsetMs));
    const headers = { "content-type": "application/json" };
    return transport.request({
      method: "POST",
      path: nodePaths.register,
      headers,
      body,
      maxBytes: maxAnswerBytes,
      deadlineMs,
      signal,
    });
  };
  let answer = await send(0);
  if (answer.status === 401 && toRefusal(answer, now()).code === "CLOCK_SKEW") {
    transport.correctClock(toRefusal(answer, now()));
    answer = await send(transport.clockSkewMs ?? 0);
  }
  if (answer.status !== 200 && answer.status !== 201) throw toRefusal(answer, now());
  return parseAnswer(answer.bytes);
}

async function toRequest(options: RegisterOptions, token: UsableToken, nowMs: number): Promise<RegistrationRequest> {
  const { config, identity } = options;
  const { description, hostname, instanceId, bootId, daemonVersion, exporters } = await options.facts();
  const proof = await signRegistrationProof({
    key: identity.key,
    tokenHash: hashCredential(token.token.credential),
    serverFingerprint: token.serverFingerprint,
    nowMs,
  });
  return {
    token: token.text,
    hostname: config.hostname ?? hostname,
    public_key: identity.key.publicKey,
    proof,
    daemon_version: daemonVersion,
    labels: { ...describeMachine(description), ...config.labels },
    metadata: { ...description.cloud },
    inventory: description.inventory,
    exporters: [...exporters],
    secondary_groups: config.secondary_groups,
    ...(config.primary_group !== undefined && { primary_group: config.primary_group }),
    ...(config.advertise_address !== undefined && { ip_address: config.advertise_address }),
    ...(instanceId !== undefined && { instance_id: instanceId }),
    ...(bootId !== undefined && { boot_id: bootId }),
  };
}

/** Labels that people select nodes by; the configuration's win. */
function describeMachine({ inventory: { os, gpus } }: MachineDescription): Record<string, string> {
  const models = gpus?.flatMap(({ model }) => (typeof model === "string" ? [model] : [])) ?? [];
  const facts: Record<string, unknown> = {
    os: os?.["distro"],
    os_version: os?.["release"],
    arch: os?.["arch"],
    gpu_count: gpus && gpus.length > 0 ? String(gpus.length) : undefined,
    gpu_model: models[0],
  };
  return Object.fromEntries(
    Object.entries(facts).flatMap(([name, value]) =>
      typeof value === "string" && value !== "" ? [[name, value]] : [],
    ),
  );
}

function parseAnswer(bytes: Uint8Array): SignedPart {
  let answer: unknown;
  try {
    answer = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new DocumentError("envelope_form", "the answer to the registration is not JSON", error);
  }
  // Only the signed part is believed, so only that has to have a form.
  if (!Value.Check(SignedPart, answer)) throw new DocumentError("envelope_form", "not an answer to a registration");
  return answer;
}

export interface RegistrationFailure {
  readonly code: string;
  readonly message: string;
  /** Trying again changes nothing until somebody does something; `message` then says what. */
  readonly permanent: boolean;
  readonly retryAfterMs: number | undefined;
}

/** Sorts what registerOnce throws; anything that is not expected is thrown on. */
export function toFailure(error: unknown, { token_file, url }: ServerConfig): RegistrationFailure {
  if (!(error instanceof AppError)) throw error;
  const { code } = error;
  if (error instanceof TokenError) return { code, message: error.message, permanent: true, retryAfterMs: undefined };
  if (error instanceof DocumentError) {
    const message = `${url} did not prove that it is the server the token is for (${error.message}): check server.url and the token`;
    return { code, message, permanent: true, retryAfterMs: undefined };
  }
  if (!(error instanceof RefusedError)) {
    const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
    return { code, message: `${error.message}${cause}`, permanent: false, retryAfterMs: undefined };
  }
  const { status, message, retryAfterMs } = error;
  // 409: the machine that had this host name may still be there; it will have been silent for long enough.
  const permanent = status >= 400 && status < 500 && ![408, 409, 425, 429].includes(status);
  return { code, message: permanent ? `${message}: ${remedy(status, token_file)}` : message, permanent, retryAfterMs };
}

function remedy(status: number, tokenFile: string): string {
  if (status === 401 || status === 403)
    return `create a new bootstrap token on the control server and write it to ${tokenFile}`;
  if (status === 404) return "check server.url and server.primary_group";
  return "check the server section of the configuration";
}
