/** A probe process for the tests of the pool: real work, real blocking, real deaths. */
import { appendFileSync, readFileSync, writeSync } from "node:fs";
import { type JobHandlers, serveJobs } from "../../../collectors/probe/worker.ts";

interface Params {
  readonly path: string;
  readonly milliseconds: number;
}

if (process.argv[2] === "die") {
  process.stderr.write("cannot live like this\n");
  process.exit(3);
}

if (process.argv[2] === "slow-start") await Bun.sleep(2000);

const handlers: JobHandlers = {
  echo: (params, { job }) => ({ header: { job, params }, payload: Buffer.from("payload") }),
  bytes: (params) => ({ payload: new Uint8Array(params as number).fill(0x61) }),
  fail: () => {
    throw new Error("as asked");
  },
  // A FIFO that nobody writes is a file whose open() does not return.
  read: (params, { step }) => {
    step("open");
    return { payload: Buffer.from(readFileSync((params as Params).path)) };
  },
  // Notes that it ran: what is run twice is seen twice.
  note: (params, { job }) => {
    const { path, milliseconds } = params as Params;
    appendFileSync(path, `${job}\n`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
    return {};
  },
  pid: () => ({ header: { pid: process.pid } }),
  die: (_, { step }) => {
    step("about to die");
    process.kill(process.pid, "SIGKILL");
    return {};
  },
  flood: (params) => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, (params as Params).milliseconds);
    const line = Buffer.alloc(4096, 0x78);
    for (;;) writeSync(3, line);
  },
  steps: (params, { step }) => {
    for (let index = 0; index < (params as number); index++) step(`step ${index}`);
    return {};
  },
};

await serveJobs(() => handlers, { holdResults: process.argv[2] === "hold" });
if (process.argv[2] === "tidy") appendFileSync(process.argv[3] ?? "", "tidied up\n");
process.exit(0);
