import { assert, valueOf } from "../node.ts";
import type { Scenario } from "../scenario.ts";

/** The daemon as a unit of a real systemd: what it says about this machine, and how it takes a reload. */
export const service: Scenario = async ({ machine, node, check }) => {
  await check("systemd calls the unit started only when it answers", async () => {
    await machine.run("systemctl restart aami && curl -sf -o /dev/null http://127.0.0.1:9100/readyz");
    assert((await machine.run("systemctl is-active aami")) === "active", "the unit is not active");
  });

  await check("the page shows this machine", async () => {
    const kernel = await machine.run("uname -r");
    await node.waitForPage([
      /^node_cpu_seconds_total\{cpu="1",mode="idle"\} [1-9]/m,
      /^node_memory_MemTotal_bytes \d/m,
      /^node_filesystem_size_bytes\{.*mountpoint="\/".*\} [1-9]/m,
      /^node_network_receive_bytes_total\{device="eth0"\} [1-9]/m,
      /^node_disk_reads_completed_total\{device="vda"\} [1-9]/m,
      /^node_pressure_cpu_waiting_seconds_total \d/m,
      new RegExp(`^node_uname_info\\{.*release="${kernel.replaceAll(/[.+]/g, "\\$&")}"`, "m"),
      /^aami_build_info\{/m,
    ]);
  });

  await check("no collector fails on this machine", async () => {
    const page = await node.page();
    const broken = page.match(/^aami_collector_state\{.*state="(failed|timeout)"\} 1$/gm) ?? [];
    assert(broken.length === 0, broken.join("\n"));
  });

  await check("systemd's units and version come over the real D-Bus", async () => {
    await machine.run(
      "systemd-run --quiet --unit=broken false; until systemctl is-failed -q broken; do sleep 0.2; done",
    );
    const version = (await machine.run("systemctl --version")).split(" ")[1];
    await node.waitForPage([
      new RegExp(`^node_systemd_version\\{version="${version}[^"]*"\\} ${version}`, "m"),
      /^node_systemd_unit_state\{name="aami\.service",state="active",type="notify"\} 1$/m,
      /^node_systemd_unit_state\{name="broken\.service",state="failed",type="simple"\} 1$/m,
      /^node_systemd_units\{state="failed"\} [1-9]/m,
      /^node_systemd_system_running [01]$/m,
    ]);
    await machine.run("systemctl reset-failed broken");
    await node.waitForAbsence(/^node_systemd_unit_state\{name="broken\.service",state="failed".*\} 1$/);
  });

  await check("a session of logind is counted", async () => {
    await machine.run("systemd-run --quiet --unit=session -p PAMName=login -p User=aami-check sleep 300");
    await node.waitForPage([/^node_logind_sessions\{.*\} 1$/m]);
    await machine.run("systemctl stop session");
  });

  await check("systemctl reload takes a changed file and keeps the process", async () => {
    const mainPid = "systemctl show -p MainPID --value aami";
    const before = await machine.run(mainPid);
    await machine.run(`cp /etc/aami/daemon.yaml /root/daemon.yaml
      sed -i 's/^collectors:/collectors:\\n  loadavg:\\n    enabled: false/' /etc/aami/daemon.yaml
      systemctl reload aami`);
    await node.waitForAbsence(/^node_load1 /);
    assert((await machine.run(mainPid)) === before, "the process is another one");
  });

  await check("a file that cannot be used leaves the configuration in force", async () => {
    await machine.run("echo 'nonsense: 1' >> /etc/aami/daemon.yaml; systemctl reload aami");
    await node.waitForPage(["aami_config_last_reload_successful 0"]);
    await machine.run("cp /root/daemon.yaml /etc/aami/daemon.yaml; systemctl reload aami");
    const page = await node.waitForPage(["aami_config_last_reload_successful 1", /^node_load1 /m]);
    assert(valueOf(page, "node_load1") > 0, "no load on a machine that has just booted");
  });
};
