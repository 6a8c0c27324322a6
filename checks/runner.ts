import { type CheckDefinition, type CheckRun, noRun } from "./check.ts";
import type { CheckLimits } from "./config.ts";
import { judgeCheck } from "./permissions.ts";
import type { Sandbox } from "./sandbox/sandbox.ts";

export interface CheckRunner {
  /** Never rejects. Must be called on the main thread: a sandbox dies with the thread that started it. */
  run(definition: CheckDefinition, signal: AbortSignal): Promise<CheckRun>;
}

export function createCheckRunner(sandbox: Sandbox, limits: CheckLimits): CheckRunner {
  return {
    run: async (definition, signal) => {
      const judgement = judgeCheck(definition, limits);
      if ("refused" in judgement) return noRun("refused", judgement.refused);
      return sandbox.run(definition, judgement.granted, signal);
    },
  };
}
