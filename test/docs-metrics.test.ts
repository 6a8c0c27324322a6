import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startDaemonProcess } from "./daemon/running-daemon.ts";
import { waitFor } from "./harness/wait.ts";

const root = join(import.meta.dir, "..");

interface Row {
  readonly type: string;
  readonly labels: readonly string[];
  readonly unit: string;
  readonly meaning: string;
}

const rows = new Map(
  [
    ...readFileSync(join(root, "docs/metrics.md"), "utf8").matchAll(
      /^\| `(aami_\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \| (.*) \|$/gm,
    ),
  ].map(([, name = "", type = "", labels = "", unit = "", meaning = ""]): [string, Row] => [
    name,
    { type, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = ""]) => label), unit, meaning },
  ]),
);

/** Names as literals, alone or in front of a label block. */
function namesInSources(): string[] {
  const files = ["collectors", "checks", "daemon", "server", "runtime"].flatMap((folder) => [
    ...new Bun.Glob(`${folder}/**/*.ts`).scanSync({ cwd: root }),
  ]);
  const names = files.flatMap((file) =>
    [...readFileSync(join(root, file), "utf8").matchAll(/["`](aami_[a-z0-9_]+)["`{]/g)].map(([, name = ""]) => name),
  );
  return [...new Set(names)].sort();
}

test("docs/metrics.md has every metric of the sources, and no others", () => {
  const names = namesInSources();
  expect(names.length).toBeGreaterThan(100);
  expect([...rows.keys()].sort()).toEqual(names);
});

test.each([...rows])("%s is described in full, in base units", (name, { type, unit, meaning }) => {
  expect(["gauge", "counter", "untyped", "histogram"]).toContain(type);
  expect(meaning).not.toBe("");
  expect(unit.trim()).not.toBe("");
  expect(name).not.toMatch(/_(percent|ms|milliseconds|mib|kib|mb|gb)(_|$)/);
  if (type === "counter") expect(name).toEndWith("_total");
});

test("the page of a running daemon has the types and labels that are documented", async () => {
  await using daemon = await startDaemonProcess();
  const page = await waitFor("a check to have run", async () => {
    const text = await daemon.page();
    return text.includes("aami_check_status{") && text;
  });
  const types = [...page.matchAll(/^# TYPE (aami_\w+) (\w+)$/gm)];
  expect(types.length).toBeGreaterThan(20);
  expect(types.filter(([, name = "", type]) => rows.get(name)?.type !== type).map(([line]) => line)).toEqual([]);
  const wrong = [...page.matchAll(/^(aami_\w+)\{(.*)\} /gm)].filter(([, name = "", labels = ""]) => {
    const names = [...labels.matchAll(/(?:^|",)(\w+)="/g)].map(([, label = ""]) => label);
    return names.some((label) => !rows.get(name)?.labels.includes(label));
  });
  expect(wrong.map(([line]) => line)).toEqual([]);
}, 180_000);
