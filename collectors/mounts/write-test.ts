import { randomBytes } from "node:crypto";
import { closeSync, constants, fsyncSync, mkdirSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";

export interface WriteTest {
  /** A folder of the mount for this purpose alone, never its root: a thousand nodes would contend for the root's lock. */
  readonly directory: string;
  /** Names this node's folder under it. The file's name is fixed, so a killed writer leaves one file at most. */
  readonly nodeName: string;
  /** Who writes; root is often mapped to nobody on NFS. */
  readonly uid?: number;
  readonly gid?: number;
}

const { O_CREAT, O_NOFOLLOW, O_RDONLY, O_TRUNC, O_WRONLY } = constants;

/**
 * Writes 64 random bytes and reads them back; throws the system's error. fsync is part of it, as NFS reports a full
 * server only there, and so is close. access(W_OK) would prove nothing: it says yes on an ext4 that turned read-only.
 */
export function runWriteTest(test: WriteTest): void {
  asUser(test, () => {
    const folder = join(test.directory, test.nodeName);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const file = join(folder, "write-test");
    const written = randomBytes(64);
    withFile(file, O_CREAT | O_TRUNC | O_NOFOLLOW | O_WRONLY, (fd) => {
      writeSync(fd, written);
      fsyncSync(fd);
    });
    const read = Buffer.alloc(65);
    const length = withFile(file, O_RDONLY | O_NOFOLLOW, (fd) => readSync(fd, read, 0, read.length, 0));
    if (!read.subarray(0, length).equals(written)) {
      throw Object.assign(new Error("read back other bytes than written"), { code: "EBADMSG" });
    }
    unlinkSync(file);
  });
}

function withFile<T>(path: string, flags: number, work: (fd: number) => T): T {
  const fd = openSync(path, flags, 0o600); // Bun sets O_CLOEXEC
  let result: T;
  try {
    result = work(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return result;
}

// The effective ids are the process's, which does nothing else meanwhile; root gets its own back afterwards.
function asUser({ uid, gid = uid }: WriteTest, work: () => void): void {
  const { getgroups, setegid, seteuid, setgroups } = process;
  if (uid === undefined || gid === undefined) return work();
  if (!getgroups || !setegid || !seteuid || !setgroups) throw new Error("this platform cannot change users");
  const groups = getgroups();
  setgroups([gid]);
  setegid(gid);
  seteuid(uid);
  try {
    work();
  } finally {
    seteuid(0);
    setegid(0);
    setgroups(groups);
  }
}
