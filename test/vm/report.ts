import { describeError } from "../../runtime/log.ts";

/** Counts what holds. A check that fails does not keep the others from running. */
export interface Report {
  check(name: string, body: () => Promise<void>): Promise<void>;
  readonly passed: number;
  readonly failed: number;
}

export function createReport(): Report {
  let passed = 0;
  let failed = 0;
  return {
    check: async (name, body) => {
      const started = performance.now();
      const seconds = (): string => `${((performance.now() - started) / 1000).toFixed(1)} s`;
      try {
        await body();
        passed++;
        console.log(`ok     ${name} (${seconds()})`);
      } catch (error) {
        failed++;
        console.log(
          `FAILED ${name} (${seconds()})\n       ${String(describeError(error)).replaceAll("\n", "\n       ")}`,
        );
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
