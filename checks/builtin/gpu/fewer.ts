import { type Static, Type as t } from "@sinclair/typebox";
import type { Finding } from "../../verdict.ts";
import { happened } from "../builtin.ts";

/** Most GPUs that were well at once, and when that was last so. */
export const Most = t.Object({ most: t.Number(), mostAt: t.Number() });
export type Most = Static<typeof Most>;

/** After that long with fewer, the fewer are taken for what the node has. */
const forgottenAfterSeconds = 7 * 86_400;

export function observeMost({ most, mostAt }: Most, now: number, nowSeconds: number): Most {
  const isOver = nowSeconds - mostAt > forgottenAfterSeconds;
  return now >= most || isOver ? { most: now, mostAt: nowSeconds } : { most, mostAt };
}

/** `expected` is the owner's number; without one the node is compared with what it has had. */
export function missingGpus(number: number, expected: number | undefined, { most, mostAt }: Most): Finding[] {
  if (number >= (expected ?? most)) return [];
  if (expected !== undefined) {
    return [{ status: "critical", subject: "", summary: `${number} of ${expected} GPUs`, action: "reboot" }];
  }
  const summary = `${number === 1 ? "1 GPU" : `${number} GPUs`}, there have been ${most}`;
  return [{ status: "warning", subject: "", summary, action: "reboot", ...happened(mostAt) }];
}
