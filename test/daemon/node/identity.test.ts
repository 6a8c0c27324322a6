import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Identity, openIdentity } from "../../../daemon/node/identity.ts";
import { type MachineIds, readMachineIds } from "../../../daemon/node/machine.ts";
import { openNodeStore } from "../../../daemon/node/store.ts";
import { createLogger } from "../../../runtime/log.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true, force: true })));

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "aami-identity-"));
  folders.push(made);
  return made;
}

const registration = { nodeId: "n1", fleet: "f1", serverUrl: "https://s", trustedKeys: [], registeredAt: 1 };

function open(directory: string, machine: MachineIds, lines: string[] = []): Identity {
  return openIdentity({ directory, machine, log: createLogger({ write: (line) => lines.push(line) }), now: () => 7 });
}

test("the key is made once, private, and kept with the registration", () => {
  const directory = folder();
  const first = open(directory, { machineId: "m" });
  first.register(registration);
  expect(statSync(join(directory, "identity.json")).mode & 0o777).toBe(0o600);
  const second = open(directory, { machineId: "m" });
  expect([second.key.publicKey, second.registration, second.isClone]).toEqual([
    first.key.publicKey,
    registration,
    false,
  ]);
  expect(readdirSync(directory)).toEqual(["identity.json"]);
});

const machines: [string, MachineIds, MachineIds, boolean][] = [
  ["nothing changed", { machineId: "a", instanceId: "i" }, { machineId: "a", instanceId: "i" }, false],
  ["cloud-init finished later", { machineId: "a" }, { machineId: "a", instanceId: "i" }, false],
  ["cloud-init was removed", { machineId: "a", instanceId: "i" }, { machineId: "a" }, false],
  ["another machine id", { machineId: "a" }, { machineId: "b" }, true],
  [
    "an image with its machine id, another instance",
    { machineId: "a", instanceId: "i" },
    { machineId: "a", instanceId: "j" },
    true,
  ],
  [
    "a copied virtual machine",
    { machineId: "a", virtualMachineUuid: "u" },
    { machineId: "a", virtualMachineUuid: "v" },
    true,
  ],
];

test.each(machines)("%s", (_name, before, after, isClone) => {
  const directory = folder();
  const first = open(directory, before);
  first.register(registration);
  const lines: string[] = [];
  const second = open(directory, after, lines);
  expect(second.isClone).toBe(isClone);
  expect(second.key.publicKey === first.key.publicKey).toBe(!isClone);
  expect(second.registration).toEqual(isClone ? undefined : registration);
  expect(lines.some((line) => line.includes("state was copied from another machine"))).toBe(isClone);
  // Settled now: the next start is an ordinary one.
  expect(open(directory, after).isClone).toBe(false);
});

test("an id learnt later is remembered, and then tells a clone", () => {
  const directory = folder();
  open(directory, { machineId: "a" });
  open(directory, { machineId: "a", instanceId: "i" });
  expect(open(directory, { machineId: "a", instanceId: "j" }).isClone).toBe(true);
});

test("a clone forgets the bundle and the results of the other machine", () => {
  const directory = folder();
  const options = { directory, log: createLogger({ write: () => {} }), programVersion: "1" };
  const first = openNodeStore({ ...options, machine: { machineId: "a" } });
  first.state.saveResults([{ checkKey: "disk", finishedAt: 1, result: "{}" }], []);
  first.close();
  const second = openNodeStore({ ...options, machine: { machineId: "b" } });
  expect([second.results.restored, second.state.results()]).toEqual([[], []]);
  second.close();
});

test.each([
  ["not JSON", "{"],
  ["empty", ""],
  ["another form", '{"privateKey":1}'],
  ["no key in it", '{"privateKey":"-----BEGIN","machine":{}}'],
])("damaged (%s): kept under another name, a new key", (_name, text) => {
  const directory = folder();
  writeFileSync(join(directory, "identity.json"), text, { mode: 0o600 });
  const lines: string[] = [];
  expect(open(directory, {}, lines).registration).toBeUndefined();
  expect(lines.join("")).toContain("identity file is damaged");
  expect(readFileSync(join(directory, "identity.json.damaged-7"), "utf8")).toBe(text);
});

test("a mode that was widened is corrected and said", () => {
  const directory = folder();
  open(directory, {});
  chmodSync(join(directory, "identity.json"), 0o644);
  const lines: string[] = [];
  open(directory, {}, lines);
  expect(lines.join("")).toContain("readable by others");
  expect(statSync(join(directory, "identity.json")).mode & 0o777).toBe(0o600);
});

describe("machine ids", () => {
  const root = (files: Record<string, string>) => {
    const made = folder();
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(made, path)), { recursive: true });
      writeFileSync(join(made, path), text);
    }
    return made;
  };
  const uuid = { "sys/class/dmi/id/product_uuid": "4C4C-AA\n" };

  test.each<[string, Record<string, string>, MachineIds]>([
    ["nothing there", {}, {}],
    ["an image before its first boot", { "etc/machine-id": "uninitialized\n" }, {}],
    [
      "bare metal: the mainboard is not the node",
      { "etc/machine-id": "AbC\n", ...uuid, "proc/cpuinfo": "flags : fpu vme\n" },
      { machineId: "abc" },
    ],
    [
      "a virtual machine",
      { ...uuid, "proc/cpuinfo": "flags\t\t: fpu hypervisor lm\n" },
      { virtualMachineUuid: "4c4c-aa" },
    ],
    ["a cloud instance", { "run/cloud-init/.instance-id": "i-0abc\n" }, { instanceId: "i-0abc" }],
  ])("%s", (_name, files, ids) => expect(readMachineIds(root(files))).toEqual(ids));
});
