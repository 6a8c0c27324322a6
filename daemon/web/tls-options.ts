import { createSecureContext, getCACertificates, type SecureContextOptions, type SecureVersion } from "node:tls";
import type { TlsServerConfig } from "./schema.ts";

/** What a connection must show before it may send a request. */
export interface ClientPolicy {
  readonly request: boolean;
  readonly required: boolean;
  readonly verified: boolean;
  /** Undefined: any name will do. */
  readonly allowedNames: readonly string[] | undefined;
}

export interface TlsOptions {
  readonly context: SecureContextOptions;
  readonly clients: ClientPolicy;
}

const versions: Readonly<Record<string, SecureVersion>> = {
  TLS10: "TLSv1",
  TLS11: "TLSv1.1",
  TLS12: "TLSv1.2",
  TLS13: "TLSv1.3",
};

const curves: Readonly<Record<string, string>> = {
  CurveP256: "P-256",
  CurveP384: "P-384",
  CurveP521: "P-521",
  X25519: "X25519",
  X25519MLKEM768: "X25519MLKEM768",
};

/** Go's names of the TLS 1.2 suites that this TLS library (BoringSSL) has. */
const cipherSuites: Readonly<Record<string, string>> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "ECDHE-ECDSA-AES128-GCM-SHA256",
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: "ECDHE-ECDSA-AES256-GCM-SHA384",
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: "ECDHE-ECDSA-AES128-SHA",
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: "ECDHE-ECDSA-AES256-SHA",
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: "ECDHE-RSA-AES128-GCM-SHA256",
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: "ECDHE-RSA-AES256-GCM-SHA384",
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-RSA-CHACHA20-POLY1305",
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: "ECDHE-RSA-AES128-SHA",
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: "ECDHE-RSA-AES256-SHA",
  TLS_RSA_WITH_AES_128_GCM_SHA256: "AES128-GCM-SHA256",
  TLS_RSA_WITH_AES_256_GCM_SHA384: "AES256-GCM-SHA384",
  TLS_RSA_WITH_AES_128_CBC_SHA: "AES128-SHA",
  TLS_RSA_WITH_AES_256_CBC_SHA: "AES256-SHA",
};
/** TLS 1.3 suites may stand in the list; as in Go they cannot be chosen. */
const tls13Suites = new Set(["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]);

/**
 * The settings of node:tls for a tls_server_config section, undefined for one that asks for no TLS. `read` gives the content of a file named in it. Throws an
 * Error that names the setting; a certificate and key that do not belong together are found here, not at a handshake.
 */
export function toTlsOptions(config: TlsServerConfig, read: (path: string) => string): TlsOptions | undefined {
  if (!switches.some((key) => (config[key] ?? "") !== "")) return undefined;
  const cert = oneSource(config, "cert", read) ?? missing("cert");
  const key = oneSource(config, "key", read) ?? missing("key");
  const ca = oneSource(config, "client_ca", read);
  const policy = clientPolicy(config);
  if (ca !== undefined && !policy.request) {
    throw new Error("client_ca is set, but client_auth_type asks clients for no certificate");
  }
  // Like Go, which asks the machine's authorities where none are named.
  const authorities = ca ?? (policy.verified ? getCACertificates("system") : undefined);
  const context: SecureContextOptions = {
    cert,
    key,
    ...(authorities === undefined ? {} : { ca: authorities }),
    minVersion: versions[config.min_version ?? "TLS12"] ?? "TLSv1.2",
    maxVersion: versions[config.max_version ?? "TLS13"] ?? "TLSv1.3",
    ...translated("curve_preferences", config.curve_preferences, curves, "ecdhCurve"),
    ...translated(
      "cipher_suites",
      config.cipher_suites?.filter((name) => !tls13Suites.has(name)),
      cipherSuites,
      "ciphers",
    ),
  };
  try {
    createSecureContext(context);
  } catch (error) {
    throw new Error("certificate and key cannot be used", { cause: error });
  }
  return { context, clients: policy };
}

/** Any of these, and the section means TLS. */
const switches = ["cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file", "client_auth_type"] as const;

type Source = "cert" | "key" | "client_ca";

function oneSource(config: TlsServerConfig, name: Source, read: (path: string) => string): string | undefined {
  const { [`${name}_file` as const]: path = "", [name]: inline = "" } = config;
  if (path !== "") return read(path);
  return inline === "" ? undefined : inline;
}

function missing(name: "cert" | "key"): never {
  throw new Error(`tls_server_config needs ${name}_file or ${name}`);
}

function clientPolicy(config: TlsServerConfig): ClientPolicy {
  const type = config.client_auth_type ?? "";
  return {
    request: type !== "NoClientCert" && type !== "",
    required: type.startsWith("Require"),
    verified: type === "VerifyClientCertIfGiven" || type === "RequireAndVerifyClientCert",
    allowedNames: config.client_allowed_sans,
  };
}

function translated(
  setting: string,
  names: readonly string[] | undefined,
  table: Readonly<Record<string, string>>,
  option: "ecdhCurve" | "ciphers",
): SecureContextOptions {
  if (names === undefined || names.length === 0) return {};
  const values = names.map((name) => {
    const value = table[name];
    if (value !== undefined) return value;
    throw new Error(`${setting}: "${name}" is not one of ${Object.keys(table).join(", ")}`);
  });
  return { [option]: values.join(":") };
}
