import { assert, valueOf } from "../node.ts";
import type { Scenario } from "../scenario.ts";

const port = '{device="rxe0",port="1"}';

/** A RoCE device that the kernel makes of an Ethernet interface: it has ports, a rate, a state, and it carries traffic. */
export const network: Scenario = async ({ machine, node, check }) => {
  await check("a RoCE device is shown with its port", async () => {
    await node.waitForPage([
      /^node_infiniband_info\{.*device="rxe0".*\} 1$/m,
      `node_infiniband_state_id${port} 4`,
      `node_infiniband_physical_state_id${port} 5`,
      new RegExp(`^node_infiniband_rate_bytes_per_second\\${port} [1-9]`, "m"),
      // A port that was never seen up is not missed when it is down.
      `aami_infiniband_link_up${port} 1`,
    ]);
  });

  await check("traffic is counted", async () => {
    const series = 'aami_infiniband_hw_counter_total{counter="rcvd_pkts",device="rxe0",port="1"}';
    const before = valueOf(await node.page(), series);
    await machine.run(
      `ibv_rc_pingpong -d rxe0 -g 1 -n 500 >/dev/null &
       until ss -Hltn sport = 18515 | grep -q .; do sleep 0.2; done
       ibv_rc_pingpong -d rxe0 -g 1 -n 500 10.0.3.15 >/dev/null && wait`,
    );
    const page = await node.waitForPage([
      `node_infiniband_state_id${port} 4`,
      `node_infiniband_duplicate_requests_packets_total${port} `,
      'node_scrape_collector_success{collector="infiniband"} 1',
    ]);
    assert(valueOf(page, series) >= before + 500, `${series} was ${before} and is ${valueOf(page, series)}`);
  });

  await check("a cut link shows, and its return", async () => {
    const changes = 'node_network_carrier_changes_total{device="eth1"}';
    const before = valueOf(await node.page(), changes);
    await machine.monitor("set_link", { name: "nic1", up: false });
    await node.waitForPage([
      `node_infiniband_state_id${port} 1`,
      'node_network_carrier{device="eth1"} 0',
      'node_network_up{device="eth1"} 0',
    ]);
    await node.waitForVerdict("infiniband", "critical");
    await node.waitForStatus(1, [/^CRITICAL infiniband,/m, /rxe0\/1: down since/]);
    await machine.monitor("set_link", { name: "nic1", up: true });
    const page = await node.waitForPage([`node_infiniband_state_id${port} 4`, 'node_network_carrier{device="eth1"} 1']);
    assert(valueOf(page, changes) >= before + 2, "the changes were not counted");
    // For ten minutes it stands there that the port was down.
    await node.waitForVerdict("infiniband", "warning");
  });
};
