import { type TSchema, TypeGuard } from "@sinclair/typebox";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { builtinChecks } from "../checks/builtin/registry.ts";
import { DaemonConfig } from "../daemon/config.ts";
import { listNeedRestart } from "../daemon/reload.ts";
import { parseConfig } from "../runtime/config.ts";

/*
 * Writes the tables of docs/configuration.md from the schema of daemon.yaml: sh scripts/bun.sh test/configuration-page.ts
 */
const page = fileURLToPath(new URL("../docs/configuration.md", import.meta.url));
const marker = "<!-- Generated from here on: sh scripts/bun.sh test/configuration-page.ts -->\n";

/** The page with its tables as the schema has them now. */
export function renderConfigurationPage(text: string): string {
  const [introduction = ""] = text.split(marker);
  return `${introduction}${marker}\n${sections().join("\n\n")}\n`;
}

interface Key {
  readonly path: readonly string[];
  readonly schema: TSchema;
}

function sections(): string[] {
  const keys = keysOf(DaemonConfig, []).filter(({ schema }) => schema["deprecated"] !== true);
  const byTitle = Map.groupBy(keys, ({ path: [first = "", ...rest] }) => (rest.length === 0 ? "alone" : first));
  const head = "| key | type | default | applied by | meaning |\n|---|---|---|---|---|\n";
  return [...byTitle].map(([title, all]) => {
    const heading = title === "alone" ? "## Outside sections" : `## \`${title}\``;
    return `${heading}\n\n${head}${all.map(toRow).join("\n")}`;
  });
}

function keysOf(schema: TSchema, path: readonly string[]): Key[] {
  if (!TypeGuard.IsObject(schema)) return [{ path, schema }];
  return Object.entries(schema.properties).flatMap(([key, property]) => keysOf(property, [...path, key]));
}

function toRow({ path, schema }: Key): string {
  const cells = [`\`${path.join(".")}\``, typeOf(schema), code(defaultOf(path, schema)), appliedBy(path)];
  return `| ${cells.join(" | ")} | ${(schema.description ?? "").replaceAll("|", "\\|")} |`;
}

function typeOf(schema: TSchema): string {
  const options = schema["anyOf"] as readonly { readonly const?: unknown }[] | undefined;
  if (options !== undefined) return options.map((option) => `\`${String(option.const)}\``).join(", ");
  if (TypeGuard.IsArray(schema)) return `list of ${typeOf(schema.items)}`;
  if (TypeGuard.IsObject(schema)) return `{ ${Object.keys(schema.properties).join(", ")} }`;
  const { minimum, exclusiveMinimum, maximum } = schema as Partial<Record<string, number>>;
  const limits = [
    ...(minimum === undefined ? [] : [`from ${minimum}`]),
    ...(exclusiveMinimum === undefined ? [] : [`above ${exclusiveMinimum}`]),
    ...(maximum === undefined ? [] : [`up to ${maximum}`]),
  ];
  return [String(schema["type"]), ...limits].join(" ");
}

/** The defaults of builtin checks are their parameters'; daemon.yaml's schema leaves them to a policy. */
function defaultOf([section, kind, name, key = ""]: readonly string[], schema: TSchema): unknown {
  const check = section === "checks" && kind === "builtin" && builtinChecks.find((builtin) => builtin.name === name);
  if (!check) return schema["enabledByDefault"] ?? schema.default;
  return key === "interval_seconds" ? check.intervalSeconds : check.parameters.properties[key]?.default;
}

function code(value: unknown): string {
  if (value === undefined || value === "") return "";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return `\`${text.replaceAll("|", "\\|")}\``;
}

/** The daemon's own word, asked with this one key changed. */
function appliedBy(path: readonly string[]): string {
  const [started, next] = [parseConfig(DaemonConfig, "", ""), parseConfig(DaemonConfig, "", "")];
  let section = next as unknown as Record<string, unknown>;
  for (const key of path.slice(0, -1)) section = (section[key] ??= {}) as Record<string, unknown>;
  section[path.at(-1) ?? ""] = "another";
  return listNeedRestart(started, next).length > 0 ? "restart" : "reload";
}

if (import.meta.main) writeFileSync(page, renderConfigurationPage(readFileSync(page, "utf8")));
