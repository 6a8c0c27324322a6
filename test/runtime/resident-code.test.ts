import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { findDroppable } from "../../runtime/resident-code.ts";

const entry = (range: string, mode: string, file: string, anonymous: number): string =>
  `${range} ${mode} 00000000 fe:00 ${file === "" ? 0 : 77}   ${file}\nRss:  40 kB\nAnonymous:  ${anonymous} kB\nVmFlags: rd ex\n`;

test.each([
  ["code of a file", entry("00400000-00800000", "r-xp", "/usr/bin/aami", 0), 1],
  ["constants of a file", entry("00200000-00400000", "r--p", "/usr/bin/aami", 0), 1],
  ["constants that the loader has filled in", entry("00800000-00900000", "r--p", "/usr/bin/aami", 12), 0],
  ["data", entry("00900000-00a00000", "rw-p", "/usr/bin/aami", 0), 0],
  ["shared with other processes", entry("00900000-00a00000", "r--s", "/run/shared", 0), 0],
  ["of no file", entry("7f0000000000-7f0000001000", "r-xp", "", 0), 0],
  ["of the kernel", entry("7ffc00000000-7ffc00001000", "r-xp", "[vdso]", 0).replace(" 77 ", " 0 "), 0],
])("%s", (_, smaps, count) => {
  expect(findDroppable(smaps)).toHaveLength(count);
});

test("a whole process: the addresses of each mapping", () => {
  const smaps =
    entry("00400000-00800000", "r-xp", "/a (deleted)", 0) + entry("7f0000000000-7f0000001000", "rw-p", "", 4);
  expect(findDroppable(smaps)).toEqual([{ start: 0x400000n, end: 0x800000n }]);
  expect(findDroppable(readFileSync("/proc/self/smaps", "utf8")).length).toBeGreaterThan(2);
});

test("a process works on after it has let go of its code, and is smaller", async () => {
  const program = `
    const { releaseResidentCode } = await import(${JSON.stringify(`${import.meta.dir}/../../runtime/resident-code.ts`)});
    const work = () => JSON.stringify([Bun.gzipSync("a").length, new Date(0).toISOString(), /b+/u.exec("abbb")?.[0]]);
    const residentFileKb = () => Number(/^RssFile:\\s+(\\d+)/m.exec(require("node:fs").readFileSync("/proc/self/status", "utf8"))[1]);
    const [before, sizeBefore] = [work(), residentFileKb()];
    releaseResidentCode();
    const sizeAfter = residentFileKb();
    console.log(work() === before, sizeAfter < sizeBefore / 2 || [sizeBefore, sizeAfter]);`;
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "pipe" });
  expect(await child.stderr.text()).toBe("");
  expect(await child.stdout.text()).toBe("true true\n");
});
