import { expect, test } from "bun:test";
import { collectorEngine, smallEngine } from "../../runtime/lean-engine.ts";

// sd_notify, passed sockets, netlink and mount probes call the C library; without any compiler bun:ffi refuses to.
test.each([
  ["the daemon and the mount probe", smallEngine],
  ["the collector process", collectorEngine],
])("the engine of %s can call the C library", async (_, engine) => {
  const program = `
    const { symbols } = require("bun:ffi").dlopen("libc.so.6", { getpid: { args: [], returns: "int" } });
    if (symbols.getpid() !== process.pid) process.exit(1);`;
  const child = Bun.spawn([process.execPath, "-e", program], { env: { ...engine }, stdout: "pipe", stderr: "pipe" });
  expect(await child.stderr.text()).toBe("");
  expect(await child.exited).toBe(0);
});
