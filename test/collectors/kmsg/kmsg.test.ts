import { expect, test } from "bun:test";
import { accessSync, constants, writeFileSync } from "node:fs";
import type { BackgroundCollector } from "../../../collectors/collector.ts";
import { encodeFamilies } from "../../../collectors/exposition.ts";
import { createEventLog, type EventStorage } from "../../../collectors/events.ts";
import type { Host } from "../../../collectors/host.ts";
import { kmsg } from "../../../collectors/kmsg.ts";
import { silentLogger } from "../../../runtime/log.ts";
import { waitFor } from "../../harness/wait.ts";

const host: Host = {
  procPath: "/proc",
  sysPath: "/sys",
  rootPath: "/",
  udevDataPath: "/run/udev/data",
  run: () => Promise.reject(new Error("runs nothing")),
  skipped: () => {},
};

function canWriteKernelLog(): boolean {
  try {
    accessSync("/dev/kmsg", constants.R_OK | constants.W_OK);
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

const testKernelLog = canWriteKernelLog() || process.env["CI"] !== undefined ? test : test.skip;

// Unique per run: the kernel's ring keeps the lines of earlier runs.
const disk = `testdisk${process.pid}x${Math.floor(Math.random() * 1e9)}`;
const line = `blk_update_request: I/O error, dev ${disk}, sector 8 op 0x0:(READ) flags 0x0`;

async function pageOf(collector: BackgroundCollector): Promise<string> {
  const families = await collector.collect(host, AbortSignal.timeout(60_000));
  return encodeFamilies(families)
    .map(({ text }) => text)
    .join("");
}

const recordsIn = (page: string): number => Number(/^aami_kernel_log_records_total (\S+)$/m.exec(page)?.[1]);

testKernelLog("the real kernel log is followed; what programs write is counted only when asked for", async () => {
  const trusting = kmsg.create({ device: "/dev/kmsg", accept_user_records: true }) as BackgroundCollector;
  const cautious = kmsg.create({ device: "/dev/kmsg", accept_user_records: false }) as BackgroundCollector;
  for (const collector of [trusting, cautious])
    collector.start({ host, log: silentLogger, events: createEventLog({ log: silentLogger }) });
  writeFileSync("/dev/kmsg", `${line}\n`);
  writeFileSync("/dev/kmsg", `${line}\n`);
  const series = `aami_kernel_log_events_total{class="disk",device="${disk}",event="disk_io_error",severity="warning"} 2\n`;
  const [trusted, distrusted] = await waitFor("both to have read the two lines", async () => {
    const pages = [await pageOf(trusting), await pageOf(cautious)] as const;
    return pages[0].includes(series) && recordsIn(pages[1]) >= recordsIn(pages[0]) && pages;
  }).finally(() => Promise.all([trusting.stop(), cautious.stop()]));
  const time = Number(new RegExp(`last_event_timestamp_seconds\\{[^}]*${disk}[^}]*\\} (\\S+)`).exec(trusted)?.[1]);
  expect(Math.abs(time - Date.now() / 1000)).toBeLessThan(60);
  expect(distrusted).not.toContain(disk);
});

test("a log that cannot be read fails the collector and nothing else", async () => {
  const collector = kmsg.create({ device: "/dev/null/none", accept_user_records: false });
  expect(await collector.detect(host)).toEqual({ supported: false, reason: "/dev/null/none is not there" });
  collector.start({ host, log: silentLogger, events: createEventLog({ log: silentLogger }) });
  await expect(collector.collect(host, AbortSignal.timeout(60_000))).rejects.toThrow("cannot read /dev/null/none");
  await collector.stop();
});

testKernelLog("a second daemon on the real kernel log goes on where the first one stopped", async () => {
  const other = `${disk}b`;
  const texts = new Map<string, string>();
  const storage: EventStorage = {
    loadEvents: () => ({ events: [], texts }),
    saveEvents: (_events, changed) => changed.forEach((text, name) => texts.set(name, text)),
    forgetEvents: () => {},
  };
  for (const expected of [1, 2]) {
    const events = createEventLog({ storage, log: silentLogger });
    const collector = kmsg.create({ device: "/dev/kmsg", accept_user_records: true }) as BackgroundCollector;
    writeFileSync("/dev/kmsg", `blk_update_request: I/O error, dev ${other}, sector 8 op 0x0:(READ) flags 0x0\n`);
    collector.start({ host, log: silentLogger, events });
    const series = new RegExp(`events_total\\{[^}]*device="${other}"[^}]*\\} ${expected}$`, "m");
    await waitFor(`${expected} in ${String(series)}`, async () => series.test(await pageOf(collector)));
    await collector.stop();
    events.close();
  }
});
