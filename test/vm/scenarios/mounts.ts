import { assert, type Node, valueOf } from "../node.ts";
import type { Scenario } from "../scenario.ts";

const mount = 'mountpoint="/nfs"';
/** A page that waited for the mount would take the deadline of a collector, 60 s here; half of it is only a slow machine. */
const slowerBySeconds = 30;

/** A real NFS server that drops off the network under a hard mount. */
export const mounts: Scenario = async ({ machine, node, check }) => {
  let healthySeconds = 0;

  await check("a hard NFS mount is shown with its size", async () => {
    // Port 2049 of the address the client uses, so that a packet filter can drop it. The server was started at boot.
    await machine.run(
      "systemctl start nfs-server && mount -t nfs -o vers=4.2,hard,timeo=50,retrans=1 10.0.2.15:/ /nfs",
    );
    await node.waitForPage([
      new RegExp(`^node_filesystem_size_bytes\\{.*${mount}.*\\} [1-9]`, "m"),
      new RegExp(`^aami_mount_healthy\\{.*${mount}.*\\} 1$`, "m"),
      new RegExp(`^node_mountstats_|^node_nfs_requests_total`, "m"),
    ]);
    healthySeconds = await medianScrapeSeconds(node);
  });

  await check("while the server is gone the page stays fast and names the mount", async () => {
    await machine.run(
      `nft add table inet test && nft add chain inet test in '{ type filter hook input priority 0; }' &&
       nft add rule inet test in tcp dport 2049 drop && nft add rule inet test in tcp sport 2049 drop`,
    );
    await node.waitForPage([
      new RegExp(`^node_filesystem_device_error\\{.*${mount}.*\\} 1$`, "m"),
      new RegExp(`^aami_mount_healthy\\{.*${mount}.*\\} 0$`, "m"),
      new RegExp(`^aami_mount_probe_info\\{.*${mount}.*state="(slow|stuck)".*\\} 1$`, "m"),
    ]);
    const page = await node.page();
    assert(!new RegExp(`^node_filesystem_size_bytes\\{.*${mount}`, "m").test(page), "an old size is shown as live");
    assert(/^node_filesystem_size_bytes\{.*mountpoint="\/".*\} [1-9]/m.test(page), "other mounts are gone as well");
    const hungSeconds = await medianScrapeSeconds(node);
    const times = `${hungSeconds.toFixed(2)} s a page, ${healthySeconds.toFixed(2)} s when all is well`;
    const facts = `${times}; slowest collectors: ${slowestCollectors(await node.page())}`;
    console.log(`       ${facts}`);
    assert(hungSeconds < healthySeconds + slowerBySeconds, facts);
    await node.waitForJournal(/"msg":"mount (did not answer in time|is stuck[^"]*)".*\/nfs/);
    await node.waitForVerdict("mounts", "critical");
    await node.waitForStatus(1, [/^CRITICAL mounts,/m, /\/nfs: /]);
  });

  await check("checks go on while a mount hangs", async () => {
    const last = 'aami_check_last_run_timestamp_seconds{check="fine"}';
    const before = valueOf(await node.page(), last);
    const next = new RegExp(`^${last.replace("{", "\\{")} (?!${before}$)`, "m");
    const page = await node.waitForPage([next]);
    assert(valueOf(page, 'aami_check_success{check="fine"}') === 1, "the check fails");
  });

  await check("when the server is back the mount recovers by itself", async () => {
    await machine.run("nft delete table inet test");
    await node.waitForPage([
      new RegExp(`^node_filesystem_size_bytes\\{.*${mount}.*\\} [1-9]`, "m"),
      new RegExp(`^aami_mount_healthy\\{.*${mount}.*\\} 1$`, "m"),
      "aami_mount_stuck_probes 0",
    ]);
    await node.waitForJournal(/"msg":"mount has recovered".*\/nfs/);
    await node.waitForVerdict("mounts", "ok");
  });

  await check("after an unmount its series are gone and no process holds it", async () => {
    await machine.run("umount /nfs; systemctl stop nfs-server");
    await node.waitForAbsence(new RegExp(`^(node_filesystem|aami_mount)_.*${mount}`));
  });
};

async function medianScrapeSeconds(node: Node): Promise<number> {
  const seconds: number[] = [];
  for (let scrape = 0; scrape < 5; scrape++) {
    const started = performance.now();
    await node.page();
    seconds.push((performance.now() - started) / 1000);
  }
  return seconds.sort((one, other) => one - other)[2] ?? Number.NaN;
}

function slowestCollectors(page: string): string {
  const durations = page.matchAll(/^node_scrape_collector_duration_seconds\{collector="(\w+)"\} (\S+)$/gm);
  return [...durations]
    .map(([, name = "", seconds]) => ({ name, seconds: Number(seconds) }))
    .sort((one, other) => other.seconds - one.seconds)
    .slice(0, 3)
    .map(({ name, seconds }) => `${name} ${seconds.toFixed(2)} s`)
    .join(", ");
}
