import { expect, test } from "bun:test";
import { fibrechannel } from "../../collectors/fibrechannel.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

const port = "sys/class/fc_host/host2";
const online = {
  [`${port}/port_state`]: "Online\n",
  [`${port}/port_id`]: "0x01ab\n",
  [`${port}/statistics/rx_frames`]: "0x1f\n",
  [`${port}/statistics/tx_frames`]: "0xffffffffffffffff\n",
  [`${port}/statistics/lip_count`]: "0x1\n",
  [`${port}/statistics/reset_statistics`]: unreadable,
};

test("hexadecimal counters; those the firmware does not keep are left out", async () => {
  const { series, skipped } = await collectFrom(fibrechannel, online);
  expect(series).toEqual([
    'node_fibrechannel_info{dev_loss_tmo="",fabric_name="",fc_host="host2",port_id="01ab",port_name="",port_state="Online",port_type="",speed="",supported_classes="",supported_speeds="",symbolic_name=""} 1',
    'node_fibrechannel_rx_frames_total{fc_host="host2"} 31',
  ]);
  expect(skipped).toEqual([]);
});

test("a counter that cannot be read costs one series", async () => {
  const { series, skipped } = await collectFrom(fibrechannel, {
    ...online,
    [`${port}/statistics/nos_count`]: unreadable,
    [`${port}/statistics/rx_words`]: "N/A\n",
  });
  expect(series).toHaveLength(2);
  expect(skipped).toEqual([`${port}/statistics/nos_count`, `${port}/statistics/rx_words`]);
});

test("a disabled port without statistics has its info only; no port is absent", async () => {
  expect((await collectFrom(fibrechannel, { [`${port}/port_state`]: "Unknown\n" })).series).toHaveLength(1);
  expect((await collectFrom(fibrechannel, {})).state).toBe("absent");
});
