import { describe, expect, test } from "bun:test";
import type { CheckDefinition } from "../../checks/check.ts";
import type { CheckLimits } from "../../checks/config.ts";
import { judgeCheck } from "../../checks/permissions.ts";
import { defineScript, limitsWith } from "./definitions.ts";

const judge = (changes: Partial<CheckDefinition>, limits: Partial<CheckLimits> = {}, text = "echo") =>
  judgeCheck(defineScript(text, changes), limitsWith(limits));
const granted = (...args: Parameters<typeof judge>) => {
  const judgement = judge(...args);
  if ("refused" in judgement) throw new Error(judgement.refused);
  return judgement.granted;
};
const refusal = (...args: Parameters<typeof judge>) => {
  const judgement = judge(...args);
  return "refused" in judgement ? judgement.refused : "granted";
};

test("nothing asked for: the defaults", () => {
  expect(granted({})).toEqual({
    view: "minimal",
    paths: [],
    write: [],
    devices: [],
    memoryBytes: 256 * 1024 ** 2,
    pids: 64,
    outputBytes: 1024 ** 2,
  });
});

test("a default above the node's limit is lowered, not refused", () => {
  expect(granted({}, { memory_bytes: 64 * 1024 ** 2, pids: 8 })).toMatchObject({
    memoryBytes: 64 * 1024 ** 2,
    pids: 8,
  });
});

describe("declared paths", () => {
  test.each<[string, Partial<CheckDefinition>, Partial<CheckLimits>, string[]]>([
    ["as declared", { permissions: { paths: ["/data"] }, config: { paths: ["/other"] } }, {}, ["/data"]],
    ["from the configuration", { config: { mount_points: ["/a", "/b"], x: { y: "/c" } } }, {}, ["/a", "/b", "/c"]],
    ["only what is a path", { config: { a: "/x y", b: "../x", c: "/a/../b", d: "text", e: 1, f: null } }, {}, []],
    [
      "not the sandbox's own trees",
      { config: ["/proc/1", "/etc", "/run/x", "/usr/lib", "/data"] as never },
      {},
      ["/data"],
    ],
    [
      "not beyond the node's limit",
      { config: { a: ["/data", "/data/x", "/database"] } },
      { paths: ["/data"] },
      ["/data", "/data/x"],
    ],
  ])("%s", (_name, changes, limits, paths) => expect(granted(changes, limits).paths).toEqual(paths));
});

test.each<[string, Partial<CheckDefinition>, Partial<CheckLimits>, RegExp]>([
  ["an unknown field may be a restriction", { permissions: { chroot: true } }, {}, /permissions\/chroot/],
  ["a wrong type", { permissions: { paths: "/data" } }, {}, /permissions\/paths/],
  ["a path with ..", { permissions: { paths: ["/data/../etc"] } }, {}, /permissions\/paths/],
  ["an option for a path", { permissions: { paths: ["--bind"] } }, {}, /permissions\/paths/],
  ["a tree of the sandbox", { permissions: { paths: ["/proc"] } }, {}, /tree of its own/],
  ["writing to /etc", { permissions: { write: ["/etc/aami"] } }, {}, /tree of its own/],
  [
    "a path beyond the limit",
    { permissions: { paths: ["/data"] } },
    { paths: ["/mnt"] },
    /checks\.limits\.paths: \/mnt/,
  ],
  ["writing beyond the limit", { permissions: { write: ["/data/x"] } }, { write: [] }, /checks\.limits\.write: none/],
  ["hostfs", { permissions: { view: "hostfs" } }, {}, /checks\.limits\.views/],
  ["the host's network", { permissions: { network: "host" } }, {}, /not supported/],
  ["a socket", { permissions: { sockets: ["dbus"] } }, {}, /not supported/],
  ["devices that are not allowed", { permissions: { devices: ["nvidia"] } }, {}, /checks\.limits\.devices: none/],
  ["devices that nobody knows", { permissions: { devices: ["tpm"] } }, { devices: ["tpm"] }, /no device grant tpm/],
  ["too much memory", { permissions: { memory_mb: 4096 } }, {}, /checks\.limits\.memory_bytes/],
  ["too many processes", { permissions: { pids: 1000 } }, {}, /checks\.limits\.pids/],
  ["too long a run", { timeoutSeconds: 3600 }, {}, /checks\.limits\.timeout_seconds/],
  ["too often", { schedule: { intervalSeconds: 1 } }, {}, /checks\.limits\.interval_seconds/],
  ["a language of a newer server", { language: "wasm" }, {}, /cannot run the language wasm/],
  ["other bytes than were signed", { scriptSha256: "0".repeat(64) }, {}, /SHA-256 differs/],
  ["a huge configuration", { config: { x: "x".repeat(70_000) } }, {}, /configuration has more/],
])("refused: %s", (_name, changes, limits, reason) => expect(refusal(changes, limits)).toMatch(reason));

test.each([
  ["a NUL byte", "echo \0", /NUL/],
  ["a byte order mark", "\ufeffecho", /byte order mark/],
  ["a huge script", "#".repeat(256 * 1024 + 1), /more than 262144 bytes/],
])("refused: a script with %s", (_name, text, reason) => expect(refusal({}, {}, text)).toMatch(reason));

test("granted devices become patterns of device nodes", () => {
  expect(granted({ permissions: { devices: ["nvidia"] } }, { devices: ["nvidia"] }).devices).toContain(
    "/dev/nvidiactl",
  );
});
