import { type Static, type TObject, type TSchema, Type as t } from "@sinclair/typebox";
import { builtinChecks } from "./builtin/registry.ts";

const prefix = t.String({ pattern: "^/", expects: "a path that begins with /" });

/**
 * What this node lets any policy have, whoever signed it. A policy that asks for more is refused and says so; nothing
 * is silently taken away from it.
 */
export const CheckLimits = t.Object(
  {
    views: t.Array(t.Union([t.Literal("minimal"), t.Literal("hostfs")]), {
      default: ["minimal"],
      description: "Views of the file system a policy may ask for. hostfs shows the whole host read-only.",
    }),
    paths: t.Array(prefix, {
      default: ["/"],
      description: "Mount points at or below these paths may be shown to a check, read-only.",
    }),
    write: t.Array(prefix, {
      default: ["/"],
      description: "Probe directories below these paths may be written, if the check user owns them.",
    }),
    devices: t.Array(t.String({ pattern: "^(nvidia|amd|infiniband)$", expects: "nvidia, amd or infiniband" }), {
      default: [],
      description: "Device grants a policy may ask for: nvidia, amd, infiniband.",
    }),
    memory_bytes: t.Integer({ default: 1024 ** 3, minimum: 16 * 1024 ** 2, description: "Most memory of one run." }),
    pids: t.Integer({ default: 256, minimum: 4, maximum: 4096, description: "Most processes and threads of one run." }),
    output_bytes: t.Integer({
      default: 4 * 1024 ** 2,
      minimum: 1024,
      maximum: 16 * 1024 ** 2,
      description: "Most standard output of one run.",
    }),
    timeout_seconds: t.Number({ default: 600, minimum: 1, maximum: 3600, description: "Longest run." }),
    interval_seconds: t.Number({ default: 5, minimum: 1, description: "Shortest interval." }),
    series: t.Integer({ default: 1000, minimum: 1, maximum: 50_000, description: "Most series of one check." }),
  },
  { additionalProperties: false, default: {} },
);
export type CheckLimits = Static<typeof CheckLimits>;

const BuiltinSection = t.Object(
  Object.fromEntries(
    builtinChecks.map(({ name, description, parameters }) => [
      name,
      t.Optional(
        t.Object(
          {
            enabled: t.Optional(t.Boolean({ description: "Run this check, whatever a policy says." })),
            interval_seconds: t.Optional(t.Number({ minimum: 5, description: "Time between two runs." })),
            // Without defaults here: what is not written leaves the word to a policy.
            ...t.Partial(withoutDefaults(parameters)).properties,
          },
          { additionalProperties: false, description },
        ),
      ),
    ]),
  ),
  {
    additionalProperties: false,
    default: {},
    description: "Builtin checks by name; their parameters win over a policy's.",
  },
);

function withoutDefaults(schema: TObject): TObject {
  const properties = Object.entries(schema.properties).map(([name, { default: _default, ...property }]) => [
    name,
    property as TSchema,
  ]);
  return t.Object(Object.fromEntries(properties));
}

export type BuiltinSettings = { readonly enabled?: boolean; readonly interval_seconds?: number } & Readonly<
  Record<string, unknown>
>;

/** The `checks:` section of daemon.yaml. */
export const ChecksConfig = t.Object(
  {
    enabled: t.Boolean({ default: true, description: "Run checks on this node." }),
    user: t.String({
      default: "aami-check",
      pattern: "^[a-z_][a-z0-9_-]{0,31}$",
      expects: "the name of a user",
      description: "System user that check scripts run as. Nothing else may run as this user.",
    }),
    concurrency: t.Integer({ default: 8, minimum: 1, maximum: 64, description: "Checks running at the same time." }),
    local_directory: t.String({
      default: "/usr/local/lib/aami/checks",
      pattern: "^(/|$)",
      expects: "an absolute path, or nothing",
      description: "Scripts of this node's owner: NAME.sh or NAME.py with an optional NAME.yaml. Empty: none.",
    }),
    textfile_directory: t.String({
      default: "",
      pattern: "^(/|$)",
      expects: "an absolute path, or nothing",
      description: "Also write all results to aami_checks.prom here, for a node_exporter that stays. Empty: no.",
    }),
    cgroup: t.Union([t.Literal("auto"), t.Literal("off")], {
      default: "auto",
      description: "auto: a cgroup v2 leaf for every run where the unit has a delegated tree. off: rlimits only.",
    }),
    limits: CheckLimits,
    builtin: t.Unsafe<Record<string, BuiltinSettings>>(BuiltinSection),
  },
  { additionalProperties: false, default: {} },
);
export type ChecksConfig = Static<typeof ChecksConfig>;
/** Which checks this node has, beside those of policies. The rest is how they run, and is fixed at start. */
export const selectionKeys = ["enabled", "local_directory", "builtin"] as const;
export type CheckSelection = Pick<ChecksConfig, (typeof selectionKeys)[number]>;
