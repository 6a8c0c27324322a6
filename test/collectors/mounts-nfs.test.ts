import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Collector } from "../../collectors/collector.ts";
import { encodeFamilies } from "../../collectors/exposition.ts";
import { mountstats } from "../../collectors/mountstats.ts";
import { nfs } from "../../collectors/nfs.ts";
import { nfsd } from "../../collectors/nfsd.ts";

interface Page {
  readonly lines: string[];
  readonly skipped: string[];
}

async function collectFrom(collector: Collector, files: Record<string, string>): Promise<Page> {
  const procPath = mkdtempSync(join(tmpdir(), "aami-nfs-"));
  try {
    for (const [name, text] of Object.entries(files)) await Bun.write(join(procPath, name), text);
    const skipped: string[] = [];
    const host = {
      procPath,
      sysPath: "",
      rootPath: "/",
      udevDataPath: "",
      run: () => Promise.reject(new Error("no programs")),
      skipped: (what: string) => void skipped.push(what),
    };
    const families = await collector.collect(host, AbortSignal.timeout(5000));
    return { lines: encodeFamilies(families).flatMap(({ text }) => text.trimEnd().split("\n")), skipped };
  } finally {
    rmSync(procPath, { recursive: true });
  }
}

const v3 = Array.from({ length: 22 }, (_, index) => 100 + index).join(" ");

test("client calls of each protocol version, zero for what the kernel does not count", async () => {
  const { lines, skipped } = await collectFrom(nfs.create({}), {
    "net/rpc/nfs": `net 9 4 5 2\nrpc 1234567 3 8\nproc3 22 ${v3}\nproc4 3 7 8 9\n`,
  });
  expect(lines).toContain('node_nfs_packets_total{protocol="udp"} 4');
  expect(lines).toContain("node_nfs_rpcs_total 1.234567e+06");
  expect(lines).toContain('node_nfs_requests_total{method="Commit",proto="3"} 121');
  expect(lines).toContain('node_nfs_requests_total{method="Write",proto="4"} 9');
  expect(lines).toContain('node_nfs_requests_total{method="Clone",proto="4"} 0');
  expect(skipped).toEqual([]);
});

test("a line that a newer kernel adds costs only itself", async () => {
  const { lines, skipped } = await collectFrom(nfsd.create({}), {
    "net/rpc/nfsd": "rc 5 6 7\nth 8 0 0.000 0.000\nproc3 2 1 2\nbrand_new 1 2\n",
  });
  expect(lines).toContain("node_nfsd_reply_cache_nocache_total 7");
  expect(lines).toContain("node_nfsd_server_threads 8");
  expect(skipped).toEqual(["rpc line proc3", "rpc line brand_new"]);
});

test.each([nfs, nfsd])("$name is absent, not broken, without the kernel module", async ({ create }) => {
  await expect(collectFrom(create({}), {})).rejects.toThrow("not loaded");
});

const events = Array.from({ length: 27 }, (_, index) => 200 + index).join(" ");
const entry = (mountPoint: string, transports: string, operations: string): string =>
  `device nas:/models mounted on ${mountPoint} with fstype nfs4 statvers=1.1\n` +
  `\topts:\trw,vers=4.2,hard\n\tage:\t77\n\tevents:\t${events}\n\tbytes:\t1 2 3 4 5 6 7 8\n` +
  `\tRPC iostats version: 1.1  p/v: 100003/4 (nfs)\n${transports}\tper-op statistics\n${operations}\n`;
const tcp = "\txprt:\ttcp 900 1 2 3 18446744073709551615 6 7 8 9 10 11 12 13\n";
const mountinfo = (...points: string[]): string =>
  ["/proc", ...points]
    .map((point, index) => `${60 + index} 1 0:5${index} / ${point} rw - nfs4 nas:/models rw,addr=10.0.0.${index}\n`)
    .join("");

test("times modulo 2^53, the congestion count left out, the address from mountinfo", async () => {
  const { lines, skipped } = await collectFrom(mountstats.create({}), {
    "self/mountstats":
      "no device mounted on /proc with fstype proc\n" +
      entry("/models", tcp, "\tREAD: 1 2 3 4 5 18446744073709551000 7 8 9\n"),
    "self/mountinfo": mountinfo("/models"),
  });
  const labels = 'export="nas:/models",mountaddr="10.0.0.1"';
  const read = 'export="nas:/models",mountaddr="10.0.0.1",operation="READ",protocol="tcp"';
  expect(lines).toContain(`node_mountstats_nfs_age_seconds_total{${labels},protocol="tcp"} 77`);
  expect(lines).toContain(`node_mountstats_nfs_event_truncation_total{${labels},protocol="tcp"} 219`);
  expect(lines).toContain(`node_mountstats_nfs_operations_queue_time_seconds_total{${read}} 9.007199254740377e+12`);
  expect(lines).toContain(
    `node_mountstats_nfs_transport_idle_time_seconds{${labels},protocol="tcp",transport="0"} 9.007199254740991e+15`,
  );
  expect(skipped).toEqual([]);
});

test("one export at two mount points: both named, its counters once", async () => {
  const { lines } = await collectFrom(mountstats.create({}), {
    "self/mountstats": `${entry("/a", tcp + tcp, "")}\n${entry("/b", tcp, "")}`,
    "self/mountinfo": mountinfo("/a", "/b")
      .replace(/^.*\n/, "")
      .replaceAll(/10\.0\.0\../g, "10.0.0.9"),
  });
  expect(lines.filter((line) => line.startsWith("node_mountstats_nfs_mountpoint_info{"))).toHaveLength(2);
  expect(lines.filter((line) => line.startsWith("node_mountstats_nfs_age_seconds_total{"))).toHaveLength(1);
  expect(lines.filter((line) => line.startsWith("node_mountstats_nfs_transport_bind_total{"))).toHaveLength(2);
});

test("a mount whose statistics do not parse costs only itself", async () => {
  const { lines, skipped } = await collectFrom(mountstats.create({}), {
    "self/mountstats": `${entry("/bad", tcp, "\tREAD: 1 2\n")}\n${entry("/good", tcp, "")}`,
    "self/mountinfo": mountinfo("/bad", "/good"),
  });
  expect(skipped).toEqual(["mountstats of /bad"]);
  expect(lines.filter((line) => line.includes('mountpoint="/good"'))).toHaveLength(1);
});
