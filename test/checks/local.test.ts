import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLocalChecks } from "../../checks/local.ts";
import { lacks } from "../harness/requirements.ts";

const skip = await lacks("root");

describe.skipIf(skip)("the directory of local checks", () => {
  let folder = "";
  const write = (name: string, text = "echo", mode = 0o644) => {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), mode);
  };
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "aami-local-"));
    chmodSync(folder, 0o755);
    write("plain.sh");
    write("with_settings.py", "print('a 1')");
    write("with_settings.yaml", "config: {paths: [/data]}\ninterval_seconds: 300\npermissions: {memory_mb: 64}\n");
    write("nightly.sh");
    write("nightly.yaml", "schedule: '0 3 * * *'\ntimeout_seconds: 5\n");
    write("README.md");
    write("Upper.sh");
    write("writable.sh", "echo", 0o666);
    write("foreign.sh");
    chownSync(join(folder, "foreign.sh"), 12345, 0);
    symlinkSync("/etc/hostname", join(folder, "link.sh"));
    mkdirSync(join(folder, "folder.sh"));
    write("misspelt.sh");
    write("misspelt.yaml", "intervall_seconds: 1\n");
    write("twice.py");
    write("twice.sh");
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("what root put there runs, with its settings", () => {
    const { definitions } = readLocalChecks(folder);
    expect(definitions.map(({ name }) => name)).toEqual(["nightly", "plain", "twice", "with_settings"]);
    expect(definitions.find(({ name }) => name === "with_settings")).toMatchObject({
      language: "python",
      config: { paths: ["/data"] },
      schedule: { intervalSeconds: 300 },
      timeoutSeconds: 30,
      permissions: { memory_mb: 64 },
      source: "local",
    });
    expect(definitions.find(({ name }) => name === "nightly")).toMatchObject({
      schedule: { cron: "0 3 * * *" },
      timeoutSeconds: 5,
    });
  });

  test.each([
    ["Upper.sh", "lower-case"],
    ["writable.sh", "others than root may write it"],
    ["foreign.sh", "belongs to uid 12345"],
    ["link.sh", "symbolic link"],
    ["folder.sh", "not a regular file"],
    ["misspelt.sh", "intervall_seconds"],
    ["twice.sh", "in the other language"],
  ])("%s is left out: %s", (file, reason) => {
    const problem = readLocalChecks(folder).problems.find((line) => line.startsWith(`${join(folder, file)}:`));
    expect(problem).toContain(reason);
  });

  test("a directory that others may write is not read at all", () => {
    chmodSync(folder, 0o777);
    const { definitions, problems } = readLocalChecks(folder);
    chmodSync(folder, 0o755);
    expect(definitions).toEqual([]);
    expect(problems).toEqual([`${folder}: others than root may write it (chmod go-w)`]);
  });
});

test.each([
  ["", "no directory is configured"],
  ["/nowhere/at/all", "it is not there"],
])("%p: %s, which is no problem", (path) => {
  expect(readLocalChecks(path)).toEqual({ definitions: [], problems: [] });
});
