import { expect, test } from "bun:test";
import { createExpectations, type ExpectedMount, parseFstab, readExpected } from "../../collectors/mounts/expected.ts";
import { parseMountInfo } from "../../collectors/mounts/table.ts";
import { createLogger } from "../../runtime/log.ts";

const table = parseMountInfo(`20 1 8:1 / / rw - ext4 /dev/sda1 rw
21 20 8:17 / /data rw - xfs /dev/sdb1 rw
22 20 0:50 / /models ro - nfs4 nas:/models rw
23 20 0:51 / /home rw - autofs /etc/auto.home rw,timeout=300
`);
const isSameDevice = (source: string, { device }: { device: string }): boolean =>
  source === "UUID=11" && device === "8:17";

function check(expected: Partial<ExpectedMount>, mounts = table) {
  const lines: string[] = [];
  const expectations = createExpectations({
    expected: [{ mountPoint: "/data", level: "critical", ...expected }],
    isSameDevice,
    toHostPath: (mountPoint) => mountPoint,
    log: createLogger({ write: (line) => void lines.push(line) }),
  });
  expectations.update(mounts);
  return { ...expectations.status()[0], lines, expectations };
}

test.each<[string, Partial<ExpectedMount>, present: boolean]>([
  ["mounted", {}, true],
  ["with a trailing slash", { mountPoint: "/data/" }, true],
  ["only a folder of the root filesystem", { mountPoint: "/scratch" }, false],
  ["of one of the types", { fstypes: ["ext4", "xfs"] }, true],
  ["of another type", { fstypes: ["lustre"] }, false],
  ["its device by name", { source: "/dev/sdb1" }, true],
  ["its device by UUID", { source: "UUID=11" }, true],
  ["another device", { source: "UUID=22" }, false],
  ["an automount that waits", { mountPoint: "/home" }, true],
])("%s", (_, expected, present) => {
  expect(check(expected).present).toBe(present);
});

test.each([
  [{ mountPoint: "/models", readOnly: true }, false],
  [{ mountPoint: "/models", readOnly: false }, true],
  [{ mountPoint: "/data", readOnly: true }, true],
  [{ mountPoint: "/data" }, undefined],
  [{ mountPoint: "/scratch", readOnly: true }, undefined],
])("read-only mismatch of %p: %p", (expected, mismatch) => {
  expect(check(expected).readOnlyMismatch).toBe(mismatch as boolean);
});

test("a mount that goes missing is said once, and so is its return", () => {
  const { expectations, lines } = check({});
  expect(lines).toEqual([]);
  const without = table.filter(({ mountPoint }) => mountPoint !== "/data");
  for (const mounts of [without, without, table, table]) expectations.update(mounts);
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(["expected mount is missing", "expected mount is there"]);
});

test("fstab: what boot mounts, nofail as a warning, the policy first", () => {
  const fstab = `# a comment
UUID=1 / ext4 errors=remount-ro 0 1
UUID=2 none swap sw 0 0
UUID=3 /my\\040data xfs defaults,nofail 0 2
nas:/x /x nfs4 noauto 0 0
nas:/y /y nfs4 ro,x-systemd.automount,_netdev 0 0
`;
  expect(parseFstab(fstab)).toEqual([
    { mountPoint: "/", level: "critical" },
    { mountPoint: "/my data", level: "warning" },
    { mountPoint: "/y", level: "critical", readOnly: true },
  ]);
  const policy: ExpectedMount[] = [{ mountPoint: "/data/", level: "warning" }];
  expect(readExpected(policy, undefined)).toEqual(policy);
  expect(readExpected(policy, "/nonexistent/fstab")).toEqual(policy);
});
