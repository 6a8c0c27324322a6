import { expect, test } from "bun:test";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { compareScrapes } from "../equipment/scrape-watch.ts";
import { seriesValue, startDaemon, waitForPage } from "../harness/daemon.ts";
import { waitFor } from "../harness/wait.ts";
import { createWorkspace } from "../harness/workspace.ts";

const limitFile = "/proc/sys/kernel/printk_devkmsg";

/** Programs may write ten lines in five seconds, unless root allows them more. */
function allowsFlood(): boolean {
  try {
    writeFileSync(limitFile, readFileSync(limitFile, "utf8"));
    closeSync(openSync("/dev/kmsg", "r+"));
    return true;
  } catch {
    return false;
  }
}

/** It goes on for as long as pages are compared. */
const leastLines = 5000;
const testFlood = allowsFlood() || process.env["CI"] !== undefined ? test : test.skip;

testFlood(
  "a flood in the real kernel log delays no page; what the ring loses is counted",
  async () => {
    using workspace = createWorkspace();
    mkdirSync(workspace.file("state"));
    const disk = `flooddisk${process.pid}`;
    const config = { collectors: { kmsg: { accept_user_records: true } } };
    const series = `aami_kernel_log_events_total{class="disk",device="${disk}",event="disk_io_error",severity="warning"}`;
    const line = Buffer.from(`<15>blk_update_request: I/O error, dev ${disk}, sector 8 op 0x0:(READ) flags 0x0\n`);
    const limit = readFileSync(limitFile, "utf8");
    let counted: number;
    {
      using other = createWorkspace();
      const deaf = { collectors: { kmsg: { enabled: false } } };
      await using healthy = await startDaemon({ workspace: other, config: deaf });
      await using daemon = await startDaemon({ workspace, config });
      const before = await waitForPage(daemon, ["aami_kernel_log_records_total"]);
      const lostBefore = seriesValue(before, "aami_kernel_log_lost_records_total") ?? 0;
      const device = openSync("/dev/kmsg", "w");
      let written = 0;
      let isMeasured = false;
      const pour = async (): Promise<void> => {
        while (!isMeasured || written < leastLines) {
          for (let count = 0; count < 100; count++) writeSync(device, line);
          written += 100;
          await Bun.sleep(10);
        }
      };
      writeFileSync(limitFile, "on\n");
      try {
        const poured = pour();
        expect(await compareScrapes(daemon, healthy).finally(() => (isMeasured = true))).toBeLessThan(1.2);
        await poured;
      } finally {
        writeFileSync(limitFile, limit);
        closeSync(device);
      }
      const page = await waitFor("all lines, counted or lost", async () => {
        const text = await daemon.page();
        const lost = (seriesValue(text, "aami_kernel_log_lost_records_total") ?? 0) - lostBefore;
        return (seriesValue(text, series) ?? 0) + lost >= written && text;
      });
      counted = seriesValue(page, series) ?? 0;
      const status = (await (await daemon.get("/api/v1/status")).json()) as { events: { device: string }[] };
      const told = status.events.filter(({ device: of }) => of === disk).length;
      expect(told).toBeGreaterThan(0);
      expect(told).toBeLessThanOrEqual(11);
    }
    // The next daemon counts none of them again, and has forgotten none that the ring has lost since.
    await using successor = await startDaemon({ workspace, config });
    const page = await waitForPage(successor, [`${series} `]);
    expect(seriesValue(page, series)).toBe(counted);
  },
  180_000,
);
