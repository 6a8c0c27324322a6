import { expect, test } from "bun:test";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { NoDataError } from "../../collectors/collector.ts";
import { encodeFamilies } from "../../collectors/exposition.ts";
import type { Host } from "../../collectors/host.ts";
import { collectorDefinitions } from "../../collectors/registry.ts";

const source = join(import.meta.dir, "../fixtures/host-basic");
const tables = (
  "arp buddyinfo cgroups conntrack cpu diskstats interrupts lnstat meminfo meminfo_numa netclass netdev netstat os " +
  "schedstat selinux slabinfo sockstat softirqs softnet stat sysctl time udp_queues vmstat xfrm zoneinfo"
).split(" ");
const options: Record<string, Record<string, unknown>> = {
  arp: { netlink: false },
  cpu: { info: true, info_flags_include: ".", info_bugs_include: "." },
  netdev: { netlink: false },
  stat: { softirq: true },
  sysctl: { include: ["fs.file-nr:a b,c,d", "kernel.pid_max"], include_info: ["kernel.threads-max"] },
};
const series =
  /^[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*",?)*\})? (NaN|[+-]Inf|-?[0-9.e+-]+)$/;

// A kernel file is never so broken; a driver's may be, and half-written or truncated ones are seen in containers.
test.each([1, 2, 3])("mutated files of a host cost series, never a collector or the page (seed %d)", async (seed) => {
  const root = mkdtempSync(join(tmpdir(), "aami-hostile-"));
  try {
    cpSync(source, root, { recursive: true });
    const random = createRandom(seed);
    for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile()) writeFileSync(path, mutate(readFileSync(path), random));
    }
    const host: Host = {
      procPath: `${root}/proc`,
      sysPath: `${root}/sys`,
      rootPath: root,
      udevDataPath: `${root}/run/udev/data`,
      run: () => Promise.reject(new Error("no programs")),
      skipped: () => {},
    };
    for (const name of tables) expect(await brokenLines(name, host)).toEqual([]);
  } finally {
    rmSync(root, { recursive: true });
  }
});

async function brokenLines(name: string, host: Host): Promise<string[]> {
  const definition = collectorDefinitions.find((candidate) => candidate.name === name);
  if (definition === undefined) return [`no collector ${name}`];
  const collector = definition.create(Value.Default(definition.options, { ...options[name] }) as never);
  try {
    if (!(await collector.detect(host)).supported) return [];
    const families = encodeFamilies(await collector.collect(host, AbortSignal.timeout(5000)));
    const lines = families.flatMap(({ text }) => text.split("\n"));
    return lines.filter((line) => line !== "" && !line.startsWith("# ") && !series.test(line));
  } catch (error) {
    return error instanceof NoDataError ? [] : [`${name} failed: ${String(error)}`];
  }
}

/** Left alone, cut off, bytes changed, or one line replaced by something else. */
function mutate(bytes: Buffer, random: (below: number) => number): Buffer {
  const kind = random(4);
  if (kind === 0 || bytes.length === 0) return bytes;
  if (kind === 1) return bytes.subarray(0, random(bytes.length));
  if (kind === 2) {
    for (let change = 0; change <= bytes.length / 200; change++) bytes[random(bytes.length)] = random(256);
    return bytes;
  }
  const lines = bytes.toString("latin1").split("\n");
  lines[random(lines.length)] = ["", "x", "-1", "18446744073709551615 9 9", "\0\0"][random(5)] ?? "";
  return Buffer.from(lines.join("\n"), "latin1");
}

/** Small numbers from a linear congruential generator: the same for a seed on every machine. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 9) % below;
  };
}
