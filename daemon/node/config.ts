import { type Static, Type as t } from "@sinclair/typebox";
import { GroupPath, Hostname, StringMap } from "../../protocol/registration.ts";

/** The `server:` section of daemon.yaml. Without it the daemon is a complete stand-alone exporter. */
export const ServerConfig = t.Object(
  {
    url: t.String({
      pattern: "^https?://[^\\s/?#]+/?$",
      expects: "a URL without a path, such as https://aami.example.com:8080",
      description: "Base URL of the control server, for example https://aami.example.com:8080.",
    }),
    token_file: t.String({
      default: "/etc/aami/bootstrap-token",
      description: "File of mode 0600 with the bootstrap token; deleted once the node is registered.",
    }),
    signing_key_fingerprint: t.Optional(
      t.String({
        pattern: "^[A-Za-z0-9_-]{43}$",
        expects: "the 43 characters of a fingerprint",
        description: "Fingerprint of the server's signing key, for tokens that do not carry it.",
      }),
    ),
    ca_file: t.Optional(
      t.String({ description: "PEM file with the certificate authority of the server, instead of the system's." }),
    ),
    primary_group: t.Optional(GroupPath),
    secondary_groups: t.Array(GroupPath, {
      default: [],
      maxItems: 32,
      description: "Further groups to ask for at registration.",
    }),
    labels: t.Unsafe<Static<typeof StringMap>>({
      ...StringMap,
      default: {},
      description: "Labels of this node, sent at registration; they add to the token's and win over them.",
    }),
    hostname: t.Optional({ ...Hostname, description: "Name to register under; the machine's own if absent." }),
    advertise_address: t.Optional(
      t.String({
        maxLength: 64,
        description: "Address Prometheus reaches this node at; the server sees one if absent.",
      }),
    ),
    poll_wait_seconds: t.Integer({
      default: 50,
      minimum: 1,
      maximum: 50,
      description: "How long the server may hold a poll for a new bundle.",
    }),
  },
  { additionalProperties: false, description: "Control server; leave the section out to run without one." },
);
export type ServerConfig = Static<typeof ServerConfig>;

/** What to tell the operator about this configuration, if anything. */
export function transportWarning({ url }: Pick<ServerConfig, "url">): string | undefined {
  const { protocol, hostname } = new URL(url);
  if (protocol === "https:" || /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)) return undefined;
  return "the server's address is not https: bundles stay safe by their signature, the bootstrap token does not";
}
