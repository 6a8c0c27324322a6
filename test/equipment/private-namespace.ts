import { existsSync } from "node:fs";
import { parseJunit } from "../../scripts/junit.ts";
import { lacks } from "../harness/requirements.ts";
import { createWorkspace } from "../harness/workspace.ts";

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

/** Many tests, each with its own limit: this one ends a runner that hangs, nothing is measured by it. */
export const namespaceLimitMs = 1_200_000;

/**
 * Runs a test file in mount and pid namespaces of its own, so that its broken mounts reach nobody else and its
 * processes end with it. Rejects with the errors of the tests that failed.
 */
export async function testInPrivateNamespace(file: string): Promise<void> {
  using workspace = createWorkspace();
  const report = workspace.file("junit.xml");
  const unshare = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"];
  // The shell is PID 1 there and reaps what the tests leave behind.
  const shell = ["sh", "-c", '"$@"; exit $?', "sh"];
  const options = ["--timeout=180000", "--reporter=junit", `--reporter-outfile=${report}`];
  const child = Bun.spawn([...unshare, ...shell, process.execPath, "test", ...options, file], {
    env: { ...process.env, [marker]: "1" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const code = await child.exited;
  if (code === 0) return;
  const { failed } = parseJunit(existsSync(report) ? await Bun.file(report).text() : "");
  const reasons = failed.map(({ name, reason }) => `${name}: ${reason}`);
  throw new Error([...reasons, `tests in the private namespace ended with ${code}`].join("\n"));
}
