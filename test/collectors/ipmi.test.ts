import { expect, test } from "bun:test";
import { ipmi } from "../../collectors/ipmi.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

const device = "sys/class/ipmi/ipmi0/device";
const kcs = {
  [`${device}/type`]: "kcs\n",
  [`${device}/complete_transactions`]: "1234\n",
  [`${device}/hosed_count`]: "2\n",
  [`${device}/events`]: "0\n",
};

test("the interface with its counters", async () => {
  expect((await collectFrom(ipmi, kcs)).series).toEqual([
    'aami_ipmi_abandoned_transactions_total{interface="ipmi0"} 2',
    'aami_ipmi_events_total{interface="ipmi0"} 0',
    'aami_ipmi_interface_info{interface="ipmi0",type="kcs"} 1',
    'aami_ipmi_transactions_total{interface="ipmi0"} 1234',
  ]);
});

test("an interface over I2C has no counters", async () => {
  expect((await collectFrom(ipmi, { "sys/class/ipmi/ipmi1/device/": "" })).series).toEqual([
    'aami_ipmi_interface_info{interface="ipmi1",type=""} 1',
  ]);
});

test("what would ask the management controller is not read", async () => {
  const { series, skipped } = await collectFrom(ipmi, { ...kcs, [`${device}/bmc/firmware_revision`]: unreadable });
  expect(series).toHaveLength(4);
  expect(skipped).toEqual([]);
});

test("a counter that cannot be read costs one series", async () => {
  const { series, skipped } = await collectFrom(ipmi, { ...kcs, [`${device}/events`]: unreadable });
  expect(series).toHaveLength(3);
  expect(skipped).toEqual([`${device}/events`]);
});

test("absent without the driver", async () => {
  expect((await collectFrom(ipmi, {})).state).toBe("absent");
});
