import { expect, test } from "bun:test";
import { connectServiceManager } from "../../daemon/systemd.ts";
import { silentLogger } from "../../runtime/log.ts";
import { createWorkspace } from "../harness/workspace.ts";

const python = Bun.which("python3");
// The other end of sd_notify is a Unix datagram socket, which Bun does not have.
const receiver = `import socket,sys
s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.bind(sys.argv[1]); print("bound",flush=True)
for _ in range(int(sys.argv[2])): print(s.recv(4096).decode().split("\\n")[0],flush=True)`;

test.skipIf(python === null && process.env.CI === undefined)(
  "tells the service manager, watchdog included",
  async () => {
    using workspace = createWorkspace();
    const path = workspace.file("socket");
    await using listener = Bun.spawn(["python3", "-c", receiver, path, "4"], { stdout: "pipe" });
    const reader = listener.stdout.getReader();
    let heard = "";
    while (!heard.includes("bound\n")) heard += Buffer.from((await reader.read()).value ?? []).toString();
    const manager = connectServiceManager({ NOTIFY_SOCKET: path, WATCHDOG_USEC: "40000" }, silentLogger);
    manager.notify("READY=1");
    manager.notify("RELOADING=1");
    manager.notify("STOPPING=1");
    for (let part = await reader.read(); !part.done; part = await reader.read())
      heard += Buffer.from(part.value).toString();
    manager.stop();
    expect(heard.trim().split("\n")).toEqual(["bound", "READY=1", "RELOADING=1", "STOPPING=1", "WATCHDOG=1"]);
  },
);

test("without a service manager nothing happens", () => {
  const manager = connectServiceManager({}, silentLogger);
  manager.notify("READY=1");
  manager.stop();
});
