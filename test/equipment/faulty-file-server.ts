/**
 * One file of procfs or sysfs whose kernel side can be told to misbehave:
 *
 *   bun test/equipment/faulty-file-server.ts FILE
 *
 * Mounts over FILE a filesystem that is that one file (raw protocol of /dev/fuse, include/uapi/linux/fuse.h) with its
 * content. Commands on stdin: "hang read" (or "open"; who asks is in D state until "answer"), "delay MILLISECONDS" for
 * every read, "fail ERRNO" for every read, "answer" ends all of it. Says "mounted" once it serves, "obeyed COMMAND", and
 * "holding NAME" for each request that it does not answer. End of stdin ends the server.
 */
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { mountWith } from "./libc-mount.ts";

const names: Readonly<Record<number, string>> = {
  3: "getattr",
  14: "open",
  15: "read",
  17: "statfs",
  18: "release",
  25: "flush",
  26: "init",
};
// FORGET, INTERRUPT and BATCH_FORGET expect no answer; a kernel that hangs ignores an interrupt as well.
const unanswered = new Set([2, 36, 42]);
const ENOSYS = 38;
const directIo = 1;

interface Request {
  readonly unique: bigint;
  readonly name: string;
  readonly body: Buffer;
}

const path = process.argv[2] ?? "";
const content = readFileSync(path);
const device = openSync("/dev/fuse", constants.O_RDWR | constants.O_NONBLOCK);
mountWith("faultyfs", path, "fuse", `fd=${device},rootmode=100000,user_id=0,group_id=0,allow_other`);

const held: Request[] = [];
let hanging = "";
let delayMs = 0;
let failing = 0;
const buffer = Buffer.alloc(1 << 20);
setInterval(serve, 2);

for await (const line of console) {
  const [command, argument = ""] = line.split(" ");
  if (command === "hang") hanging = argument;
  if (command === "delay") delayMs = Number(argument);
  if (command === "fail") failing = Number(argument);
  if (command === "answer") {
    hanging = "";
    delayMs = 0;
    failing = 0;
    for (const request of held.splice(0)) answer(request);
  }
  console.log(`obeyed ${line}`);
}
closeSync(device);
process.exit(0);

function serve(): void {
  for (;;) {
    let length: number;
    try {
      length = readSync(device, buffer);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return;
      process.exit(0); // ENODEV: unmounted
    }
    const opcode = buffer.readUInt32LE(4);
    if (unanswered.has(opcode)) continue;
    const body = Buffer.from(buffer.subarray(40, length));
    take({ unique: buffer.readBigUInt64LE(8), name: names[opcode] ?? "", body });
  }
}

function take(request: Request): void {
  if (request.name !== "" && request.name === hanging) {
    held.push(request);
    console.log(`holding ${request.name}`);
  } else if (request.name === "read" && delayMs > 0) {
    setTimeout(answer, delayMs, request);
  } else {
    answer(request);
  }
}

function answer({ unique, name, body }: Request): void {
  const reply = name === "read" && failing > 0 ? failing : replyTo(name, body);
  const payload = typeof reply === "number" ? Buffer.alloc(0) : reply;
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + payload.length, 0);
  header.writeInt32LE(typeof reply === "number" ? -reply : 0, 4);
  header.writeBigUInt64LE(unique, 8);
  try {
    writeSync(device, Buffer.concat([header, payload]));
  } catch (error) {
    // ENOENT: whoever asked was killed meanwhile.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  if (name === "init") console.log("mounted");
}

/** The answer's body, or an errno. */
function replyTo(name: string, body: Buffer): Buffer | number {
  switch (name) {
    case "init": {
      const reply = Buffer.alloc(64);
      reply.writeUInt32LE(7, 0);
      reply.writeUInt32LE(31, 4);
      reply.writeUInt32LE(1 << 16, 20); // max_write
      return reply;
    }
    case "getattr": {
      const reply = Buffer.alloc(104); // attr_valid stays 0: nothing is cached
      reply.writeBigUInt64LE(1n, 16); // ino
      reply.writeBigUInt64LE(4096n, 24); // size, as sysfs says
      reply.writeUInt32LE(0o100444, 76);
      reply.writeUInt32LE(1, 80);
      return reply;
    }
    case "open": {
      const reply = Buffer.alloc(16);
      reply.writeUInt32LE(directIo, 8);
      return reply;
    }
    case "read": {
      const offset = Number(body.readBigUInt64LE(8));
      return content.subarray(offset, offset + body.readUInt32LE(16));
    }
    case "statfs":
      return Buffer.alloc(80);
    case "release":
    case "flush":
      return Buffer.alloc(0);
    default:
      return ENOSYS;
  }
}
