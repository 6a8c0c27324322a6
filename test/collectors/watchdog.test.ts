import { expect, test } from "bun:test";
import { watchdog } from "../../collectors/watchdog.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

const device = "sys/class/watchdog/watchdog0";
const full = {
  [`${device}/identity`]: "iTCO_wdt\n",
  [`${device}/state`]: "active\n",
  [`${device}/timeout`]: "30\n",
  [`${device}/timeleft`]: "12\n",
  [`${device}/bootstatus`]: "32\n",
};

test("attributes that are there, seconds in the name", async () => {
  expect((await collectFrom(watchdog, full)).series).toEqual([
    'node_watchdog_bootstatus{name="watchdog0"} 32',
    'node_watchdog_info{identity="iTCO_wdt",name="watchdog0",options="",pretimeout_governor="",state="active",status=""} 1',
    'node_watchdog_timeleft_seconds{name="watchdog0"} 12',
    'node_watchdog_timeout_seconds{name="watchdog0"} 30',
  ]);
});

test("an attribute that cannot be read costs one series", async () => {
  const { series, skipped } = await collectFrom(watchdog, { ...full, [`${device}/timeleft`]: unreadable });
  expect(series).toHaveLength(3);
  expect(skipped).toEqual([`${device}/timeleft`]);
});

test("absent without the class", async () => {
  expect((await collectFrom(watchdog, {})).state).toBe("absent");
});
