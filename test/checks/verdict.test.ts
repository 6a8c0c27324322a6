import { expect, test } from "bun:test";
import { type Finding, toVerdict } from "../../checks/verdict.ts";

test("of findings that are equally bad the heavier action is the check's, and a worse finding goes before it", () => {
  const finding = (status: Finding["status"], action: Finding["action"]): Finding => {
    return { status, subject: "loop0", summary: action, action };
  };
  const verdict = toVerdict(
    [
      finding("warning", "contact_support"),
      finding("critical", "check_storage"),
      finding("critical", "inspect_hardware"),
    ],
    "",
  );
  expect(verdict.action).toBe("inspect_hardware");
  expect(verdict.findings.map(({ action }) => action)).toEqual([
    "inspect_hardware",
    "check_storage",
    "contact_support",
  ]);
});
