import { type TSchema, Type as t } from "@sinclair/typebox";
import { existsSync, statSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { collectorDefinitions } from "../collectors/registry.ts";
import { parseConfig, readConfigFile } from "../runtime/config.ts";
import { ExitCode, ExitError } from "../runtime/exit.ts";
import { describeError } from "../runtime/log.ts";
import { versionText } from "../runtime/version.ts";
import { DaemonConfig, enabledCollectors } from "./config.ts";
import type { EnabledCollector, LoadedConfig } from "./configuration.ts";
import { type Flag, flagsOf } from "./flags/definitions.ts";
import { flagError, type ParsedFlag, parseFlags } from "./flags/kingpin.ts";
import { legacyFlags } from "./flags/legacy.ts";
import { manText, usageText } from "./flags/usage.ts";
import { toConfigValue } from "./flags/values.ts";

export const defaultConfigFile = "/etc/aami/daemon.yaml";

/** What the command line asks for. `load` may be called again: it reads the file anew and puts the same flags over it. */
export type CommandLine =
  { readonly action: "print"; readonly text: string } | { readonly action: "run" | "check"; load(): LoadedConfig };

type FlagValues = ReadonlyMap<string, ParsedFlag<Flag>>;

const schemaFlags = flagsOf(DaemonConfig);
const ownFlags: readonly Flag[] = [
  ownFlag("help", "boolean", "Show this text (also try --help-long and --help-man)."),
  ownFlag("help-long", "boolean", "Show all flags, the deprecated ones as well."),
  ownFlag("help-man", "boolean", "Show a man page."),
  ownFlag("version", "boolean", "Show the version."),
  ownFlag("config", "string", "Configuration file; the default one may be absent.", defaultConfigFile),
  ownFlag("check-config", "boolean", "Check configuration file and flags, and end."),
  ownFlag("print-config-schema", "boolean", "Print the JSON schema of the configuration file, and end."),
];
const allFlags = [...ownFlags, ...schemaFlags, ...legacyFlags(schemaFlags)];

export function parseCommandLine(argv: readonly string[]): CommandLine {
  const { flags, error } = parseFlags(argv, new Map(allFlags.map((flag) => [flag.name, flag])));
  const isSet = (name: string): boolean => flags.get(name)?.values[0] === "true";
  // The order is kingpin's: these three win over an error that comes after them, --help does not; --no-help is --help.
  if (flags.has("version")) return { action: "print", text: versionText() };
  if (flags.has("help-long")) return { action: "print", text: usageText(allFlags, { all: true }) };
  if (flags.has("help-man")) return { action: "print", text: manText(allFlags) };
  if (error !== undefined) throw error;
  if (flags.has("help")) return { action: "print", text: usageText(allFlags, { all: false }) };
  if (isSet("print-config-schema")) return { action: "print", text: JSON.stringify(DaemonConfig, undefined, 2) };
  return { action: isSet("check-config") ? "check" : "run", load: () => loadConfig(flags) };
}

function ownFlag(name: string, kind: Flag["kind"], description: string, defaultText?: string): Flag {
  const schema: TSchema = kind === "boolean" ? t.Boolean() : t.String();
  const rest = { path: [], repeatable: false, hidden: false, deprecated: undefined, schema };
  return { name, kind, description, defaultText, ...rest };
}

function loadConfig(flags: FlagValues): LoadedConfig {
  const chosen = flags.get("config")?.values[0];
  const file = chosen ?? (existsSync(defaultConfigFile) ? defaultConfigFile : undefined);
  const config = file === undefined ? parseConfig(DaemonConfig, "", "") : readConfigFile(DaemonConfig, file);
  const setBy = new Map<string, string>();
  const warnings: string[] = [];
  for (const parsed of flags.values()) {
    const { name, path, deprecated } = parsed.flag;
    const value = toConfigValue(parsed);
    // Switching off a collector that is not here is nothing to warn about.
    if (deprecated !== undefined && value !== false) warnings.push(`--${name}: ${deprecated}`);
    if (path.length === 0) continue;
    const rival = setBy.get(path.join("."));
    if (rival !== undefined) throw flagError(`--${rival} and --${name} are mutually exclusive`);
    setBy.set(path.join("."), name);
    setIn(config, path, value);
  }
  checkCollectors(config, file, setBy);
  makeAbsolute(config);
  checkPaths(config, file, setBy);
  const knownCollectors = collectorDefinitions.map(({ name }) => name);
  return {
    config,
    collectors: listEnabled(config),
    knownCollectors,
    warnings,
    ...(file === undefined ? {} : { file }),
  };
}

function listEnabled(config: DaemonConfig): EnabledCollector[] {
  const enabled = enabledCollectors(config);
  return collectorDefinitions.flatMap(({ name, forChecks = false }) => {
    const options = enabled.get(name);
    return options === undefined ? [] : [{ name, options, forChecks }];
  });
}

/** Collectors run in "/": a path that is relative to our own working directory is made absolute before they see it. */
function makeAbsolute(config: DaemonConfig): void {
  for (const [key, path] of Object.entries(config.paths)) setIn(config, ["paths", key], resolve(path));
  const absolute = (path: unknown): unknown => (path === "" || isAbsolute(String(path)) ? path : resolve(String(path)));
  for (const { name, options } of collectorDefinitions) {
    for (const [key, schema] of Object.entries(options.properties)) {
      if (schema["path"] !== true) continue;
      const value = config.collectors[name]?.[key];
      setIn(config, ["collectors", name, key], Array.isArray(value) ? value.map(absolute) : absolute(value ?? ""));
    }
  }
}

function setIn(config: DaemonConfig, path: readonly string[], value: unknown): void {
  let section = config as unknown as Record<string, unknown>;
  for (const key of path.slice(0, -1)) section = section[key] as Record<string, unknown>;
  section[path.at(-1) ?? ""] = value;
}

/** Regular expressions and options that exclude each other are judged by the collectors themselves, before any runs. */
function checkCollectors(config: DaemonConfig, file: string | undefined, setBy: ReadonlyMap<string, string>): void {
  const enabled = enabledCollectors(config);
  for (const definition of collectorDefinitions) {
    const options = enabled.get(definition.name);
    if (options === undefined) continue;
    try {
      definition.create(options);
    } catch (error) {
      const byFlag = [...setBy.keys()].some((path) => path.startsWith(`collectors.${definition.name}.`));
      throw unusable(
        `collectors.${definition.name}: ${String(describeError(error))}`,
        byFlag ? undefined : file,
        error,
      );
    }
  }
}

function checkPaths({ paths }: DaemonConfig, file: string | undefined, setBy: ReadonlyMap<string, string>): void {
  for (const key of ["procfs", "sysfs"] as const) {
    if (statSync(paths[key], { throwIfNoEntry: false })?.isDirectory()) continue;
    throw unusable(`paths.${key}: ${paths[key]} is not a folder`, setBy.has(`paths.${key}`) ? undefined : file);
  }
}

/** node_exporter ends with 2 when a flag's value cannot be used; a bad file is 78 like any other configuration. */
function unusable(problem: string, file: string | undefined, cause?: unknown): ExitError {
  const options = cause === undefined ? undefined : { cause };
  if (file === undefined) return new ExitError(ExitCode.usage, problem, options);
  return new ExitError(ExitCode.badConfiguration, `${file}: ${problem}`, options);
}
