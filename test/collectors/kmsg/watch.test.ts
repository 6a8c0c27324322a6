import { describe, expect, test } from "bun:test";
import { xids } from "../../../checks/catalogue/catalogue.ts";
import { createEventLog, type EventLog, type EventStorage, type HardwareEvent } from "../../../collectors/events.ts";
import { encodeFamilies } from "../../../collectors/exposition.ts";
import { createKernelCounts } from "../../../collectors/kmsg/counts.ts";
import { createXidSources } from "../../../collectors/kmsg/driver-xids.ts";
import type { KernelLog } from "../../../collectors/kmsg/follower.ts";
import { recognise } from "../../../collectors/kmsg/patterns.ts";
import { parseRecord } from "../../../collectors/kmsg/record.ts";
import { createThrottle } from "../../../collectors/kmsg/throttle.ts";
import { type KernelWatch, watchKernelLog } from "../../../collectors/kmsg/watch.ts";
import { xidSeverity } from "../../../collectors/kmsg/xid-severity.ts";
import { silentLogger } from "../../../runtime/log.ts";
import { waitFor } from "../../harness/wait.ts";

const xid = (code: number, bus = "0000:3b:00"): string => `NVRM: Xid (PCI:${bus}): ${code}, pid=7, name=x, text`;

/** A ring buffer like the kernel's, in place of /dev/kmsg: the oldest records go when it is full. */
function createRing(size: number) {
  const lines: { sequence: number; text: string }[] = [];
  let sequence = 0;
  return {
    write: (text: string): void => {
      lines.push({ sequence: sequence++, text });
      if (lines.length > size) lines.shift();
    },
    open: (_device: string, firstSequence?: number): KernelLog => {
      let position = 0;
      let next = firstSequence;
      return {
        read: (limit) => {
          const found = lines.filter((line) => line.sequence >= Math.max(position, firstSequence ?? 0)).slice(0, limit);
          let lost = 0;
          const records = found.map(({ sequence: number, text }) => {
            if (next !== undefined) lost += number - next;
            next = number + 1;
            position = next;
            return parseRecord(Buffer.from(`3,${number},${number * 1000},-;${text}\n`));
          });
          return { records, lost, isEnd: found.length < limit };
        },
        nextSequence: () => next,
        close: () => {},
      };
    },
  };
}

/** The disk of a daemon: what is flushed outlives it. */
function createDisk(): EventStorage {
  const stored: HardwareEvent[] = [];
  const texts = new Map<string, string>();
  return {
    loadEvents: () => ({ events: [...stored], texts: new Map(texts) }),
    saveEvents: (events, changed) => {
      stored.push(...events);
      for (const [name, text] of changed) texts.set(name, text);
    },
    forgetEvents: () => {},
  };
}

interface Life {
  readonly watch: KernelWatch;
  readonly events: EventLog;
  end(): void;
}

function live(
  ring: ReturnType<typeof createRing>,
  disk: EventStorage,
  { bootId }: { readonly bootId: string | undefined } = { bootId: "boot-1" },
): Life {
  const events = createEventLog({ storage: disk, log: silentLogger, later: () => {} });
  const options = { device: "/dev/kmsg", acceptUserRecords: false, bootId, log: silentLogger, events };
  const watch = watchKernelLog({ ...options, open: ring.open });
  const end = (): void => {
    watch.stop();
    events.close();
  };
  return { watch, events, end };
}

function page(watch: KernelWatch): string {
  return encodeFamilies(watch.counts.families())
    .map(({ text }) => text)
    .join("");
}

const xidLine = (code: number, count: number): string =>
  `aami_gpu_xid_errors_total{pci_bus_id="0000:3b:00",xid="${code}"} ${count}\n`;

/** Told by the driver, as the GPU collector records it. */
const driverXid = (code: number, atMs: number): HardwareEvent => ({
  key: `nvidia:GPU-0:gpu_xid:${code}:${atMs}`,
  atMs,
  source: "nvidia",
  kind: "gpu_xid",
  severity: "warning",
  device: "0000:3b:00",
  code,
  message: `Xid ${code}, told by the driver`,
});

describe("Xids of the driver's events", () => {
  test("the line in the kernel log adds the sub-code of what the driver has told before", () => {
    const [ring, disk] = [createRing(100), createDisk()];
    const { watch, events, end } = live(ring, disk);
    events.record(driverXid(149, Date.now()));
    watch.countDriverXids();
    expect(page(watch)).toContain(xidLine(149, 1));
    expect(page(watch)).not.toContain("aami_gpu_nvlink_xid_errors_total");
    end();
    const event = recognise(
      "NVRM: Xid (PCI:0000:3b:00): 149, NETIR_LINK_EVT Fatal XC0 i0 Link 08 (0x004505c6 0x00000000)",
    );
    if (event === undefined) throw new Error("not recognised");
    watch.counts.refine(event, Date.now() / 1000);
    expect(page(watch)).toContain(xidLine(149, 1));
    expect(page(watch)).toContain("aami_gpu_nvlink_xid_errors_total{");
    watch.counts.refine(event, Date.now() / 1000);
    expect(page(watch)).toContain(xidLine(149, 1));
  });

  test("are counted when the kernel log is silent about them, and not again by the next daemon", () => {
    const [ring, disk] = [createRing(100), createDisk()];
    ring.write("harmless");
    const first = live(ring, disk);
    first.events.record(driverXid(48, Date.now()));
    first.watch.countDriverXids();
    first.watch.countDriverXids();
    expect(page(first.watch)).toContain(xidLine(48, 1));
    first.end();
    const second = live(ring, disk);
    second.watch.countDriverXids();
    expect(page(second.watch)).toContain(xidLine(48, 1));
    second.end();
  });

  test("of an earlier run of the kernel are not counted", () => {
    const [ring, disk] = [createRing(100), createDisk()];
    const { watch, events, end } = live(ring, disk);
    events.record(driverXid(48, 1000));
    watch.countDriverXids();
    expect(page(watch)).not.toContain("aami_gpu_xid_errors_total{");
    end();
  });

  test.each([
    ["kernel log", "driver", 5, false],
    ["driver", "kernel log", 5, false],
    ["driver", "kernel log", 61, true],
    ["driver", "driver", 1, true],
  ] as const)("told by the %s, then by the %s %i s later", (first, then, seconds, wanted) => {
    const sources = createXidSources();
    const told = { device: "0000:3b:00", code: 79 };
    expect(sources.isNew(first, told, 1000)).toBe(true);
    expect(sources.isNew(then, { ...told, code: 48 }, 1000 + seconds)).toBe(true);
    expect(sources.isNew(then, told, 1000 + seconds)).toBe(wanted);
  });

  test("two that both sources tell of are two", () => {
    const sources = createXidSources();
    const told = { device: "0000:3b:00", code: 79 };
    const news = (["driver", "driver", "kernel log", "kernel log"] as const).map((source, index) =>
      sources.isNew(source, told, 1000 + index),
    );
    expect(news).toEqual([true, true, false, false]);
  });
});

test("the Xids of the GPUs of this node are counted from 0, those that there were as often as they were", () => {
  const [ring, disk] = [createRing(100), createDisk()];
  ring.write(xid(79));
  const { watch, end } = live(ring, disk);
  const text = encodeFamilies(watch.counts.families(["0000:3b:00", "0000:5e:00"]))
    .map(({ text: lines }) => lines)
    .join("");
  expect(text).toContain(xidLine(79, 1));
  expect(text).toContain(xidLine(48, 0));
  expect(text).toContain('aami_gpu_xid_errors_total{pci_bus_id="0000:5e:00",xid="79"} 0\n');
  expect(text.match(/^aami_gpu_xid_last_timestamp_seconds\{/gm)).toHaveLength(1);
  end();
});

test("errors of an NVLink are counted by what they are, and by code", () => {
  const [ring, disk] = [createRing(100), createDisk()];
  const line = (link: string, info: string, word = "Fatal"): string =>
    `NVRM: Xid (PCI:0000:3b:00): 149, NETIR_LINK_EVT ${word} XC0 i0 Link ${link} (${info} 0x00000000 0x00000000)`;
  for (const link of ["07", "08"]) ring.write(line(link, `0x0040${link[1]}5c6`));
  ring.write(line("08", "0x004805c6", "Nonfatal"));
  ring.write("NVRM: Xid (PCI:0000:3b:00): 149, text");
  const series = (severity: string): string =>
    `{error_info="0x004001c6",error_status="0x00000000",pci_bus_id="0000:3b:00",severity="${severity}",xid="149"}`;
  live(ring, disk).end();
  const { watch, end } = live(ring, disk);
  expect(page(watch)).toContain(xidLine(149, 4));
  expect(page(watch)).toContain(`aami_gpu_nvlink_xid_errors_total${series("fatal")} 2\n`);
  expect(page(watch)).toContain(`aami_gpu_nvlink_xid_errors_total${series("nonfatal")} 1\n`);
  expect(page(watch)).toContain(`aami_gpu_nvlink_xid_last_timestamp_seconds${series("fatal")} `);
  end();
});

test("so many devices that not all can be counted hide no lost GPU", () => {
  const counts = createKernelCounts();
  const see = (line: string, atSeconds: number): void => {
    const event = recognise(line);
    if (event === undefined) throw new Error(`not recognised: ${line}`);
    counts.add(event, atSeconds);
  };
  see("nvme nvme0: Disabling device after reset failure: -19", 1);
  for (let port = 0; port < 800; port++) see(`bnx2 0000:04:00.0 veth${port}: Link down`, 2 + port);
  see(xid(79), 900);
  const text = encodeFamilies(counts.families())
    .map((encoded) => encoded.text)
    .join("");
  expect(text).toContain(xidLine(79, 1));
  expect(text).toContain(
    'aami_kernel_log_events_total{class="disk",device="nvme0",event="nvme_gone",severity="fatal"} 1\n',
  );
  expect(text).toContain('device="veth799"');
  expect(text).not.toContain('device="veth0"');
  expect(text).toContain("aami_kernel_log_uncounted_events_total 302\n");
});

describe("over a restart of the daemon", () => {
  test("nothing is counted twice, nothing is forgotten", () => {
    const [ring, disk] = [createRing(100), createDisk()];
    ring.write(xid(79));
    ring.write("harmless");
    const first = live(ring, disk);
    expect(page(first.watch)).toContain(xidLine(79, 1));
    first.end();
    ring.write(xid(79));
    const second = live(ring, disk);
    expect(page(second.watch)).toContain(xidLine(79, 2));
    expect(second.events.since(0).map(({ key, code, severity }) => [key, code, severity])).toEqual([
      ["kmsg:boot-1:0", 79, "critical"],
      ["kmsg:boot-1:2", 79, "critical"],
    ]);
    second.end();
  });

  test("what the ring has lost since stays counted, and the gap is told", () => {
    const [ring, disk] = [createRing(3), createDisk()];
    ring.write(xid(79));
    live(ring, disk).end();
    for (let line = 0; line < 10; line++) ring.write("harmless");
    const second = live(ring, disk);
    expect(page(second.watch)).toContain(xidLine(79, 1));
    expect(page(second.watch)).toContain("aami_kernel_log_lost_records_total 7\n");
    expect(second.events.since(0).length).toBe(1);
    second.end();
    const third = live(ring, disk);
    expect(page(third.watch)).toContain("aami_kernel_log_lost_records_total 7\n");
    third.end();
  });

  test.each([
    ["another boot", "boot-2"],
    ["a kernel that tells no boot id", undefined],
  ])("%s counts its own records from the start; the events of before remain", (_name, bootId) => {
    const disk = createDisk();
    const before = createRing(100);
    before.write(xid(79));
    before.write(xid(79));
    live(before, disk).end();
    const after = createRing(100);
    after.write(xid(48));
    const second = live(after, disk, { bootId });
    expect(page(second.watch)).toContain(xidLine(48, 1));
    expect(page(second.watch)).not.toContain('xid="79"');
    expect(second.events.since(0).map(({ code }) => code)).toContain(79);
    second.end();
  });

  test.each([
    ["no JSON"],
    ['"text"'],
    ['{"bootId":"boot-1"}'],
    ['{"bootId":"boot-1","nextSequence":-0.5,"counted":[]}'],
  ])("a memory that reads %s is not used", (text) => {
    const [ring, disk] = [createRing(100), createDisk()];
    disk.saveEvents([], new Map([["kmsg", text]]), 10);
    ring.write(xid(79));
    const life = live(ring, disk);
    expect(page(life.watch)).toContain(xidLine(79, 1));
    life.end();
  });
});

test("a flood of 100,000 lines is counted in full, told now and then, and holds up nothing", async () => {
  const ring = createRing(1e6);
  const lines = 100_000;
  for (let line = 0; line < lines; line++) {
    ring.write(line % 2 === 0 ? xid(13) : `blk_update_request: I/O error, dev sdb, sector ${line} op 0x0:(READ)`);
  }
  const { watch, events, end } = live(createPagedRing(ring), createDisk());
  let slowestMs = 0;
  let at = performance.now();
  await waitFor("all lines to be counted", () => {
    slowestMs = Math.max(slowestMs, performance.now() - at);
    at = performance.now();
    return page(watch).includes(xidLine(13, lines / 2));
  });
  expect(page(watch)).toContain(`event="disk_io_error",severity="warning"} ${lines / 2}\n`);
  const told = events.since(0);
  expect(told.length).toBeGreaterThanOrEqual(20);
  expect(told.length).toBeLessThan(100);
  expect(slowestMs).toBeLessThan(10_000);
  end();
}, 180_000);

/** The same ring without its linear search, which would be slower than what is measured. */
function createPagedRing(ring: ReturnType<typeof createRing>): ReturnType<typeof createRing> {
  const all = ring.open("").read(Infinity).records;
  return {
    ...ring,
    open: () => {
      let at = 0;
      return {
        read: (limit) => {
          const records = all.slice(at, at + limit);
          at += records.length;
          return { records, lost: 0, isEnd: at >= all.length };
        },
        nextSequence: () => at,
        close: () => {},
      };
    },
  };
}

test("a throttle lets a burst through, then one per interval, for each kind on its own", () => {
  const throttle = createThrottle({ burst: 2, refillSeconds: 10 });
  const asked: [string, number][] = [
    ["a", 0],
    ["a", 0],
    ["a", 1],
    ["b", 1],
    ["a", 9],
    ["a", 12],
    ["a", 13],
    ["a", 100],
    ["a", 100],
    ["a", 100],
  ];
  expect(asked.map(([kind, at]) => throttle.admits(kind, at))).toEqual([
    true,
    true,
    false,
    true,
    false,
    true,
    false,
    true,
    true,
    false,
  ]);
});

test.each([
  [79, "GPU has fallen off the bus.", "critical"],
  [13, "Graphics Exception", "info"],
  [154, "GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)", "warning"],
  [149, "NETIR_LINK_EVT Fatal XC0 i0 Link 07 (0x1 0x2)", "critical"],
  [149, "NETIR_LINK_EVT Nonfatal XC0 i0 Link 07 (0x1 0x2)", "warning"],
  [9999, "of a later driver", "warning"],
] as const)("Xid %d, %s: %s", (code, message, severity) => {
  expect(xidSeverity(code, message)).toBe(severity);
});

test("the severity of an Xid is that of the checks' catalogue", () => {
  expect(xids.size).toBeGreaterThan(150);
  expect([...xids.values()].filter(({ code, level }) => xidSeverity(code, "") !== level)).toEqual([]);
});
