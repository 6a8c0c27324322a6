import { expect, test } from "bun:test";
import { join } from "node:path";
import { ensureBinary } from "../../scripts/binary.ts";
import { runProcess } from "../harness/process.ts";

test("the configuration of the daemon in the machine is a good one", async () => {
  const file = join(import.meta.dir, "guest/daemon.yaml");
  const argv = [await ensureBinary(), "daemon", "--config", file, "--check-config"];
  expect(await runProcess(argv, {})).toMatchObject({ exitCode: 0, stderr: "" });
});
