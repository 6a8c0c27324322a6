import { isErrno } from "../../collectors/read.ts";
import { ScriptError } from "../terminal.ts";
import type { Child } from "./child.ts";

const deadlineSeconds = 60;

/** Asks again until it is so; a child that dies meanwhile, or a minute without success, ends the waiting. */
export async function waitUntil(what: string, isSo: () => Promise<boolean>, child: Child): Promise<void> {
  const until = performance.now() + deadlineSeconds * 1000;
  const ask = async (): Promise<void> => {
    while (!(await isSo().catch(isRefused))) {
      if (performance.now() > until) throw new ScriptError(`after ${deadlineSeconds} s still waiting for ${what}`);
      await Bun.sleep(50);
    }
  };
  await Promise.race([ask(), child.died]);
}

/** Nobody listens yet; anything else is a real failure. */
function isRefused(error: unknown): false {
  if (isErrno(error, "ECONNREFUSED", "ECONNRESET", "ConnectionRefused")) return false;
  throw error;
}
