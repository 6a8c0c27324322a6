import { expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createFileReader } from "../../../collectors/nvidia/counters-file.ts";
import { defaultCounters, parseCounters } from "../../../collectors/nvidia/counters.ts";
import { createWorkspace } from "../../harness/workspace.ts";

test.each([
  ["a field", "DCGM_FI_DEV_SM_CLOCK, gauge, SM clock.", ["DCGM_FI_DEV_SM_CLOCK gauge SM clock."], []],
  ["without blanks", "DCGM_FI_DEV_SM_CLOCK,counter,SM clock.", ["DCGM_FI_DEV_SM_CLOCK counter SM clock."], []],
  ["a stray blank after the name", "DCGM_FI_DEV_DEC_UTIL , gauge, x", ["DCGM_FI_DEV_DEC_UTIL gauge x"], []],
  ["commas in the help", "DCGM_FI_DEV_PSTATE, gauge, a, b", ["DCGM_FI_DEV_PSTATE gauge a, b"], []],
  ["a quoted help", 'DCGM_FI_DEV_PSTATE, gauge, "a ""b"", c"', ['DCGM_FI_DEV_PSTATE gauge a "b", c'], []],
  ["the newer name", "DCGM_FI_DEV_BOARD_POWER_WATTS, gauge, x", ["DCGM_FI_DEV_BOARD_POWER_WATTS gauge x"], []],
  ["an exporter counter", "DCGM_EXP_XID_ERRORS_COUNT, gauge, x", ["DCGM_EXP_XID_ERRORS_COUNT gauge x"], []],
  ["a type one value cannot have", "DCGM_FI_DEV_PSTATE, summary, x", ["DCGM_FI_DEV_PSTATE untyped x"], []],
  ["a field twice", "DCGM_FI_DEV_PSTATE,gauge,a\nDCGM_FI_DEV_PSTATE,gauge,b", ["DCGM_FI_DEV_PSTATE gauge a"], []],
  ["comments and empty lines", "# a, b, c\n\n  # d\r\n", [], []],
  ["an unknown field", "DCGM_FI_DEV_NO_SUCH, gauge, x", [], ["1 NVML does not tell this field"]],
  ["an unknown type", "\nDCGM_FI_DEV_PSTATE, number, x", [], ['2 "number" is no type']],
  ["too few parts", "DCGM_FI_DEV_PSTATE, gauge", [], ["1 a line has three parts: field, type, help"]],
])("%s", (_, text, wanted, problems) => {
  const parsed = parseCounters(text);
  expect(parsed.counters.map(({ field, type, help }) => `${field} ${type} ${help}`)).toEqual(wanted);
  expect(parsed.problems.map(({ line, reason }) => `${line} ${reason}`)).toEqual(problems);
});

test("label fields become labels, numbers asked for as labels do not", () => {
  const parsed = parseCounters("DCGM_FI_DEV_SERIAL, label, Serial\nDCGM_FI_DEV_SM_CLOCK, label, x");
  expect(parsed.labels).toEqual(["DCGM_FI_DEV_SERIAL"]);
  expect(parsed.problems).toHaveLength(1);
});

test("every field of the default list can be read", () => {
  const text = defaultCounters.counters.map(({ field, type, help }) => `${field}, ${type}, ${help}`).join("\n");
  expect(parseCounters(text)).toEqual({ counters: [...defaultCounters.counters], labels: [], problems: [] });
});

test("a file is told when it is another than before; what cannot be read is not told", () => {
  using workspace = createWorkspace();
  const file = workspace.file("counters.csv");
  const read = createFileReader(file);
  expect(read()).toBeUndefined();
  writeFileSync(file, "one");
  expect([read(), read()]).toEqual(["one", undefined]);
  writeFileSync(file, "another");
  expect([read(), read()]).toEqual(["another", undefined]);
  rmSync(file);
  mkdirSync(file);
  expect(read()).toBeUndefined();
});
