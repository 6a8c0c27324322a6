import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compareScrapes } from "../equipment/scrape-watch.ts";
import { seriesValue, startDaemon, waitForPage } from "../harness/daemon.ts";
import { createWorkspace, type Workspace } from "../harness/workspace.ts";

/**
 * A smartctl with a way of its own for each disk. sda answers, sdb hangs and ignores SIGTERM, sdc prints garbage without
 * end, sdd is cut off in the middle of its JSON.
 */
const smartctl = `#!/bin/bash
answer() { echo '{"smartctl":{"version":[7,4],"exit_status":0},"device":{"name":"'"$1"'","type":"sat","protocol":"ATA"},"smart_status":{"passed":true}}'; }
case "\${*: -1}" in
  --scan) echo '{"smartctl":{"version":[7,4],"exit_status":0}}' ;;
  /dev/sdb) trap '' TERM INT HUP; while :; do read -t 1 <> <(:); done ;;
  /dev/sdc) while :; do head -c 65536 /dev/urandom; done ;;
  /dev/sdd) answer /dev/sdd | head -c 60 ;;
  *) answer "\${*: -1}" ;;
esac
`;

function addDisk(workspace: Workspace, name: string): void {
  const folder = join(workspace.path, "sys/block", name);
  mkdirSync(join(folder, "queue"), { recursive: true });
  mkdirSync(join(folder, "device"), { recursive: true });
  writeFileSync(join(folder, "queue/rotational"), "0\n");
  writeFileSync(join(folder, "device/state"), "running\n");
  writeFileSync(join(folder, "stat"), "5 0 0 0 7 0 0 0\n");
}

const configOf = (workspace: Workspace, enabled: boolean) => ({
  paths: { sysfs: join(workspace.path, "sys") },
  collectors: {
    smart: { enabled, smartctl_path: workspace.file("smartctl"), interval_seconds: 10, deadline_seconds: 5 },
  },
});

test("disks that hang, talk nonsense and vanish cost their own series, and no page waits for them", async () => {
  using workspace = createWorkspace();
  writeFileSync(workspace.file("smartctl"), smartctl);
  chmodSync(workspace.file("smartctl"), 0o755);
  for (const name of ["sda", "sdb", "sdc", "sdd"]) addDisk(workspace, name);
  mkdirSync(workspace.file("state"));
  await using daemon = await startDaemon({ workspace, config: configOf(workspace, true) });
  const state = (device: string, name: string): string =>
    `aami_smart_device_state{device="${device}",state="${name}"} 1`;

  const page = await waitForPage(daemon, [
    state("sda", "ok"),
    state("sdb", "timeout"),
    state("sdc", "failed"),
    state("sdd", "failed"),
    'smartctl_device_smart_status{device="sda"} 1',
  ]);
  expect(page).not.toContain('smartctl_device_smart_status{device="sdb"}');
  expect(seriesValue(page, 'node_scrape_collector_success{collector="smart"}')).toBe(1);
  using other = createWorkspace();
  {
    await using healthy = await startDaemon({ workspace: other, config: configOf(workspace, false) });
    expect(await compareScrapes(daemon, healthy)).toBeLessThan(1.2);
  }

  rmSync(join(workspace.path, "sys/block/sda"), { recursive: true });
  const later = await waitForPage(daemon, ["aami_smart_disappeared_disks_total 1\n"]);
  expect(later).not.toContain('device="sda"');
  const status = (await (await daemon.get("/api/v1/status")).json()) as { events: { kind: string; device: string }[] };
  expect(status.events).toContainEqual(expect.objectContaining({ kind: "disk_disappeared", device: "sda" }));
  expect(status.events).toContainEqual(expect.objectContaining({ kind: "disk_unreadable", device: "sdb" }));
}, 180_000);
