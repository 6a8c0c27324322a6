/**
 * A filesystem with one empty folder whose server can be told to stop answering:
 *
 *   bun test/equipment/fuse-server.ts MOUNTPOINT
 *
 * It speaks the raw protocol of /dev/fuse (include/uapi/linux/fuse.h, version 7.31). Commands on stdin: "hang statfs",
 * "hang getattr", "hang opendir", "hang readdir", "answer" (also what is held back). End of stdin ends the server,
 * which aborts the connection as a crash would. Says "mounted" once it serves, "obeyed COMMAND", and "holding NAME" for
 * each request that it does not answer.
 */
import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import { mountWith } from "./libc-mount.ts";

const operations = {
  1: "lookup",
  3: "getattr",
  17: "statfs",
  26: "init",
  27: "opendir",
  28: "readdir",
  29: "releasedir",
} as const;
type Operation = (typeof operations)[keyof typeof operations];

// FORGET, INTERRUPT and BATCH_FORGET expect no answer; a dead server ignores an interrupt as well.
const unanswered = new Set([2, 36, 42]);
const ENOENT = 2;
const ENOSYS = 38;
const EAGAIN = "EAGAIN";

const mountPoint = process.argv[2] ?? "";
const device = openSync("/dev/fuse", constants.O_RDWR | constants.O_NONBLOCK);
mountWith("hungfs", mountPoint, "fuse", `fd=${device},rootmode=40000,user_id=0,group_id=0,allow_other`);

const held: { unique: bigint; opcode: number }[] = [];
let hanging: string | undefined;
let initialised = false;
const request = Buffer.alloc(1 << 20);
setInterval(serve, 2);

for await (const command of console) {
  hanging = /^hang (.*)$/.exec(command)?.[1];
  if (command === "answer") for (const { unique, opcode } of held.splice(0)) answer(unique, opcode);
  console.log(`obeyed ${command}`);
}
closeSync(device);
process.exit(0);

function serve(): void {
  for (;;) {
    try {
      readSync(device, request);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === EAGAIN) return;
      process.exit(0); // ENODEV: unmounted
    }
    const opcode = request.readUInt32LE(4);
    const unique = request.readBigUInt64LE(8);
    if (unanswered.has(opcode)) continue;
    const name = (operations as Record<number, Operation>)[opcode];
    if (name !== undefined && name === hanging) {
      held.push({ unique, opcode });
      console.log(`holding ${name}`);
    } else {
      answer(unique, opcode);
    }
  }
}

function answer(unique: bigint, opcode: number): void {
  const body = toBody((operations as Record<number, Operation>)[opcode]);
  const header = Buffer.alloc(16);
  const payload = typeof body === "number" ? Buffer.alloc(0) : body;
  header.writeUInt32LE(16 + payload.length, 0);
  header.writeInt32LE(typeof body === "number" ? -body : 0, 4);
  header.writeBigUInt64LE(unique, 8);
  try {
    writeSync(device, Buffer.concat([header, payload]));
  } catch (error) {
    // ENOENT: whoever asked was killed meanwhile.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  if (opcode === 26 && !initialised) {
    initialised = true;
    console.log("mounted");
  }
}

/** The answer's body, or an errno. */
function toBody(name: Operation | undefined): Buffer | number {
  if (name === undefined) return ENOSYS;
  if (name === "lookup") return ENOENT;
  if (name === "init") {
    const body = Buffer.alloc(64);
    body.writeUInt32LE(7, 0);
    body.writeUInt32LE(31, 4);
    body.writeUInt32LE(1 << 16, 20); // max_write
    return body;
  }
  if (name === "getattr") {
    const body = Buffer.alloc(104); // attr_valid stays 0: nothing is cached, every stat asks
    body.writeBigUInt64LE(1n, 16); // ino
    body.writeUInt32LE(0o040755, 76); // mode
    body.writeUInt32LE(2, 80); // nlink
    return body;
  }
  if (name === "statfs") {
    const body = Buffer.alloc(80);
    for (const [index, value] of [1000n, 400n, 300n, 50n, 20n].entries()) body.writeBigUInt64LE(value, index * 8);
    body.writeUInt32LE(4096, 40);
    body.writeUInt32LE(255, 44);
    body.writeUInt32LE(4096, 48);
    return body;
  }
  return name === "opendir" ? Buffer.alloc(16) : Buffer.alloc(0);
}
