/**
 * An automount point that mounts nothing but tells who looks:
 *
 *   bun test/equipment/autofs-server.ts MOUNTPOINT
 *
 * Says "mounted", and "triggered" for each request of the kernel to mount something. Protocol: Documentation/
 * filesystems/autofs.rst. It has to lead a process group of its own, whose members the kernel does not ask about.
 */
import { readSync } from "node:fs";
import { mountWith, openPipe } from "./libc-mount.ts";

const { reading, writing } = openPipe();
const options = `fd=${writing},pgrp=${process.pid},minproto=5,maxproto=5,direct`;
mountWith("test", process.argv[2] ?? "", "autofs", options);
console.log("mounted");

const packet = Buffer.alloc(4096);
setInterval(() => {
  try {
    if (readSync(reading, packet) > 0) console.log("triggered");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
  }
}, 5);
