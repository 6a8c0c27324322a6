import { existsSync } from "node:fs";
import { lacks } from "../harness/requirements.ts";

/** Set for the tests that run inside. */
const marker = "AAMI_TEST_PRIVATE_NAMESPACE";

export const isInPrivateNamespace = process.env[marker] === "1";

/**
 * For `test.skipIf(await lacksMounts())`: true where a part is missing, having said which. With CI set a missing part
 * is an error.
 */
export async function lacksMounts(): Promise<boolean> {
  if (await lacks("root", "mkfs.ext4", "mkfs.xfs", "xfs_io")) return true;
  const device = ["/dev/fuse", "/dev/loop-control"].find((path) => !existsSync(path));
  if (device === undefined) return false;
  const message = `there is no ${device}: the kernel module is missing, or a container keeps it away`;
  if (process.env["CI"]) throw new Error(message);
  console.warn(`skipping: ${message}`);
  return true;
}

/**
 * Runs a test file in mount and pid namespaces of its own, so that its broken mounts reach nobody else and its
 * processes end with it. Rejects with the tests' output when one fails.
 */
export async function testInPrivateNamespace(file: string): Promise<void> {
  const unshare = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"];
  // The shell is PID 1 there and reaps what the tests leave behind.
  const shell = ["sh", "-c", '"$@"; exit $?', "sh"];
  const child = Bun.spawn([...unshare, ...shell, process.execPath, "test", "--timeout", "60000", file], {
    env: { ...process.env, [marker]: "1" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  process.stderr.write(err);
  if (code !== 0) throw new Error(`tests in the private namespace ended with ${code}\n${out}\n${err}`);
}
