import { expect, setDefaultTimeout, test } from "bun:test";
import { linkSync } from "node:fs";
import { join } from "node:path";
import { ensureBinary } from "../../scripts/binary.ts";
import { projectRoot } from "../../scripts/terminal.ts";
import { listenTcp, withPassedSockets } from "../equipment/passed-socket.ts";
import { startProcess } from "../harness/process.ts";

setDefaultTimeout(120_000);

test.each([
  ["alone", false],
  ["with the sockets of a service manager", true],
])("a binary that is gone since it was started cannot start itself again, %s: that is told", async (_, isActivated) => {
  const file = join(projectRoot, `dist/gone-${process.pid}-${isActivated}`);
  linkSync(await ensureBinary(), file);
  using socket = listenTcp("127.0.0.1");
  const argv = [
    "/bin/sh",
    "-c",
    'exec 9<"$0"; rm "$0"; exec /proc/self/fd/9 daemon --web.listen-address=127.0.0.1:0',
    file,
  ];
  const options = { name: "daemon", argv };
  await using daemon = startProcess(isActivated ? withPassedSockets(options, [socket]) : options);
  const line = await daemon.waitForLine(/"msg":"cannot start again with a smaller engine/);
  expect(JSON.parse(line)).toMatchObject({ level: "warn", error: expect.stringMatching(/ENOENT|errno 2$/) });
  await daemon.exited;
});
