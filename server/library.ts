import { checkLibrary } from "../checks/library/library.ts";
import type { ShippedTemplate } from "./seed.ts";

/** The checks that a fresh server offers as templates. */
export const shippedTemplates: readonly ShippedTemplate[] = checkLibrary.map((check) => ({
  name: check.name,
  script_type: check.scriptType,
  description: check.description,
  language: check.language,
  version: check.version,
  script_content: check.script,
  default_config: { ...check.defaultConfig },
  permissions: { ...check.permissions },
  interval_seconds: check.intervalSeconds,
  timeout_seconds: check.timeoutSeconds,
}));
