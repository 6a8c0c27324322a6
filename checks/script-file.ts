import { readFileSync } from "node:fs";
import { basename, extname } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { CheckName } from "../protocol/manifest.ts";
import { ExitCode, ExitError } from "../runtime/exit.ts";
import { describeError } from "../runtime/log.ts";
import { type CheckDefinition, sha256Hex } from "./check.ts";
import { defaultIntervalSeconds, defaultTimeoutSeconds } from "./local.ts";

export interface ScriptOptions {
  readonly file: string;
  readonly language?: string | undefined;
  /** JSON, or @FILE with JSON in it. */
  readonly config?: string | undefined;
  readonly permissions?: string | undefined;
  readonly timeout?: string | undefined;
}

/** The definition that a node would make of a policy with this script; a usage error where it could not. */
export function readScriptFile(options: ScriptOptions): CheckDefinition {
  const script = readOrExplain(options.file);
  const language = options.language ?? guessLanguage(options.file, script);
  if (language !== "bash" && language !== "python") {
    throw new ExitError(
      ExitCode.usage,
      `${options.file}: neither .sh nor .py; say --language bash or --language python`,
    );
  }
  const timeoutSeconds = Number(options.timeout ?? defaultTimeoutSeconds);
  if (!(timeoutSeconds >= 1)) throw new ExitError(ExitCode.usage, "--timeout: a number of seconds, at least 1");
  return {
    name: nameOf(options.file),
    language,
    script,
    scriptSha256: sha256Hex(script),
    config: readObject("--config", options.config),
    schedule: { intervalSeconds: defaultIntervalSeconds },
    timeoutSeconds,
    permissions: readObject("--permissions", options.permissions),
    source: "command",
  };
}

/** The shebang is only a hint here; a node runs what the policy's language says. */
function guessLanguage(file: string, script: Uint8Array): string | undefined {
  const byExtension: Record<string, string> = { ".sh": "bash", ".bash": "bash", ".py": "python" };
  const firstLine = new TextDecoder().decode(script.subarray(0, 200)).split("\n")[0] ?? "";
  return byExtension[extname(file)] ?? /^#!.*\b(bash|python)[0-9.]*\b/.exec(firstLine)?.[1];
}

function nameOf(file: string): string {
  const name = basename(file, extname(file))
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, "_");
  return Value.Check(CheckName, name) ? name : "check";
}

function readObject(option: string, text: string | undefined): Record<string, unknown> {
  if (text === undefined) return {};
  const source = text.startsWith("@") ? new TextDecoder().decode(readOrExplain(text.slice(1))) : text;
  try {
    const value: unknown = JSON.parse(source);
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return { ...value };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ExitError(ExitCode.usage, `${option}: not JSON (${error.message})`);
  }
  throw new ExitError(ExitCode.usage, `${option}: a JSON object is needed, like {"paths": ["/data"]}`);
}

function readOrExplain(file: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(file));
  } catch (error) {
    throw new ExitError(ExitCode.usage, `${file}: cannot be read: ${String(describeError(error))}`, { cause: error });
  }
}
