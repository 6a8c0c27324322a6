import { expect, test } from "bun:test";
import { isIPv4 } from "node:net";
import { addressFor } from "../../scripts/start/address.ts";
import { startChild } from "../../scripts/start/child.ts";
import { requireFreePort } from "../../scripts/start/port.ts";
import { createWorkspace } from "../harness/workspace.ts";

test("a busy port is one line that names the holder and the way out", async () => {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const port = server.port ?? 0;
  const refused = requireFreePort({ owner: "the daemon", address: "127.0.0.1", port, option: "--daemon-port" });
  await expect(refused).rejects.toThrow(
    new RegExp(
      `^port ${port}, wanted by the daemon, is taken by .+ \\(pid ${process.pid}\\); .* --daemon-port ${port + 1}$`,
    ),
  );
  await server.stop(true);
});

test("a free port is fine", async () => {
  await requireFreePort({ owner: "the daemon", address: "127.0.0.1", port: 0, option: "--daemon-port" });
});

test("an address of another machine is refused with the reason", async () => {
  const refused = requireFreePort({ owner: "the daemon", address: "192.0.2.1", port: 0, option: "--daemon-port" });
  await expect(refused).rejects.toThrow("the daemon cannot listen on 192.0.2.1:0: EADDRNOTAVAIL");
});

test("a child that ends by itself is named, with the end of its log", async () => {
  using workspace = createWorkspace();
  const child = startChild({
    name: "daemon",
    argv: ["sh", "-c", "echo first; echo the reason >&2; exit 3"],
    logPath: workspace.file("log/daemon.log"),
  });
  await expect(child.died).rejects.toThrow(/^the daemon ended unexpectedly \(exit status 3\);[^]*first\nthe reason$/);
});

test("a child that is asked to end is not reported", async () => {
  using workspace = createWorkspace();
  const child = startChild({ name: "daemon", argv: ["sleep", "60"], logPath: workspace.file("daemon.log") });
  await child.stop();
  expect(await Promise.race([child.died, Promise.resolve("quiet")])).toBe("quiet");
});

test.each(["127.0.0.1", "192.0.2.7", "2001:db8::7"])(
  "a daemon beside a server on %s is announced there",
  async (address) => {
    expect(await addressFor(address)).toBe(address);
  },
);

test.each(["0.0.0.0", "::"])("%s is nowhere to scrape: an address of the machine is announced", async (address) => {
  const announced = await addressFor(address);
  expect(isIPv4(announced)).toBe(true);
  expect(announced).not.toBe("0.0.0.0");
});
