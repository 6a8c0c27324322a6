import { expect, test } from "bun:test";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type RunningDaemon, startDaemon, waitForPage } from "../harness/daemon.ts";
import { waitFor } from "../harness/wait.ts";
import { createWorkspace, type Workspace } from "../harness/workspace.ts";

const labels = '{device="mlx5_0",port="1"}';

function setPort(workspace: Workspace, device: string, isUp: boolean): void {
  const port = join(workspace.path, "sys/class/infiniband", device, "ports/1");
  mkdirSync(join(port, "counters"), { recursive: true });
  writeFileSync(join(port, "phys_state"), isUp ? "5: LinkUp\n" : "2: Polling\n");
  writeFileSync(join(port, "rate"), "400 Gb/sec (4X NDR)\n");
  writeFileSync(join(port, "counters/link_downed"), "0\n");
  writeFileSync(join(port, "state"), isUp ? "4: ACTIVE\n" : "1: DOWN\n");
}

const configOf = (workspace: Workspace) => ({
  paths: { sysfs: join(workspace.path, "sys") },
  collectors: { infiniband_link: { interval_seconds: 1, drop_after_seconds: 3, flap_down_seconds: 1, flap_count: 2 } },
});

async function eventsOf(daemon: RunningDaemon): Promise<string[]> {
  const status = (await (await daemon.get("/api/v1/status")).json()) as { events: { kind: string; device: string }[] };
  // The machine's own kernel log has its events as well.
  const ours = status.events.filter(({ kind }) => kind.startsWith("infiniband_"));
  return ours.map(({ kind, device }) => `${kind} ${device}`).toReversed();
}

test("a port that drops out, flaps and is gone, and a counter that the firmware refuses", async () => {
  using workspace = createWorkspace();
  mkdirSync(workspace.file("state"));
  setPort(workspace, "mlx5_0", true);
  setPort(workspace, "mlx5_1", true);
  // What the kernel answers here is EINVAL, as mlx5 does for a counter that its firmware refuses.
  symlinkSync(
    "/sys/class/net/lo/speed",
    join(workspace.path, "sys/class/infiniband/mlx5_1/ports/1/counters/symbol_error"),
  );
  const config = configOf(workspace);
  {
    await using daemon = await startDaemon({ workspace, config });
    const page = await waitForPage(daemon, [`aami_infiniband_link_up${labels} 1`]);
    expect(page).toContain('node_infiniband_link_downed_total{device="mlx5_1",port="1"} 0\n');
    expect(page).toContain('node_scrape_collector_success{collector="infiniband"} 1\n');
    setPort(workspace, "mlx5_0", false);
    await waitForPage(daemon, [`aami_infiniband_link_dropped${labels} 1`, `aami_infiniband_link_up${labels} 0`]);
    setPort(workspace, "mlx5_0", true);
    await waitForPage(daemon, [
      `aami_infiniband_link_dropped${labels} 0`,
      `aami_infiniband_link_flaps_total${labels} 1`,
    ]);
    expect(await eventsOf(daemon)).toEqual(["infiniband_link_drop mlx5_0:1", "infiniband_link_flap mlx5_0:1"]);
  }
  {
    await using daemon = await startDaemon({ workspace, config });
    await waitForPage(daemon, [`aami_infiniband_link_flaps_total${labels} 1`]);
    setPort(workspace, "mlx5_0", false);
    await waitForPage(daemon, [`aami_infiniband_link_up${labels} 0`]);
    await waitForPage(daemon, [`aami_infiniband_link_dropped${labels} 1`]);
    setPort(workspace, "mlx5_0", true);
    await waitForPage(daemon, [`aami_infiniband_link_flapping${labels} 1`]);
    rmSync(join(workspace.path, "sys/class/infiniband/mlx5_1"), { recursive: true });
    await waitFor("the event of the port that is gone", async () =>
      (await eventsOf(daemon)).includes("infiniband_port_gone mlx5_1:1"),
    );
    // The last adapter as well: the node is not one without InfiniBand now.
    rmSync(join(workspace.path, "sys/class/infiniband/mlx5_0"), { recursive: true });
    await waitForPage(daemon, [`aami_infiniband_link_gone_since_timestamp_seconds${labels}`]);
    const all = await eventsOf(daemon);
    expect(all.slice(0, 2)).toEqual(["infiniband_link_drop mlx5_0:1", "infiniband_link_flap mlx5_0:1"]);
  }
}, 180_000);
