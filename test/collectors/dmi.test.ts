import { expect, test } from "bun:test";
import { dmi } from "../../collectors/dmi.ts";
import { collectFrom, unreadable } from "./fixture-host.ts";

const id = "sys/class/dmi/id";

test("what the firmware gives, as labels", async () => {
  const { series, skipped } = await collectFrom(dmi, {
    [`${id}/sys_vendor`]: " Acme \n",
    [`${id}/product_name`]: new Uint8Array([0x47, 0xff, 0xfe, 0x31, 0x1c, 0x0a]),
    [`${id}/board_serial`]: unreadable,
    [`${id}/modalias`]: "dmi:x\n",
  });
  expect(series).toEqual(['node_dmi_info{product_name="G\uFFFD1\x1c",system_vendor="Acme"} 1']);
  expect(skipped).toEqual([`${id}/board_serial`]);
});

test("absent without DMI", async () => {
  expect((await collectFrom(dmi, {})).state).toBe("absent");
});
