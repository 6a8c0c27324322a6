import { expect, test } from "bun:test";
import { powersupplyclass } from "../../collectors/powersupplyclass.ts";
import { tapestats } from "../../collectors/tapestats.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

const battery = "sys/class/power_supply/BAT0";
const supplies = {
  [`${battery}/type`]: "Battery\n",
  [`${battery}/model_name`]: new Uint8Array([0x41, 0xff, 0xfe, 0x0a]),
  [`${battery}/manufacturer`]: " \n",
  [`${battery}/capacity`]: "81\n",
  [`${battery}/cycle_count`]: "12\n",
  [`${battery}/voltage_now`]: "12229000\n",
  [`${battery}/temp`]: "-35\n",
  [`${battery}/uevent`]: "POWER_SUPPLY_NAME=BAT0\n",
  "sys/class/power_supply/AC/online": "1\n",
};

test("power supply: volts, degrees, only the labels that say something", async () => {
  const { series, skipped } = await collectFrom(powersupplyclass, supplies);
  expect(series.sort()).toEqual([
    'node_power_supply_capacity{power_supply="BAT0"} 81',
    'node_power_supply_cyclecount{power_supply="BAT0"} 12',
    'node_power_supply_info{model_name="A\uFFFD",power_supply="BAT0",type="Battery"} 1',
    'node_power_supply_info{power_supply="AC"} 1',
    'node_power_supply_online{power_supply="AC"} 1',
    'node_power_supply_temp_celsius{power_supply="BAT0"} -3.5',
    'node_power_supply_voltage_volt{power_supply="BAT0"} 12.229',
  ]);
  expect(skipped).toEqual([]);
});

test("power supply: an attribute that cannot be read costs one series; a supply by pattern", async () => {
  const broken = { ...supplies, [`${battery}/capacity`]: unreadable, [`${battery}/temp`]: "warm\n" };
  const { series, skipped } = await collectFrom(powersupplyclass, broken);
  expect(series).toHaveLength(5);
  expect(skipped).toEqual([`${battery}/capacity`, `${battery}/temp`]);
  expect((await collectFrom(powersupplyclass, supplies, { ignored_supplies: "^BAT" })).series).toHaveLength(2);
});

const drive = "sys/class/scsi_tape/st0/stats";
const tapes = {
  [`${drive}/in_flight`]: "1\n",
  [`${drive}/read_byte_cnt`]: "979383912\n",
  [`${drive}/write_ns`]: "1500000000\n",
  "sys/class/scsi_tape/nst0/stats/in_flight": "1\n",
};

test("tape: drives once, nanoseconds to seconds", async () => {
  expect((await collectFrom(tapestats, tapes)).series).toEqual([
    'node_tape_io_now{device="st0"} 1',
    'node_tape_read_bytes_total{device="st0"} 9.79383912e+08',
    'node_tape_write_time_seconds_total{device="st0"} 1.5',
  ]);
});

test("tape: a statistic that cannot be read costs one series; a drive by pattern", async () => {
  const { series, skipped } = await collectFrom(tapestats, { ...tapes, [`${drive}/write_ns`]: unreadable });
  expect(series).toHaveLength(2);
  expect(skipped).toEqual([`${drive}/write_ns`]);
  expect(await collectFrom(tapestats, tapes, { ignored_devices: "st0" })).toMatchObject({ state: "ok", series: [] });
});

test.each([powersupplyclass, tapestats])("$name is absent without its class", async (definition) => {
  expect((await collectFrom(definition, {})).state).toBe("absent");
});
