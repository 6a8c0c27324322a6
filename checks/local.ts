import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readFileSync, type Stats } from "node:fs";
import { extname, join } from "node:path";
import { parse } from "yaml";
import { parseMountInfo } from "../collectors/mounts/table.ts";
import { isErrno } from "../collectors/read.ts";
import { CheckName } from "../protocol/manifest.ts";
import { describeError } from "../runtime/log.ts";
import { type CheckDefinition, sha256Hex } from "./check.ts";
import { enclosingMount } from "./sandbox/skeleton.ts";

/** NAME.yaml beside NAME.sh or NAME.py. */
export const LocalCheckSettings = t.Object(
  {
    config: t.Optional(t.Record(t.String(), t.Unknown(), { description: "Handed to the script." })),
    interval_seconds: t.Optional(t.Number({ minimum: 1, description: "Time between two runs." })),
    schedule: t.Optional(t.String({ description: "A cron pattern, instead of an interval." })),
    timeout_seconds: t.Optional(t.Number({ minimum: 1, description: "Longest run." })),
    permissions: t.Optional(t.Record(t.String(), t.Unknown(), { description: "As in a policy." })),
  },
  { additionalProperties: false },
);
export type LocalCheckSettings = Static<typeof LocalCheckSettings>;

export const defaultIntervalSeconds = 60;
export const defaultTimeoutSeconds = 30;

export interface LocalChecks {
  readonly definitions: readonly CheckDefinition[];
  /** Files that were left out, each with its reason. */
  readonly problems: readonly string[];
}

const languages: Readonly<Record<string, string>> = { ".sh": "bash", ".py": "python" };
const mostBytes = 256 * 1024;
/** Reading from these could stop the daemon for as long as a server is away. */
const remoteFilesystems = /^(nfs|cifs|smb|lustre|gpfs|beegfs|ceph|fuse|9p|glusterfs|afs|autofs)/;

/**
 * The scripts of the node's owner. They run under the same rules as those of a bundle; only root may have put them
 * there. A directory that is not there is no problem, a file that is not as it has to be costs that file.
 */
export function readLocalChecks(directory: string): LocalChecks {
  const problems: string[] = [];
  if (directory === "" || !isReadable(directory, problems)) return { definitions: [], problems };
  const definitions = new Map<string, CheckDefinition>();
  for (const file of readdirSync(directory).sort()) {
    const language = languages[extname(file)];
    const name = file.slice(0, -3);
    if (language === undefined) continue;
    try {
      if (!Value.Check(CheckName, name)) throw new Error("the name of a check is lower-case letters, digits, _ and -");
      if (definitions.has(name)) throw new Error("there is a script of that name in the other language");
      definitions.set(name, readDefinition(directory, file, name, language));
    } catch (error) {
      problems.push(`${join(directory, file)}: ${String(describeError(error))}`);
    }
  }
  return { definitions: [...definitions.values()], problems };
}

function isReadable(directory: string, problems: string[]): boolean {
  const filesystem = filesystemOf(directory);
  if (remoteFilesystems.test(filesystem)) {
    problems.push(`${directory} is on ${filesystem}: local checks are read from local file systems only`);
    return false;
  }
  const entry = lstatSync(directory, { throwIfNoEntry: false });
  if (entry === undefined) return false;
  const problem = entry.isDirectory() ? ownershipProblem(entry) : "not a directory";
  if (problem !== undefined) problems.push(`${directory}: ${problem}`);
  return problem === undefined;
}

function filesystemOf(path: string): string {
  const mounts = parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8"));
  const point = enclosingMount(path, mounts);
  return mounts.findLast(({ mountPoint }) => mountPoint === point)?.fstype ?? "";
}

function readDefinition(directory: string, file: string, name: string, language: string): CheckDefinition {
  const script = readTrustedFile(join(directory, file));
  if (script === undefined) throw new Error("it is gone again");
  const settings = readSettings(join(directory, `${name}.yaml`));
  const { interval_seconds: intervalSeconds = defaultIntervalSeconds, schedule } = settings;
  return {
    name,
    language,
    script,
    scriptSha256: sha256Hex(script),
    config: settings.config ?? {},
    schedule: schedule === undefined ? { intervalSeconds } : { cron: schedule },
    timeoutSeconds: settings.timeout_seconds ?? defaultTimeoutSeconds,
    permissions: settings.permissions ?? {},
    source: "local",
  };
}

function readSettings(path: string): LocalCheckSettings {
  const bytes = readTrustedFile(path);
  if (bytes === undefined) return {};
  const value: unknown = parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) ?? {};
  if (Value.Check(LocalCheckSettings, value)) return value;
  const [first] = Value.Errors(LocalCheckSettings, value);
  throw new Error(`${path}: ${first?.path ?? ""} ${first?.message ?? "not understood"}`);
}

/** Judged and read through one descriptor, so nothing can be exchanged in between. Undefined when there is none. */
function readTrustedFile(path: string): Uint8Array | undefined {
  let file: number;
  try {
    // Without O_NONBLOCK a fifo would be waited for.
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    if (isErrno(error, "ELOOP")) throw new Error("it is a symbolic link");
    throw error;
  }
  try {
    const entry = fstatSync(file);
    const problem = entry.isFile() ? ownershipProblem(entry) : "not a regular file";
    if (problem !== undefined) throw new Error(problem);
    if (entry.size > mostBytes) throw new Error(`more than ${mostBytes} bytes`);
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

function ownershipProblem({ uid, mode }: Pick<Stats, "uid" | "mode">): string | undefined {
  if (uid !== 0) return `it belongs to uid ${uid}, not to root`;
  return (mode & 0o022) === 0 ? undefined : "others than root may write it (chmod go-w)";
}
