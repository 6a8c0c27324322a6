import { Value } from "@sinclair/typebox/value";
import { type CheckDefinition, sha256Hex } from "../../checks/check.ts";
import { CheckLimits } from "../../checks/config.ts";

export function defineScript(text: string, changes: Partial<CheckDefinition> = {}): CheckDefinition {
  const script = new TextEncoder().encode(text);
  return {
    name: "demo",
    language: "bash",
    script,
    scriptSha256: sha256Hex(script),
    config: {},
    schedule: { intervalSeconds: 60 },
    timeoutSeconds: 30,
    permissions: {},
    source: "bundle",
    ...changes,
  };
}

export function limitsWith(changes: Partial<CheckLimits> = {}): CheckLimits {
  const defaults: unknown = Value.Default(CheckLimits, {});
  if (!Value.Check(CheckLimits, defaults)) throw new Error("the defaults do not fit the schema");
  return { ...defaults, ...changes };
}
