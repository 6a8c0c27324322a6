import { describe, expect, test } from "bun:test";
import { amdGpuErrors } from "../../../checks/builtin/amd/errors.ts";
import { gpuXid } from "../../../checks/builtin/gpu-xid.ts";
import { nvswitchSxid } from "../../../checks/builtin/nvswitch-sxid.ts";
import { actionTexts, sxids, xids } from "../../../checks/catalogue/catalogue.ts";
import { actions } from "../../../checks/verdict.ts";
import { type Families, grade, type GradeOptions, noon, runWith, toSamples, verdictOf } from "./grading.ts";

const xid = (code: number, { ago = 60, count = 1, gpu = "0000:3b:00" } = {}): Families => {
  const labels = { pci_bus_id: gpu, xid: String(code) };
  return { aami_gpu_xid_errors_total: [[labels, count]], aami_gpu_xid_last_timestamp_seconds: [[labels, noon - ago]] };
};
const sxid = (code: number, severity: string, ago = 60): Families => {
  const labels = { pci_bus_id: "0000:06:00.0", sxid: String(code), severity };
  return {
    aami_nvswitch_sxid_errors_total: [[labels, 1]],
    aami_nvswitch_sxid_last_timestamp_seconds: [[labels, noon - ago]],
  };
};

describe("gpu_xid", () => {
  test.each([
    ["nothing", {}, "ok", "none", "no Xid that asks for anything"],
    ["nothing but zeros", xid(79, { count: 0 }), "ok", "none", "no Xid that asks for anything"],
    ["an application's fault", xid(31), "ok", "none", "no Xid that asks for anything"],
    [
      "a lost GPU",
      xid(79),
      "critical",
      "reboot",
      "GPU 0000:3b:00: Xid 79, GPU has fallen off the bus; at 2026-11-20 11:59:00 UTC",
    ],
    [
      "a double-bit error, often",
      xid(48, { count: 3 }),
      "critical",
      "reset_gpu",
      "GPU 0000:3b:00: Xid 48, Double Bit ECC Error; 3 times, last at 2026-11-20 11:59:00 UTC",
    ],
    [
      "a contained memory error",
      xid(94),
      "warning",
      "check_application",
      "GPU 0000:3b:00: Xid 94, Contained memory error; at 2026-11-20 11:59:00 UTC",
    ],
    ["the same, hours ago", xid(94, { ago: 7200 }), "ok", "none", "no Xid that asks for anything"],
    ["a lost GPU, last week", xid(79, { ago: 7 * 86_400 }), "ok", "none", "no Xid that asks for anything"],
    [
      "a code that nobody knows",
      xid(999),
      "warning",
      "contact_support",
      "GPU 0000:3b:00: Xid 999, not in this daemon's catalogue; at 2026-11-20 11:59:00 UTC",
    ],
  ])("%s", (_what, families, status, action, summary) => {
    expect(verdictOf(gpuXid, families)).toMatchObject({ status, action, summary });
  });

  test("a change of the recovery action is over when the driver asks for nothing any more", () => {
    const gpu = { gpu: "0", uuid: "GPU-0" };
    const asking = (action: number): Families => ({
      aami_gpu_info: [[{ ...gpu, pci_bus_id: "0000:3b:00" }, 1]],
      aami_gpu_recovery_action: [[gpu, action]],
    });
    expect(verdictOf(gpuXid, xid(154)).status).toBe("warning");
    expect(verdictOf(gpuXid, xid(154), { companion: asking(1) }).status).toBe("warning");
    expect(verdictOf(gpuXid, xid(154), { companion: asking(0) }).status).toBe("ok");
    expect(verdictOf(gpuXid, xid(154, { gpu: "0000:4c:00" }), { companion: asking(0) }).status).toBe("warning");
    expect(verdictOf(gpuXid, xid(79), { companion: asking(0) }).status).toBe("critical");
  });

  test("ignored codes are not judged", () => {
    expect(verdictOf(gpuXid, xid(79), { parameters: { ignore: [79] } }).status).toBe("ok");
  });

  const link = (code: number, info: string, status: string, severity = "fatal", ago = 60): Families => {
    const labels = { pci_bus_id: "0000:3b:00", xid: String(code) };
    const detailed = { ...labels, error_info: info, error_status: status, severity };
    return {
      ...xid(code, { ago }),
      aami_gpu_nvlink_xid_errors_total: [[detailed, 1]],
      aami_gpu_nvlink_xid_last_timestamp_seconds: [[detailed, noon - ago]],
    };
  };

  test.each([
    [
      "a cartridge, in the first layout",
      link(149, "0x004001c6", "0x00000000"),
      "critical inspect_hardware",
      "NVLINK: NETIR Error, NETIR_LINK_DOWN 4 (suspect the signal of the link); at 2026-11-20 11:59:00 UTC",
    ],
    [
      "the same in the second layout",
      link(149, "0x00400011", "0x00000000"),
      "critical inspect_hardware",
      "NVLINK: NETIR Error, NETIR_LINK_DOWN 4 (suspect the signal of the link); at 2026-11-20 11:59:00 UTC",
    ],
    ["a link that was lost", link(149, "0x02000011", "0x00000000"), "critical reset_gpu", "NETIR_LINK_DOWN 32"],
    ["one taken down by hand", link(149, "0x02600011", "0x00000000"), "warning check_configuration", "by hand"],
    ["a fatal status", link(145, "0x00000082", "0x00000040"), "critical reset_gpu", "RLW_REMAP 0;"],
    [
      "one that ends the application",
      link(145, "0x00000082", "0x00000001", "nonfatal"),
      "warning check_application",
      "RLW_REMAP 0;",
    ],
    ["the same, hours ago", link(145, "0x00000082", "0x00000001", "nonfatal", 7200), "ok none", "no Xid"],
    ["what the GPU has corrected", link(145, "0x000000c2", "0x00000001", "nonfatal"), "ok none", "no Xid"],
    [
      "the driver's word goes before ours",
      link(145, "0x000000c2", "0x00000001"),
      "critical reset_gpu",
      "Error, fatal;",
    ],
    ["a fatal one that nobody knows", link(146, "0x00000123", "0x01000000"), "critical reset_gpu", "Error, fatal;"],
    ["another", link(146, "0x00000123", "0x01000000", "nonfatal"), "warning contact_support", "Error, not fatal;"],
    [
      "one without a word",
      link(146, "0x00000123", "0x01000000", "unknown"),
      "warning reset_gpu",
      "TLW Error; at 2026-11-20 11:59:00 UTC",
    ],
  ])("an NVLink: %s", (_what, families, expected, text) => {
    const { status, action, summary } = verdictOf(gpuXid, families);
    expect(`${status} ${action}`).toBe(expected);
    expect(summary).toContain(text);
  });

  test("an error of an NVLink that was told without its sub-code counts beside those with one", () => {
    const families = { ...link(145, "0x000000c2", "0x00000001", "nonfatal"), ...xid(145, { count: 3 }) };
    expect(verdictOf(gpuXid, families)).toMatchObject({
      status: "warning",
      action: "reset_gpu",
      summary: expect.stringContaining("NVLINK: RLW Error; 2 times"),
    });
  });

  test("an NVLink that comes back after two reboots needs hands", () => {
    const lost = link(149, "0x02000011", "0x00000000");
    let memory: unknown;
    for (const bootId of ["a", "b", "c"]) memory = grade(gpuXid, lost, { bootId, memory }).memory;
    expect(verdictOf(gpuXid, lost, { bootId: "c", memory })).toMatchObject({ action: "inspect_hardware" });
    expect(verdictOf(gpuXid, {}, { bootId: "d", memory }).status).toBe("ok");
  });

  test("what was dealt with is over, and reboots before that are no reason for an inspection", () => {
    let memory: unknown;
    for (const bootId of ["a", "b", "c"]) {
      memory = grade(gpuXid, xid(79, { ago: 600 }), { bootId, memory }).memory;
    }
    const mended = { bootId: "c", memory, acknowledgedSeconds: noon - 500 };
    expect(verdictOf(gpuXid, xid(79, { ago: 600 }), mended)).toMatchObject({ status: "ok", action: "none" });
    expect(verdictOf(gpuXid, xid(79, { ago: 60, count: 2 }), mended)).toMatchObject({
      status: "critical",
      action: "reboot",
      summary: expect.not.stringContaining("reboots"),
    });
  });

  test("a source that failed is unknown, a node without NVIDIA has no such check", async () => {
    expect((await runWith(gpuXid, { state: "failed", reason: "EPERM" })).verdict?.status).toBe("unknown");
    expect(grade(gpuXid, {}, { companionPresent: false }).absent).toBe("no NVIDIA GPU");
    expect(grade(gpuXid, xid(79), { companionPresent: false }).absent).toBeUndefined();
  });

  test("a reboot clears it; coming back after the second asks for an inspection", () => {
    const at = (bootId: string, families: Families, memory: unknown): GradeOptions & { memory: unknown } => ({
      bootId,
      memory: grade(gpuXid, families, { bootId, memory }).memory,
    });
    const first = at("boot-1", xid(79), undefined);
    expect(verdictOf(gpuXid, {}, { ...first, bootId: "boot-2" })).toMatchObject({ status: "ok" });
    const second = at("boot-2", xid(79, { ago: 40 }), first.memory);
    expect(verdictOf(gpuXid, xid(79, { ago: 40 }), second)).toMatchObject({
      action: "reboot",
      summary: "GPU 0000:3b:00: Xid 79, GPU has fallen off the bus; at 2026-11-20 11:59:20 UTC, again after 1 reboot",
    });
    const third = at("boot-3", xid(79, { ago: 20 }), second.memory);
    expect(verdictOf(gpuXid, xid(79, { ago: 20 }), third)).toMatchObject({
      status: "critical",
      action: "inspect_hardware",
      summary: "GPU 0000:3b:00: Xid 79, GPU has fallen off the bus; at 2026-11-20 11:59:40 UTC, again after 2 reboots",
    });
    const other = at("boot-3", xid(79, { gpu: "0000:4c:00" }), second.memory);
    expect(verdictOf(gpuXid, xid(79, { gpu: "0000:4c:00" }), other).action).toBe("reboot");
  });

  test("what a reboot does not cure stays after one", () => {
    const { memory } = grade(gpuXid, xid(54), { bootId: "boot-1" });
    expect(verdictOf(gpuXid, {}, { bootId: "boot-2", memory })).toMatchObject({
      status: "warning",
      action: "inspect_hardware",
    });
  });

  test("a daemon that starts again remembers what the kernel's ring has lost", () => {
    const { memory } = grade(gpuXid, xid(79, { count: 5 }));
    expect(verdictOf(gpuXid, {}, { memory }).summary).toContain("5 times");
  });

  test("reboots of a month ago do not count", () => {
    let memory: unknown;
    for (const [index, bootId] of ["a", "b"].entries()) {
      const nowSeconds = noon - (25 - index) * 86_400;
      const labels = { pci_bus_id: "0000:3b:00", xid: "79" };
      const families: Families = {
        aami_gpu_xid_errors_total: [[labels, 1]],
        aami_gpu_xid_last_timestamp_seconds: [[labels, nowSeconds]],
      };
      memory = grade(gpuXid, families, { bootId, memory, nowSeconds }).memory;
    }
    memory = grade(gpuXid, xid(79), { bootId: "c", memory }).memory;
    expect(verdictOf(gpuXid, xid(79), { bootId: "c", memory }).action).toBe("reboot");
  });
});

describe.each([gpuXid, nvswitchSxid, amdGpuErrors])("$name without the kernel log", (check) => {
  const failed = { state: "failed", reason: "EPERM" } as const;

  test("is absent where the hardware is", async () => {
    const run = await runWith(check, failed, {}, { state: "absent", reason: "no library" });
    expect([run.outcome, run.verdict]).toEqual(["absent", undefined]);
  });

  test.each([{ state: "ok", samples: toSamples({}) }, failed] as const)(
    "is unknown otherwise: %p",
    async (companion) => {
      const { verdict } = await runWith(check, failed, {}, companion);
      expect(verdict).toMatchObject({ status: "unknown", summary: "the kmsg collector gave no reading: EPERM" });
    },
  );
});

describe("nvswitch_sxid", () => {
  test.each([
    ["a fatal one", sxid(20034, "fatal"), "critical", "SXid 20034, LTSSM Fault Up; at 2026-11-20 11:59:00 UTC"],
    ["one that the catalogue calls fatal and the switch does not", sxid(20034, "warning"), "warning", "SXid 20034"],
    ["a fatal one that nobody knows", sxid(29999, "fatal"), "critical", "not in this daemon's catalogue"],
  ])("%s", (_what, families, status, text) => {
    const verdict = verdictOf(nvswitchSxid, families);
    expect(verdict).toMatchObject({ status, action: "reboot" });
    expect(verdict.summary).toContain(text);
  });

  test("corrected errors ask for nothing", () => {
    expect(verdictOf(nvswitchSxid, sxid(11012, "warning")).status).toBe("ok");
  });

  test("no SXid ever: no check; no kernel log: unknown", async () => {
    expect(grade(nvswitchSxid, {}).absent).toBe("no SXid of an NVSwitch so far");
    expect((await runWith(nvswitchSxid, { state: "failed", reason: "EPERM" })).verdict?.status).toBe("unknown");
    expect((await runWith(nvswitchSxid, { state: "ok", samples: toSamples({}) })).outcome).toBe("absent");
  });
});

describe("the catalogue", () => {
  test("has every code once", () => {
    expect(xids.size).toBe(173);
    expect(sxids.size).toBe(93);
    expect([...xids.keys()].every((code) => code >= 1 && code <= 173)).toBe(true);
    expect([...sxids.keys()].every((code) => code >= 10_000 && code < 30_000)).toBe(true);
  });

  test.each([
    [13, "info", "check_application"],
    [43, "info", "check_application"],
    [48, "critical", "reset_gpu"],
    [63, "info", "none"],
    [64, "critical", "reset_gpu"],
    [74, "critical", "reset_gpu"],
    [79, "critical", "reboot"],
    [94, "warning", "check_application"],
    [95, "critical", "reset_gpu"],
    [109, "warning", "reset_gpu"],
    [119, "critical", "reset_gpu"],
    [120, "critical", "reset_gpu"],
    [149, "warning", "reset_gpu"],
  ] as const)("Xid %d is %s, %s", (code, level, action) => {
    expect(xids.get(code)).toMatchObject({ code, level, action });
  });

  test.each([
    [11012, "info", "none"],
    [12028, "critical", "reboot"],
    [20034, "critical", "reboot"],
    [22013, "info", "none"],
  ] as const)("SXid %d is %s, %s", (code, level, action) => {
    expect(sxids.get(code)).toMatchObject({ code, level, action });
  });

  test("whatever is critical says what to do, and every action has words", () => {
    const silent = [...xids.values(), ...sxids.values()].filter(
      ({ level, action, title }) => (level === "critical" && action === "none") || title === "",
    );
    expect(silent).toEqual([]);
    expect(actions.filter((action) => actionTexts[action] === "")).toEqual([]);
  });
});
