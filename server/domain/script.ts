import { findBuiltinProblem } from "../../checks/builtin/problem.ts";
import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { Cron } from "croner";
import { ValidationError } from "../../protocol/errors.ts";
import { sha256Hex } from "../../protocol/keys.ts";
import {
  CheckLanguage,
  CheckName,
  defaultPermissions,
  Limits,
  Permissions,
  SandboxPath,
} from "../../protocol/manifest.ts";
import { compact } from "../store/rows.ts";
import type { Script } from "../store/scripts.ts";

export const Config = t.Record(t.String({ minLength: 1, maxLength: 128 }), t.Unknown());

/** Permissions as an admin writes them; paths may also come from the configuration, so that the two never disagree. */
export const ScriptPermissions = t.Object(
  {
    ...t.Partial(Permissions).properties,
    paths_from_config: t.Optional(
      t.Array(t.String({ minLength: 1, maxLength: 128 }), {
        maxItems: 16,
        description: "Configuration keys whose value, a path or a list of paths, is added to `paths`.",
      }),
    ),
  },
  { additionalProperties: false },
);

const Interval = t.Number({ minimum: 1, maximum: 86400, description: "Default 60." });
const Schedule = t.String({
  minLength: 1,
  maxLength: 128,
  description: "A cron pattern, instead of interval_seconds.",
});
const Timeout = t.Number({ minimum: 1, maximum: 3600, description: "Default 30; shorter than the interval." });

export const scriptFields = {
  name: CheckName,
  script_type: t.String({ minLength: 1, maxLength: 64 }),
  // Characters here, bytes in checkScript: a schema cannot count bytes.
  script_content: t.String({ maxLength: Limits.scriptBytes }),
  language: CheckLanguage,
  version: t.Optional(t.String({ maxLength: 64 })),
  default_config: t.Optional(Config),
  description: t.Optional(t.String({ maxLength: 2048 })),
  interval_seconds: t.Optional(Interval),
  schedule: t.Optional(Schedule),
  timeout_seconds: t.Optional(Timeout),
  permissions: t.Optional(ScriptPermissions),
};

export const NewScript = t.Object(scriptFields, { additionalProperties: false });
export type NewScript = Static<typeof NewScript>;

/** A script as it is told: one of interval_seconds and schedule, and its hash. */
export const ScriptAnswer = t.Composite([
  t.Required(t.Omit(NewScript, ["interval_seconds", "schedule"])),
  t.Object({
    interval_seconds: scriptFields.interval_seconds,
    schedule: scriptFields.schedule,
    hash: t.String({ description: "SHA-256 of script_content." }),
  }),
]);

/** What may change later. Name and type stay: they are what results and alert rules refer to. */
export const scriptChanges = {
  script_content: t.Optional(scriptFields.script_content),
  language: t.Optional(CheckLanguage),
  version: scriptFields.version,
  default_config: scriptFields.default_config,
  description: scriptFields.description,
  interval_seconds: t.Optional(t.Union([Interval, t.Null()])),
  schedule: t.Optional(t.Union([Schedule, t.Null()])),
  timeout_seconds: scriptFields.timeout_seconds,
  permissions: scriptFields.permissions,
};
export const ScriptChange = t.Object(scriptChanges, { additionalProperties: false });
export type ScriptChange = Static<typeof ScriptChange>;

export function createScript(input: NewScript): Script {
  return compact<Script>({
    name: input.name,
    script_type: input.script_type,
    script_content: input.script_content,
    language: input.language,
    version: input.version ?? "1.0.0",
    hash: sha256Hex(input.script_content),
    default_config: input.default_config ?? {},
    description: input.description ?? "",
    interval_seconds: input.interval_seconds ?? (input.schedule === undefined ? 60 : undefined),
    schedule: input.schedule,
    timeout_seconds: input.timeout_seconds ?? 30,
    permissions: input.permissions ?? {},
  });
}

/** A new schedule replaces the interval and the other way round; everything else that is absent stays. */
export function changeScript(script: Script, change: ScriptChange): Script {
  const { interval_seconds, schedule, ...rest } = change;
  const kept = { ...script, ...rest, hash: sha256Hex(rest.script_content ?? script.script_content) };
  if (interval_seconds === undefined && schedule === undefined) return kept;
  return compact<Script>({ ...kept, interval_seconds: interval_seconds ?? undefined, schedule: schedule ?? undefined });
}

/** What a schema cannot say; throws ValidationError naming the field. `config` is the merged configuration. */
export function checkScript(script: Script, config: Readonly<Record<string, unknown>>): void {
  const { script_content: content } = script;
  if (Buffer.byteLength(content) > Limits.scriptBytes) fail("script_content", `more than ${Limits.scriptBytes} bytes`);
  if (script.language !== "builtin" && content.trim() === "") fail("script_content", "the script is empty");
  if (content.includes("\0")) fail("script_content", "the script contains a NUL character");
  if (content.startsWith("\ufeff")) fail("script_content", "the script begins with a byte order mark");
  const line = content.split("\n").findIndex((text) => text.endsWith("\r")) + 1;
  if (line > 0) fail("script_content", `line ${line} ends with a carriage return; save it with Unix line ends`);
  if (Buffer.byteLength(JSON.stringify(config)) > Limits.configBytes)
    fail("config", `more than ${Limits.configBytes} bytes`);
  // Every node would refuse it, each for itself, where nobody looks.
  const problem = script.language === "builtin" ? findBuiltinProblem(script.name, config) : undefined;
  if (problem !== undefined) fail(problem.field, problem.message);
  checkTiming(script);
  resolvePermissions(script, config);
}

function checkTiming({ interval_seconds, schedule, timeout_seconds }: Script): void {
  if ((interval_seconds === undefined) === (schedule === undefined)) {
    fail("schedule", "give exactly one of interval_seconds and schedule");
  }
  if (interval_seconds !== undefined && timeout_seconds >= interval_seconds) {
    fail("timeout_seconds", `${timeout_seconds} is not shorter than interval_seconds ${interval_seconds}`);
  }
  if (schedule === undefined) return;
  try {
    new Cron(schedule, { paused: true });
  } catch (error) {
    fail("schedule", `not a cron pattern: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The complete permissions of the manifest, with the paths that the configuration names. */
export function resolvePermissions(
  { permissions }: Pick<Script, "permissions">,
  config: Readonly<Record<string, unknown>>,
): Permissions {
  const { paths_from_config: keys = [], ...given } = permissions as Static<typeof ScriptPermissions>;
  const fromConfig = keys.flatMap((key) => readPaths(key, config[key]));
  const complete = { ...defaultPermissions, ...given, paths: [...new Set([...(given.paths ?? []), ...fromConfig])] };
  if (!Value.Check(Permissions, complete)) {
    const fault = Value.Errors(Permissions, complete).First();
    fail(`permissions${fault?.path.replaceAll("/", ".") ?? ""}`, fault?.message ?? "malformed");
  }
  return complete;
}

function readPaths(key: string, value: unknown): string[] {
  if (value === undefined || value === null) return [];
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list.map((path) => {
    if (Value.Check(SandboxPath, path)) return path;
    return fail(`config.${key}`, `${JSON.stringify(path)} is not an absolute path of plain characters`);
  });
}

function fail(field: string, message: string): never {
  throw new ValidationError(`${field}: ${message}`, { details: { field } });
}
