import { type CheckDefinition, sha256Hex } from "../check.ts";
import type { BuiltinSettings } from "../config.ts";
import { builtinChecks } from "./registry.ts";

const noScript = new Uint8Array();
const noScriptSha256 = sha256Hex(noScript);
/** A grading takes milliseconds; its source has a deadline of its own. */
const timeoutSeconds = 30;

/** The builtin checks that this node runs by itself: all that nothing else has the name of and its owner has not switched off. */
export function builtinDefinitions(
  settings: Readonly<Record<string, BuiltinSettings>>,
  others: readonly CheckDefinition[],
): CheckDefinition[] {
  const taken = new Set(others.map(({ name }) => name));
  return builtinChecks
    .filter(({ name }) => !taken.has(name) && settings[name]?.enabled !== false)
    .map(({ name, intervalSeconds }) => {
      const { enabled: _enabled, interval_seconds: interval = intervalSeconds, ...config } = settings[name] ?? {};
      return {
        name,
        language: "builtin",
        script: noScript,
        scriptSha256: noScriptSha256,
        config,
        schedule: { intervalSeconds: interval },
        timeoutSeconds,
        permissions: {},
        source: "builtin",
      };
    });
}

/** The owner of the node has the last word: over a policy's parameters, its interval, and whether it runs. */
export function withOwnerSettings(
  settings: Readonly<Record<string, BuiltinSettings>>,
  definitions: readonly CheckDefinition[],
): CheckDefinition[] {
  return definitions.flatMap((definition) => {
    const own = settings[definition.name];
    if (definition.language !== "builtin" || own === undefined) return [definition];
    const { enabled = true, interval_seconds: interval, ...config } = own;
    if (!enabled) return [];
    const schedule = interval === undefined ? definition.schedule : { intervalSeconds: interval };
    return [{ ...definition, schedule, config: { ...definition.config, ...config } }];
  });
}
