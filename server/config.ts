import { type Static, Type as t } from "@sinclair/typebox";
import { ExitCode, ExitError } from "../runtime/exit.ts";
import { parseTrustedProxies, type TrustedProxies } from "./http/peer.ts";

/** 0 to 65535. */
const port = "(?:6553[0-5]|655[0-2]\\d|65[0-4]\\d\\d|6[0-4]\\d{3}|[1-5]\\d{4}|\\d{1,4})";

/** server.yaml; every key has a default, so that no file is needed. */
export const ServerConfig = t.Object(
  {
    listen: t.String({
      default: "127.0.0.1:8080",
      pattern: `^(?:\\[[0-9a-fA-F:]+\\]|[^:\\s]*):${port}$`,
      expects: "ADDRESS:PORT such as 127.0.0.1:8080",
      description: "Address and port; port 0 takes a free one.",
    }),
    data: t.String({
      default: "/var/lib/aami-server",
      minLength: 1,
      description: "Folder of the database, the signing key and the first admin token.",
    }),
    database: t.Optional(
      t.String({
        secret: true,
        pattern: "^(?:sqlite|postgres|postgresql)://.",
        expects: "sqlite:///PATH or postgres://…",
        description: "sqlite:///path or postgres://…; default a SQLite file in the data folder.",
      }),
    ),
    max_body_bytes: t.Integer({ default: 1_048_576, minimum: 65_536, maximum: 67_108_864 }),
    trusted_proxies: t.Array(t.String(), {
      default: [],
      description: "Addresses and networks (10.0.0.0/8) of proxies whose X-Forwarded-For is believed.",
    }),
    nodes: t.Object(
      {
        heartbeat_write_seconds: t.Number({
          default: 5,
          minimum: 0.1,
          maximum: 60,
          description: "Heartbeats are collected this long and written together.",
        }),
        down_after_seconds: t.Integer({
          default: 180,
          minimum: 60,
          maximum: 86_400,
          description: "Silence after which a node counts as down.",
        }),
      },
      { default: {}, additionalProperties: false },
    ),
    registration: t.Object(
      {
        attempts_per_second: t.Number({ default: 50, minimum: 0.1, description: "Per address." }),
        attempts_burst: t.Integer({ default: 300, minimum: 1 }),
        failures_per_minute: t.Number({ default: 10, minimum: 0.1, description: "Refusals per address and token." }),
        failures_burst: t.Integer({ default: 20, minimum: 1 }),
      },
      { default: {}, additionalProperties: false },
    ),
    audit: t.Object(
      {
        keep_days: t.Integer({
          default: 400,
          minimum: 1,
          maximum: 36_500,
          description: "Rows of the audit log that are older are removed.",
        }),
      },
      { default: {}, additionalProperties: false },
    ),
    log: t.Object(
      {
        level: t.Union([t.Literal("debug"), t.Literal("info"), t.Literal("warn"), t.Literal("error")], {
          default: "info",
        }),
        format: t.Union([t.Literal("json"), t.Literal("logfmt")], { default: "json" }),
      },
      { default: {}, additionalProperties: false },
    ),
  },
  { additionalProperties: false },
);
export type ServerConfig = Static<typeof ServerConfig>;

export interface Listen {
  readonly hostname: string;
  readonly port: number;
}

/** Of a `listen` that the schema lets through. */
export function parseListen(text: string): Listen {
  const split = text.lastIndexOf(":");
  const hostname = text.slice(0, split).replace(/^\[(.*)\]$/, "$1");
  return { hostname: hostname || "0.0.0.0", port: Number(text.slice(split + 1)) };
}

export function readTrustedProxies({ trusted_proxies: entries }: ServerConfig): TrustedProxies {
  try {
    return parseTrustedProxies(entries);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new ExitError(ExitCode.badConfiguration, `trusted_proxies: ${error.message}`, { cause: error });
  }
}
