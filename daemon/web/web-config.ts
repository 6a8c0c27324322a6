import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { readConfigFile } from "../../runtime/config.ts";
import { ExitCode, ExitError } from "../../runtime/exit.ts";
import { type BasicAuth, bcryptProblem, createBasicAuth } from "./basic-auth.ts";
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

/** Gives the configuration as the file says now: read again when it, a certificate, a key or a CA has changed. */
export interface WebConfigSource {
  /** Throws an ExitError as long as the file is broken: nobody is let in by an old password. */
  current(): WebConfig;
}

export const openWebConfig: WebConfig = {
  tls: undefined,
  http2: true,
  headers: {},
  auth: undefined,
  rateLimit: { admit: () => true },
};

interface Reading {
  readonly config: WebConfig | undefined;
  readonly error: ExitError | undefined;
  /** Every file that went into it, as it was. */
  readonly fingerprint: ReadonlyMap<string, string>;
}

export function createWebConfigSource(file: string): WebConfigSource {
  let reading: Reading | undefined;
  return {
    current: () => {
      if (reading === undefined || hasChanged(reading)) reading = readWebConfig(file);
      if (reading.config === undefined) throw reading.error ?? new Error("web configuration was not read");
      return reading.config;
    },
  };
}

function readWebConfig(file: string): Reading {
  const fingerprint = new Map([[file, identityOf(file)]]);
  const readBeside = (path: string): string => {
    const full = resolve(dirname(file), path);
    fingerprint.set(full, identityOf(full));
    return readFileSync(full, "utf8");
  };
  try {
    return { config: toWebConfig(readConfigFile(WebConfigSchema, file), readBeside), error: undefined, fingerprint };
  } catch (cause) {
    const error =
      cause instanceof ExitError
        ? cause
        : new ExitError(ExitCode.failure, `${file}: ${cause instanceof Error ? cause.message : String(cause)}`, {
            cause,
          });
    return { config: undefined, error, fingerprint };
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
    tls: content.tls_server_config === undefined ? undefined : toTlsOptions(content.tls_server_config, read),
    http2: content.http_server_config?.http2 ?? true,
    headers: Object.fromEntries(headers) as Record<string, string>,
    auth: Object.keys(users).length === 0 ? undefined : createBasicAuth(users),
    rateLimit: toRateLimit(content.rate_limit),
  };
}

function toRateLimit(content: WebConfigFileContent["rate_limit"]): RateLimit {
  const interval = content?.interval ?? 0;
  const intervalSeconds = typeof interval === "number" ? interval : parseGoDuration(interval);
  if (intervalSeconds === undefined) throw new Error(`rate_limit.interval: "${interval}" is not a duration such as 1s`);
  return createRateLimit({ intervalSeconds, burst: content?.burst ?? 0 });
}

function hasChanged({ fingerprint }: Reading): boolean {
  for (const [path, identity] of fingerprint) if (identityOf(path) !== identity) return true;
  return false;
}

function identityOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? "absent" : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
}
