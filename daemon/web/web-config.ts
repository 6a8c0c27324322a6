import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { parseConfig } from "../../runtime/config.ts";
import { ExitCode, ExitError } from "../../runtime/exit.ts";
import { describeError } from "../../runtime/log.ts";
import { type BasicAuth, bcryptProblem, createBasicAuth } from "./basic-auth.ts";
import { bendToGo } from "./go-yaml.ts";
import { createRateLimit, parseGoDuration, type RateLimit } from "./rate-limit.ts";
import { type WebConfigFileContent, WebConfigSchema } from "./schema.ts";
import { type TlsOptions, toTlsOptions } from "./tls-options.ts";

/** The web configuration file, read and checked. */
export interface WebConfig {
  /** Undefined: plain HTTP. */
  readonly tls: TlsOptions | undefined;
  readonly http2: boolean;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined: no password is asked for. */
  readonly auth: BasicAuth | undefined;
  readonly rateLimit: RateLimit;
}

export interface WebConfigReading {
  readonly config: WebConfig | undefined;
  /** Why there is none. */
  readonly error: ExitError | undefined;
  /** Every file that went into it: itself, certificates, keys. */
  readonly files: readonly string[];
}

/** Reads the file and what it names. Never rejects. */
export async function readWebConfig(file: string): Promise<WebConfigReading> {
  const files = [file];
  try {
    const content = parseConfig(WebConfigSchema, await readText(file), file, bendToGo);
    const { cert_file, key_file, client_ca_file } = content.tls_server_config ?? {};
    const beside = new Map<string, string>();
    for (const path of [cert_file, key_file, client_ca_file]) {
      if (path === undefined || path === "") continue;
      const full = resolve(dirname(file), path);
      files.push(full);
      beside.set(path, await readText(full));
    }
    return { config: toWebConfig(content, (path) => beside.get(path) ?? ""), error: undefined, files };
  } catch (cause) {
    const message = `${file}: ${String(describeError(cause))}`;
    const error = cause instanceof ExitError ? cause : new ExitError(ExitCode.failure, message, { cause });
    return { config: undefined, error, files };
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new ExitError(ExitCode.failure, `${file}: cannot be read: ${String(describeError(error))}`, { cause: error });
  }
}

function toWebConfig(content: WebConfigFileContent, read: (path: string) => string): WebConfig {
  const users = content.basic_auth_users ?? {};
  for (const [name, hash] of Object.entries(users)) {
    const problem = bcryptProblem(hash);
    if (problem !== undefined) throw new Error(`basic_auth_users: password of "${name}" is ${problem}`);
  }
  const headers = Object.entries(content.http_server_config?.headers ?? {}).filter(([, value]) => value !== "");
  return {
    tls: toTlsOptions(content.tls_server_config ?? {}, read),
    http2: content.http_server_config?.http2 ?? true,
    headers: Object.fromEntries(headers) as Record<string, string>,
    auth: Object.keys(users).length === 0 ? undefined : createBasicAuth(users),
    rateLimit: toRateLimit(content.rate_limit),
  };
}

function toRateLimit(content: WebConfigFileContent["rate_limit"]): RateLimit {
  const interval = content?.interval ?? 0;
  const intervalSeconds = typeof interval === "number" ? interval / 1e9 : parseGoDuration(interval);
  if (intervalSeconds === undefined) throw new Error(`rate_limit.interval: "${interval}" is not a duration such as 1s`);
  return createRateLimit({ intervalSeconds, burst: content?.burst ?? 0 });
}
