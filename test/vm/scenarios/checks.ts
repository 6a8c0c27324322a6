import { waitFor } from "../../harness/wait.ts";
import { assert, valueOf } from "../node.ts";
import type { Scenario } from "../scenario.ts";

const scripts = "/usr/local/lib/aami/checks";
const leaves = "/sys/fs/cgroup/system.slice/aami.service/checks";

/** The sandbox under a real cgroup v2 tree that systemd delegated. */
export const checks: Scenario = async ({ machine, node, check }) => {
  // Each bad check runs once after a start; how many processes all checks have together is noted meanwhile.
  await machine.run(
    `systemd-run --quiet --unit=sampler bash -c \
       'while sleep 0.3; do read n <${leaves}/pids.current && echo $n; done >/run/pids 2>/dev/null'
     install -m 644 -t ${scripts} /mnt/checks/*
     systemctl restart aami`,
  );

  await check("the self-test holds, with control groups", async () => {
    await node.waitForPage(["aami_sandbox_ok 1", 'aami_sandbox_info{cgroup_memory="true"} 1']);
    await node.waitForJournal(/"msg":"sandbox ready".*"cgroup":"v2"/);
  });

  await check("the unit gives the daemon the host's own mounts", async () => {
    assert(!(await node.journal()).includes("mounts of its own"), "the daemon says it has mounts of its own");
  });

  await check("a check's metrics are published", async () => {
    await node.waitForPage(['vm_fine{check="fine",paths="2"} 1', 'aami_check_success{check="fine"} 1']);
  });

  await check("a run that takes four times its memory is ended as oom", async () => {
    await node.waitForPage(['aami_check_error{check="hog",reason="oom"} 1', 'aami_check_success{check="hog"} 0']);
    assert(!(await node.page()).includes("\nvm_hog"), "it printed its metric all the same");
  });

  await check("a fork bomb is contained while the others go on", async () => {
    const page = await node.waitForPage([/^aami_check_error\{check="bomb",reason="(timeout|exit)"\} 1$/m]);
    assert(valueOf(page, 'aami_check_success{check="fine"}') === 1, "the other check fails");
    const most = Number(await machine.run("systemctl stop sampler; sort -n /run/pids | tail -n 1"));
    assert(most > 40, `only ${most} processes at once: the bomb did not go off`);
    // 64 of each of the four checks that may run at the same time.
    assert(most <= 4 * 64, `${most} processes at once`);
  });

  await check("a process that a run leaves behind is ended", async () => {
    await node.waitForPage(['vm_deserter{check="deserter"} 1']);
  });

  await check("after the runs nothing is left: no process, no control group", async () => {
    await waitFor(
      "no process of the check user",
      async () => {
        const { stdout } = await machine.try("ps -u aami-check -o pid=,args=; find " + leaves + " -mindepth 1 -type d");
        // The one that runs every ten seconds may be on.
        const rest = stdout.split("\n").filter((line) => line.trim() !== "" && !/run\.fine\./.test(line));
        if (rest.length > 0) throw new Error(rest.slice(0, 10).join("\n"));
        return true;
      },
      { deadlineSeconds: 300 },
    );
  });

  await check("checks that fail stand in the status, and are gone with their files", async () => {
    await node.waitForStatus(1, [/^UNKNOWN hog,/m, /^[A-Z]+ bomb,/m]);
    await machine.run(`rm ${scripts}/{hog,bomb,deserter}.*; systemctl reload aami`);
    await node.waitForAbsence(/check="(hog|bomb|deserter)"/);
  });
};
