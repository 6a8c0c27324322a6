import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { isErrno } from "../../collectors/read.ts";
import { describeError } from "../../runtime/log.ts";
import { childFd } from "./command.ts";
import { createMemoryFile, execute } from "./libc.ts";

/** What the daemon hands to `aami check exec` as JSON. */
interface Plan {
  readonly argv: readonly string[];
  readonly options: readonly string[];
  readonly grants: readonly string[];
  readonly uid: number;
}

const O_PATH = 0o10000000;
const mostRemovedEntries = 100_000;

/**
 * The last step before the sandbox for checks that may write: opens their probe directories and becomes the sandbox.
 * It runs in the check's own process because a probe directory lies on storage that may hang, and the daemon must not.
 */
export function executeWithGrants(): never {
  const plan = JSON.parse(readFileSync(childFd.plan, "utf8")) as Plan;
  const opened = plan.grants.flatMap((path) => {
    try {
      const fd = openProbeDirectory(path, plan.uid);
      emptyDirectory(fd, plan.uid);
      return [{ path, fd }];
    } catch (error) {
      note(`${path} cannot be written: ${String(describeError(error))}`);
      return [];
    }
  });
  const binds = opened.flatMap(({ path, fd }) => ["--bind-fd", String(fd), path]);
  // Before the options that drop rights, but after every mount that could cover the directory.
  const at = plan.options.indexOf("--chdir");
  const options = [...plan.options.slice(0, at), ...binds, ...plan.options.slice(at)];
  const file = createMemoryFile(options.map((option) => `${option}\0`).join(""));
  const argv = plan.argv.map((part, index) => (plan.argv[index - 1] === "--args" ? String(file) : part));
  const { seccomp, script, config, mountinfo, status } = childFd;
  // What was inherited stays open in the sandbox unless it is closed here.
  for (const fd of [childFd.plan, childFd.options]) closeSync(fd);
  execute(argv, [seccomp, script, config, mountinfo, status, file, ...opened.map(({ fd }) => fd)]);
}

/**
 * Component by component, none of them a link: whoever may write in a parent could otherwise point the grant at /etc,
 * and the bind would be made by root.
 */
export function openProbeDirectory(path: string, uid: number): number {
  let directory = openSync("/", O_PATH | constants.O_DIRECTORY);
  for (const name of path.split("/").slice(1)) {
    const parent = directory;
    try {
      directory = openSync(`/proc/self/fd/${parent}/${name}`, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    } finally {
      closeSync(parent);
    }
  }
  const { uid: owner } = fstatSync(directory);
  if (owner === uid) return directory;
  closeSync(directory);
  throw new Error(`it belongs to uid ${owner}, not to the check user`);
}

/**
 * What an earlier run left there and the check user owns; never through a link, never into another file system. The
 * root of a mounted file system is no probe directory, whoever owns it: nothing is removed there.
 */
function emptyDirectory(fd: number, uid: number): void {
  const { dev } = fstatSync(fd);
  if (lstatSync(`/proc/self/fd/${fd}/..`).dev !== dev) return;
  let removed = 0;
  const visit = (directory: string): void => {
    for (const name of readdirSync(directory)) {
      const path = `${directory}/${name}`;
      const entry = lstatSync(path);
      if (entry.uid !== uid || entry.dev !== dev || removed++ > mostRemovedEntries) continue;
      if (!entry.isDirectory()) {
        unlinkSync(path);
        continue;
      }
      const inner = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
      try {
        visit(`/proc/self/fd/${inner}`);
      } finally {
        closeSync(inner);
      }
      removeIfEmpty(path);
    }
  };
  visit(`/proc/self/fd/${fd}`);
}

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (!isErrno(error, "ENOTEMPTY", "EEXIST", "EBUSY")) throw error;
  }
}

function note(text: string): void {
  writeSync(childFd.status, `${JSON.stringify({ "aami-note": text })}\n`);
}
