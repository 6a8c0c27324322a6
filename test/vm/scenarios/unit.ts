import { assert } from "../node.ts";
import type { Scenario } from "../scenario.ts";

const unitGroup = "/sys/fs/cgroup/system.slice/aami.service";

/** How the unit ends, by force and by `systemctl stop`. */
export const unit: Scenario = async ({ machine, node, check }) => {
  // There has to be something to leave behind.
  await machine.run("install -m 644 -t /usr/local/lib/aami/checks /mnt/checks/* && systemctl reload aami");

  await check("a daemon that is killed comes back with nothing left of the old one", async () => {
    const before = await machine.run("systemctl show -p MainPID --value aami");
    await machine.run("systemctl kill --kill-whom=main -s KILL aami");
    await machine.run(
      `until [ "$(systemctl show -p MainPID --value aami)" != ${before} ] && systemctl is-active -q aami; do sleep 1; done`,
    );
    await node.waitForPage([/^node_cpu_seconds_total/m]);
    const strangers = await machine.run(
      `started() { cut -d' ' -f22 /proc/$1/stat 2>/dev/null; }
       new=$(started $(systemctl show -p MainPID --value aami))
       for pid in $(pgrep -x aami); do at=$(started $pid); [ \${at:-$new} -ge $new ] || echo $pid; done`,
    );
    assert(strangers === "", `processes of the old daemon: ${strangers}`);
  });

  await check("systemctl stop ends it cleanly, in the middle of bad checks", async () => {
    await node.waitForPage(["aami_sandbox_ok 1"]);
    const seconds = Number(
      await machine.run("s=$(date +%s%N); systemctl stop aami; e=$(date +%s%N); echo $(( (e - s) / 1000000 ))e-3"),
    );
    console.log(`       it took ${seconds.toFixed(1)} s`);
    const state = await machine.run("systemctl show -p Result,ExecMainStatus,ActiveState aami | sort | tr '\\n' ' '");
    assert(state.trim() === "ActiveState=inactive ExecMainStatus=0 Result=success", state);
    await node.waitForJournal(/"msg":"stopped"/);
  });

  await check("no process and no control group is left", async () => {
    const { stdout } = await machine.try(`pgrep -a -x aami; pgrep -a -u aami-check; ls -d ${unitGroup}`);
    assert(stdout.trim() === "", stdout);
  });
};
