import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { errnoOf } from "../read.ts";

/**
 * How `aami gpu release` talks to the daemon: a file that only root can write, in a folder that a reboot empties. There
 * is nothing to reach over the network, and nothing to remember when the one who asked never comes back.
 */
export const defaultReleaseFile = "/run/aami/gpu-release";

export interface ReleaseRequest {
  /** The devices are taken back at this time at the latest. */
  readonly untilMs: number;
}

/** What the daemon says about it, in a file beside. */
export interface ReleaseState {
  readonly released: boolean;
  /** Processes that are stuck in the driver and keep their handles. */
  readonly abandoned: number;
  readonly untilMs: number;
}

const longestMs = 24 * 3_600_000;

/** Undefined when nothing is asked for, or no longer. A file that makes no sense asks for nothing. */
export function readReleaseRequest(file: string, nowMs: number): ReleaseRequest | undefined {
  // Asked every two seconds; an exception each time would be most of what an idle daemon does.
  if (!existsSync(file)) return undefined;
  const request = readJson(file);
  if (!isRecord(request) || typeof request["untilMs"] !== "number") return undefined;
  const { untilMs } = request;
  return untilMs > nowMs && untilMs <= nowMs + longestMs ? { untilMs } : undefined;
}

export function readReleaseState(file: string): ReleaseState | undefined {
  const state = readJson(`${file}.state`);
  if (!isRecord(state)) return undefined;
  const { released, abandoned, untilMs } = state;
  if (typeof released !== "boolean" || typeof abandoned !== "number" || typeof untilMs !== "number") return undefined;
  return { released, abandoned, untilMs };
}

export function writeReleaseRequest(file: string, request: ReleaseRequest): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
  replaceFile(file, request);
}

export function writeReleaseState(file: string, state: ReleaseState): void {
  replaceFile(`${file}.state`, state);
}

export function removeReleaseRequest(file: string): void {
  rmSync(file, { force: true });
}

function replaceFile(file: string, content: unknown): void {
  writeFileSync(`${file}.new`, JSON.stringify(content), { mode: 0o644 });
  renameSync(`${file}.new`, file);
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    if (error instanceof SyntaxError || errnoOf(error) !== undefined) return undefined;
    throw error;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
