import { expect, test } from "bun:test";
import { connectServiceManager } from "../../daemon/systemd.ts";
import { silentLogger } from "../../runtime/log.ts";
import { hasNotifySocket, openNotifySocket } from "../equipment/notify-socket.ts";
import { createWorkspace } from "../harness/workspace.ts";

test.skipIf(!hasNotifySocket && process.env.CI === undefined)(
  "tells the service manager, watchdog included",
  async () => {
    using workspace = createWorkspace();
    const path = workspace.file("socket");
    await using socket = await openNotifySocket(path, 4);
    const manager = connectServiceManager({ NOTIFY_SOCKET: path, WATCHDOG_USEC: "40000" }, silentLogger);
    manager.notify("READY=1");
    manager.notify("RELOADING=1");
    manager.notify("STOPPING=1");
    expect(await socket.heard).toEqual(["READY=1", "RELOADING=1", "STOPPING=1", "WATCHDOG=1"]);
    manager.stop();
  },
);

test("without a service manager nothing happens", () => {
  const manager = connectServiceManager({}, silentLogger);
  manager.notify("READY=1");
  manager.stop();
});
