import { describe, expect, test } from "bun:test";
import { encodeFamilies } from "../../../collectors/exposition.ts";
import { deviceLabel, smartFamilies } from "../../../collectors/smart/families.ts";
import { classify } from "../../../collectors/smart/outcome.ts";
import { notOpened, report, standby } from "./reports.ts";

const seriesOf = (fields: Record<string, unknown>, type = "sat"): string[] =>
  encodeFamilies(smartFamilies(JSON.parse(report({ type, fields })), "sda"))
    .flatMap(({ text }) => text.split("\n"))
    .filter((line) => line !== "" && !line.startsWith("#") && !line.startsWith("smartctl_device{"));

describe("one call of smartctl is", () => {
  test.each([
    ["a report", report(), 0, "ok"],
    ["a report of a failing disk", report({ exitStatus: 216 }), 216, "ok"],
    ["a report behind a line of text", `  Pending defect count:0 Pending Defects\n${report()}`, 0, "ok"],
    ["a sleeping disk", standby(), 3, "standby"],
    ["a sleeping SCSI disk", standby("STANDBY BY COMMAND"), 3, "standby"],
    ["a disk that cannot be opened", notOpened("Permission denied"), 2, "open_failed"],
    ["a disk without SMART", report({ exitStatus: 1 }), 1, "unsupported"],
    ["no answer", "", 0, "failed"],
    ["half an answer", report().slice(0, 40), 0, "failed"],
    ["something else's JSON", "{}", 0, "failed"],
  ])("%s", (_, stdout, exitStatus, expected) => {
    expect(classify(stdout, exitStatus).state).toBe(expected as "ok");
  });

  test("the reason of a refusal is smartctl's own", () => {
    expect(classify(notOpened("Permission denied"), 2)).toEqual({
      state: "open_failed",
      reason: "Smartctl open device: /dev/sda failed: Permission denied",
    });
  });
});

describe("the device label is the exporter's", () => {
  test.each([
    ["/dev/sda", "sat", "sda"],
    ["/dev/nvme0", "nvme", "nvme0"],
    ["/dev/bus/0", "sat+megaraid,4", "bus_0_sat+megaraid_4"],
    ["/dev/disk/by-id/wwn-0x5", "sat", "wwn-0x5"],
  ])("%s %s", (path, type, expected) => {
    expect(deviceLabel(JSON.parse(report({ path, type })))).toBe(expected);
  });
});

describe("families", () => {
  test.each([
    ["passed", { smart_status: { passed: true } }, "sat", ['smartctl_device_smart_status{device="sda"} 1']],
    ["failing", { smart_status: { passed: false } }, "sat", ['smartctl_device_smart_status{device="sda"} 0']],
    ["no verdict is no series", {}, "sat", []],
    [
      "hours and minutes",
      { power_on_time: { hours: 1, minutes: 1 } },
      "sat",
      ['smartctl_device_power_on_seconds{device="sda"} 3660'],
    ],
    [
      "NVMe data units",
      { nvme_smart_health_information_log: { data_units_read: 2 } },
      "nvme",
      ['smartctl_device_bytes_read{device="sda"} 1.024e+06'],
    ],
    ["NVMe log of another type", { nvme_smart_health_information_log: { data_units_read: 2 } }, "sat", []],
    ["an SSD does not turn", { rotation_rate: 0 }, "sat", []],
  ])("%s", (_, fields, type, expected) => {
    const always = /^smartctl_device_(capacity|block_size|smartctl_exit_status)/;
    expect(seriesOf(fields, type).filter((line) => !always.test(line))).toEqual(expected);
  });

  test("an attribute has four values and its flags in words", () => {
    const flags = { string: "PO--CK", prefailure: true, updated_online: true, event_count: true, auto_keep: true };
    const table = [
      { id: 5, name: "Reallocated_Sector_Ct", value: 100, worst: 99, thresh: 10, flags, raw: { value: 7 } },
    ];
    const attributes = seriesOf({ ata_smart_attributes: { table } }).filter((line) => line.includes("_attribute{"));
    expect(attributes.map((line) => /attribute_value_type="(\w+)".* (\d+)$/.exec(line)?.slice(1))).toEqual([
      ["raw", "7"],
      ["thresh", "10"],
      ["value", "100"],
      ["worst", "99"],
    ]);
    expect(attributes[0]).toContain('attribute_flags_long="prefailure,updated_online,event_count,auto_keep"');
  });
});
