import { type Static, type TObject, type TProperties, Type as t } from "@sinclair/typebox";
import { ChecksConfig } from "../checks/config.ts";
import type { CollectorDefinition } from "../collectors/collector.ts";
import { collectorDefinitions } from "../collectors/registry.ts";
import { defaultStateDirectory } from "./control.ts";
import { ServerConfig } from "./node/config.ts";

/*
 * One schema is the type, the defaults, the ranges, the documentation and the command line: a property with
 * `flag: "web.max-requests"` is also that flag, with node_exporter's spelling. Further keywords for flags: `hidden`
 * (not in --help), `deprecated` (accepted with a warning that names `replacedBy`), `duration` (the flag's value has a unit, "5s").
 */
const closed = { additionalProperties: false } as const;
const section = <P extends TProperties>(properties: P, description: string) =>
  t.Object(properties, { ...closed, default: {}, description });
const folder = (path: string, flag: string, description: string) =>
  t.String({ default: path, minLength: 1, flag, description });

const WebSection = section(
  {
    listen_addresses: t.Array(t.String({ minLength: 1 }), {
      default: [":9100"],
      minItems: 1,
      flag: "web.listen-address",
      description:
        "Addresses to listen on: host:port, [IPv6]:port, :port or 0.0.0.0:port for all of both families, or vsock://:port.",
    }),
    telemetry_path: t.String({
      default: "/metrics",
      pattern: "^/",
      expects: "a path that begins with /",
      flag: "web.telemetry-path",
      description: "Path of the metrics page.",
    }),
    config_file: t.String({
      default: "",
      flag: "web.config.file",
      description: "File with TLS, passwords and headers in the format of every Prometheus exporter; empty for none.",
    }),
    max_requests: t.Integer({
      default: 40,
      flag: "web.max-requests",
      description: "Scrapes answered at the same time, 503 beyond; 0 or less for no limit.",
    }),
    disable_exporter_metrics: t.Boolean({
      default: false,
      flag: "web.disable-exporter-metrics",
      description: "Leave out what the daemon tells about itself (promhttp_*, process_*).",
    }),
    enable_lifecycle: t.Boolean({
      default: false,
      flag: "web.enable-lifecycle",
      description: "Let other machines too ask for a reload by POST /-/reload.",
    }),
    systemd_socket: t.Boolean({
      default: false,
      flag: "web.systemd-socket",
      description: "Listen on the sockets that a systemd socket unit passes, instead of listen_addresses.",
    }),
  },
  "The HTTP server.",
);

const PathsSection = section(
  {
    procfs: folder("/proc", "path.procfs", "Mount point of procfs."),
    sysfs: folder("/sys", "path.sysfs", "Mount point of sysfs."),
    rootfs: folder("/", "path.rootfs", "Mount point of the host's root file system."),
    udev_data: folder("/run/udev/data", "path.udev.data", "Folder of udev's data."),
  },
  "Where the machine is, for a daemon in a container.",
);

const ScrapeSection = section(
  {
    collector_timeout_seconds: t.Number({
      default: 5,
      minimum: 0.1,
      maximum: 300,
      description: "A scrape waits this long for a collector, or less when Prometheus announces a shorter timeout.",
    }),
    timeout_margin_seconds: t.Number({
      default: 0.5,
      minimum: 0,
      maximum: 30,
      description: "Kept free of the timeout that Prometheus announces, to send the page.",
    }),
    disable_default_collectors: t.Boolean({
      default: false,
      flag: "collector.disable-defaults",
      description: "Run only the collectors that are enabled explicitly.",
    }),
  },
  "How a scrape is answered.",
);

const LogSection = section(
  {
    level: t.Union([t.Literal("debug"), t.Literal("info"), t.Literal("warn"), t.Literal("error")], {
      default: "info",
      flag: "log.level",
      description: "Only messages of this severity or above.",
    }),
    format: t.Union([t.Literal("json"), t.Literal("logfmt")], {
      default: "json",
      flag: "log.format",
      description: "One JSON object a line, or key=value pairs.",
    }),
  },
  "What is written to standard error.",
);

function collectorSection({ options, description, enabledByDefault, name }: CollectorDefinition): TObject {
  const enabled = t.Optional(
    t.Boolean({
      flag: `collector.${name}`,
      enabledByDefault,
      description: `${description} ${enabledByDefault ? "Enabled" : "Disabled"} by default.`,
    }),
  );
  return section({ enabled, ...options.properties }, description);
}

const CollectorsSection = section(
  Object.fromEntries(collectorDefinitions.map((definition) => [definition.name, collectorSection(definition)])),
  "Collectors by name.",
);

/** The whole of /etc/aami/daemon.yaml. Every key is optional. */
export const DaemonConfig = t.Object(
  {
    web: WebSection,
    paths: PathsSection,
    scrape: ScrapeSection,
    collectors: t.Unsafe<Record<string, CollectorSettings>>(CollectorsSection),
    log: LogSection,
    state_directory: t.String({
      default: defaultStateDirectory,
      pattern: "^/",
      expects: "a path that begins with /",
      description: "Folder of the daemon's own database: identity, checks, results.",
    }),
    server: t.Optional(ServerConfig),
    checks: ChecksConfig,
  },
  { ...closed, description: "Configuration of aami daemon." },
);
export type DaemonConfig = Static<typeof DaemonConfig>;

/** `enabled` is undefined when neither the file nor a flag says anything. */
export type CollectorSettings = { readonly enabled?: boolean } & Readonly<Record<string, unknown>>;

/** The collectors to run, with their options; names as in the registry. */
export function enabledCollectors({ collectors, scrape }: DaemonConfig): Map<string, Record<string, unknown>> {
  const enabled = new Map<string, Record<string, unknown>>();
  for (const { name, enabledByDefault } of collectorDefinitions) {
    const { enabled: wanted, ...options } = collectors[name] ?? {};
    if (wanted ?? (enabledByDefault && !scrape.disable_default_collectors)) enabled.set(name, options);
  }
  return enabled;
}
