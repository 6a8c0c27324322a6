import { Value } from "@sinclair/typebox/value";
import { Permissions, SandboxPath } from "../protocol/manifest.ts";
import { fillDefaults } from "../runtime/defaults.ts";
import { type CheckDefinition, sha256Hex } from "./check.ts";
import type { CheckLimits } from "./config.ts";

/** What one check gets on this node. */
export interface GrantedPermissions {
  readonly view: "minimal" | "hostfs";
  /** Shown read-only where the host has a mount there. */
  readonly paths: readonly string[];
  /** Probe directories; whether the check user owns them is judged at the moment of the run. */
  readonly write: readonly string[];
  /** Glob patterns below /dev. */
  readonly devices: readonly string[];
  readonly memoryBytes: number;
  readonly pids: number;
  readonly outputBytes: number;
}

export type Judgement = { readonly granted: GrantedPermissions } | { readonly refused: string };

/** Device nodes by the name of the grant; what the check user may do with them is the matter of their mode. */
const deviceGrants: Readonly<Record<string, readonly string[]>> = {
  nvidia: ["/dev/nvidiactl", "/dev/nvidia[0-9]*", "/dev/nvidia-caps/*"],
  amd: ["/dev/kfd", "/dev/dri/renderD*"],
  infiniband: ["/dev/infiniband/umad*", "/dev/infiniband/uverbs*", "/dev/infiniband/rdma_cm"],
};

const maxScriptBytes = 256 * 1024;
/** CONFIG is one environment string, and Linux limits those to 128 KiB. */
const maxConfigBytes = 64 * 1024;
/** The sandbox has these for itself; /usr is always shown, and / is never a mount of its own in there. */
const ownTrees = /^\/(?:proc|sys|dev|run|etc|bin|sbin|lib|lib32|lib64|libx32)(?:\/|$)/;
const alwaysShown = /^\/usr(?:\/|$)/;

/** Decides before anything is started: every reason is one line that says what to change and where. */
export function judgeCheck(definition: CheckDefinition, limits: CheckLimits): Judgement {
  const refused = scriptProblem(definition) ?? scheduleLimitProblem(definition, limits);
  return refused === undefined ? judgePermissions(definition, limits) : { refused };
}

function scriptProblem({ language, script, scriptSha256, config }: CheckDefinition): string | undefined {
  if (language !== "bash" && language !== "python") return `this daemon cannot run the language ${language}`;
  if (script.byteLength > maxScriptBytes) return `the script has more than ${maxScriptBytes} bytes`;
  if (sha256Hex(script) !== scriptSha256) return "the script is not the one that was signed (SHA-256 differs)";
  if (script.includes(0)) return "the script contains a NUL byte";
  if (script[0] === 0xef && script[1] === 0xbb && script[2] === 0xbf) return "the script begins with a byte order mark";
  if (Buffer.byteLength(JSON.stringify(config)) > maxConfigBytes) {
    return `the configuration has more than ${maxConfigBytes} bytes`;
  }
  return undefined;
}

function scheduleLimitProblem({ schedule, timeoutSeconds }: CheckDefinition, limits: CheckLimits): string | undefined {
  if ("intervalSeconds" in schedule && schedule.intervalSeconds < limits.interval_seconds) {
    return beyond(`an interval of ${schedule.intervalSeconds} s`, "interval_seconds", limits.interval_seconds);
  }
  return timeoutSeconds > limits.timeout_seconds
    ? beyond(`a timeout of ${timeoutSeconds} s`, "timeout_seconds", limits.timeout_seconds)
    : undefined;
}

function judgePermissions({ permissions, config }: CheckDefinition, limits: CheckLimits): Judgement {
  const { value: asked, faults } = fillDefaults(Permissions, permissions);
  if (!Value.Check(Permissions, asked) || faults.length > 0) {
    const [first] = faults;
    return { refused: `permissions${first?.path ?? ""}: ${first?.message ?? "not understood"}` };
  }
  const refused = pathProblem(asked, limits) ?? limitProblem(asked, permissions, limits);
  if (refused !== undefined) return { refused };
  const paths = asked.paths.length > 0 ? asked.paths : pathsIn(config, limits);
  return {
    granted: {
      view: asked.view,
      paths: paths.filter((path) => !alwaysShown.test(path)),
      write: asked.write,
      devices: asked.devices.flatMap((name) => deviceGrants[name] ?? []),
      memoryBytes: Math.min(asked.memory_mb * 1024 ** 2, limits.memory_bytes),
      pids: Math.min(asked.pids, limits.pids),
      outputBytes: Math.min(asked.output_kb * 1024, limits.output_bytes),
    },
  };
}

function pathProblem({ paths, write }: Permissions, limits: CheckLimits): string | undefined {
  for (const path of [...paths, ...write]) {
    if (ownTrees.test(path)) return `${path} cannot be shown: the sandbox has a tree of its own there`;
  }
  const outside = paths.find((path) => !isBelow(path, limits.paths));
  if (outside !== undefined) return beyond(outside, "paths", limits.paths.join(", "));
  const writes = write.find((path) => !isBelow(path, limits.write));
  return writes === undefined ? undefined : beyond(`writing to ${writes}`, "write", limits.write.join(", "));
}

function limitProblem(
  asked: Permissions,
  raw: CheckDefinition["permissions"],
  limits: CheckLimits,
): string | undefined {
  if (!limits.views.includes(asked.view)) return beyond(`the view ${asked.view}`, "views", limits.views.join(", "));
  // The host's network would also reach the cloud's metadata service, and with it the identity of this machine.
  if (asked.network !== "none") return "network: host is not supported by this daemon";
  if (asked.sockets.length > 0) return `socket grants are not supported by this daemon: ${asked.sockets.join(", ")}`;
  for (const name of asked.devices) {
    if (!(name in deviceGrants)) return `this daemon knows no device grant ${name}`;
    if (!limits.devices.includes(name)) return beyond(`the devices ${name}`, "devices", limits.devices.join(", "));
  }
  // A default above the node's limit is lowered; only what was asked for in so many words is refused.
  const numbers = [
    ["memory_mb", asked.memory_mb * 1024 ** 2, "memory_bytes", limits.memory_bytes],
    ["pids", asked.pids, "pids", limits.pids],
    ["output_kb", asked.output_kb * 1024, "output_bytes", limits.output_bytes],
  ] as const;
  const above = numbers.find(([field, value, , limit]) => field in raw && value > limit);
  return above === undefined ? undefined : beyond(`${above[0]} ${String(raw[above[0]])}`, above[2], above[3]);
}

function beyond(what: string, field: keyof CheckLimits, limit: string | number): string {
  return `${what} is more than this node allows (checks.limits.${field}: ${limit === "" ? "none" : limit})`;
}

function isBelow(path: string, prefixes: readonly string[]): boolean {
  return prefixes.some(
    (prefix) => prefix === "/" || path === prefix || path.startsWith(`${prefix.replace(/\/$/, "")}/`),
  );
}

/**
 * Most scripts name the mounts they look at in their configuration. Without an explicit list those are the declared
 * paths; without this a check would call every mount missing that it was not shown.
 */
function pathsIn(config: unknown, limits: CheckLimits): string[] {
  const found = new Set<string>();
  const visit = (value: unknown, depth: number): void => {
    if (typeof value === "string" && Value.Check(SandboxPath, value)) found.add(value);
    else if (value !== null && typeof value === "object" && depth < 4) {
      for (const nested of Object.values(value)) visit(nested, depth + 1);
    }
  };
  visit(config, 0);
  return [...found].filter((path) => !ownTrees.test(path) && isBelow(path, limits.paths)).slice(0, 64);
}
