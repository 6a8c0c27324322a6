import { type Action, actions } from "../verdict.ts";

export const levels = ["info", "warning", "critical"] as const;
/** `info` is no reason to look at the node. */
export type Level = (typeof levels)[number];

export function toLevel(text: string | undefined): Level {
  const level = levels.find((each) => each === text);
  if (level === undefined) throw new Error(`no level: ${text}`);
  return level;
}

export function toAction(text: string | undefined): Action {
  const action = actions.find((each) => each === text);
  if (action === undefined) throw new Error(`no action: ${text}`);
  return action;
}
