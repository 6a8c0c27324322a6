import { expect, test } from "bun:test";
import { bonding } from "../../collectors/bonding.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

const net = "sys/class/net";
const bond = {
  [`${net}/bonding_masters`]: "bond0 bond1\n",
  [`${net}/bond0/bonding/slaves`]: "eth0 eth1\n",
  [`${net}/bond0/lower_eth0/bonding_slave/mii_status`]: "up\n",
  [`${net}/bond0/slave_eth1/bonding_slave/mii_status`]: "down\n",
  [`${net}/bond1/bonding/slaves`]: "\n",
};

test("configured and active members, old and new link names", async () => {
  expect((await collectFrom(bonding, bond)).series).toEqual([
    'node_bonding_active{master="bond0"} 1',
    'node_bonding_active{master="bond1"} 0',
    'node_bonding_slaves{master="bond0"} 2',
    'node_bonding_slaves{master="bond1"} 0',
  ]);
});

test("a member whose link cannot be read takes the active count of its bond along, nothing else", async () => {
  const { series, skipped } = await collectFrom(bonding, {
    ...bond,
    [`${net}/bond0/bonding/slaves`]: "eth0 eth1 eth2\n",
    [`${net}/bond0/lower_eth2/bonding_slave/mii_status`]: unreadable,
  });
  expect(series).toEqual([
    'node_bonding_active{master="bond1"} 0',
    'node_bonding_slaves{master="bond0"} 3',
    'node_bonding_slaves{master="bond1"} 0',
  ]);
  expect(skipped).toEqual([`${net}/bond0/lower_eth2/bonding_slave/mii_status`]);
});

test("absent without the bonding module", async () => {
  expect((await collectFrom(bonding, {})).state).toBe("absent");
});
