import { describeError } from "../../runtime/log.ts";

/** Counts what holds. A check that fails does not keep the others from running. */
export interface Report {
  /** Whether it holds. `evidence` is asked when it does not: what a person needs to understand why. */
  check(name: string, body: () => Promise<void>, evidence?: () => Promise<string>): Promise<boolean>;
  readonly passed: number;
  readonly failed: number;
}

export function createReport(): Report {
  let passed = 0;
  let failed = 0;
  return {
    check: async (name, body, evidence) => {
      const started = performance.now();
      const seconds = (): string => `${((performance.now() - started) / 1000).toFixed(1)} s`;
      try {
        await body();
        passed++;
        console.log(`ok     ${name} (${seconds()})`);
        return true;
      } catch (error) {
        failed++;
        console.log(`FAILED ${name} (${seconds()})\n${indent(String(describeError(error)))}`);
        if (evidence !== undefined) console.log(indent(await evidence()));
        return false;
      }
    },
    get passed() {
      return passed;
    },
    get failed() {
      return failed;
    },
  };
}

function indent(text: string): string {
  return text.trimEnd().replace(/^/gm, "       ");
}
