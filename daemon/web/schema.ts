import { type Static, type TSchema, Type } from "@sinclair/typebox";

const optional = <T extends TSchema>(schema: T) => Type.Optional(schema);
const file = (what: string) =>
  Type.String({ description: `${what}; relative paths start at this file. Empty for none.` });
const inline = (what: string) => Type.String({ description: `${what}, PEM, where there is no file.` });
const oneOf = <const T extends readonly string[]>(values: T, description: string) =>
  Type.Union(
    values.map((value) => Type.Literal(value)),
    { description },
  ) as unknown as TSchema & { static: T[number] };

export const clientAuthTypes = [
  "NoClientCert",
  "RequestClientCert",
  "RequireAnyClientCert",
  "RequireClientCert",
  "VerifyClientCertIfGiven",
  "RequireAndVerifyClientCert",
  "",
] as const;
export const tlsVersions = ["TLS10", "TLS11", "TLS12", "TLS13"] as const;

export const TlsServerConfig = Type.Object(
  {
    cert_file: optional(file("Server certificate chain")),
    key_file: optional(file("Private key of the server certificate")),
    cert: optional(inline("Server certificate chain")),
    key: optional(inline("Private key of the server certificate")),
    client_auth_type: optional(oneOf(clientAuthTypes, "What is asked of clients. Default NoClientCert.")),
    client_ca_file: optional(file("CA that client certificates must come from")),
    client_ca: optional(inline("CA that client certificates must come from")),
    client_allowed_sans: optional(
      Type.Array(Type.String(), { description: "A verified client certificate must carry one of these names." }),
    ),
    min_version: optional(oneOf(tlsVersions, "Default TLS12.")),
    max_version: optional(oneOf(tlsVersions, "Default TLS13.")),
    cipher_suites: optional(Type.Array(Type.String(), { description: "Go's names of TLS 1.2 suites." })),
    curve_preferences: optional(Type.Array(Type.String(), { description: "CurveP256, CurveP384, CurveP521, X25519." })),
    prefer_server_cipher_suites: optional(Type.Boolean({ description: "Accepted; the server's order always counts." })),
  },
  { additionalProperties: false },
);
export type TlsServerConfig = Static<typeof TlsServerConfig>;

const headerNames = {
  "Strict-Transport-Security": optional(Type.String()),
  "X-Content-Type-Options": optional(oneOf(["", "nosniff"] as const, "nosniff")),
  "X-Frame-Options": optional(oneOf(["", "deny", "sameorigin"] as const, "deny or sameorigin")),
  "X-XSS-Protection": optional(Type.String()),
  "Content-Security-Policy": optional(Type.String()),
};

/** The web configuration file of every Prometheus exporter (exporter-toolkit), `--web.config.file`. */
export const WebConfigSchema = Type.Object(
  {
    tls_server_config: optional(TlsServerConfig),
    http_server_config: optional(
      Type.Object(
        {
          http2: optional(Type.Boolean({ description: "HTTP/2 over TLS. Default true." })),
          headers: optional(Type.Object(headerNames, { additionalProperties: false })),
        },
        { additionalProperties: false },
      ),
    ),
    basic_auth_users: optional(
      Type.Record(Type.String(), Type.String({ secret: true }), {
        description: "User name to bcrypt hash ($2a$, $2b$ or $2y$).",
      }),
    ),
    rate_limit: optional(
      Type.Object(
        {
          interval: optional(
            Type.Union([Type.String(), Type.Number()], {
              description: "Time for one request, e.g. 1s; a bare number is nanoseconds.",
            }),
          ),
          burst: optional(Type.Integer({ minimum: 0, description: "Requests that may come at once. Default 0." })),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);
export type WebConfigFileContent = Static<typeof WebConfigSchema>;
