import { expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore } from "../../server/store/store.ts";

const withFolder = async (work: (folder: string) => Promise<void>) => {
  const folder = mkdtempSync(join(tmpdir(), "aami-fault-"));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

test("a database of a newer version is refused with exit code 78", () =>
  withFolder(async (folder) => {
    const file = join(folder, "server.db");
    await (await openStore(`sqlite://${file}`)).close();
    const database = new Database(file);
    database.run("INSERT INTO schema_version (version) VALUES (999)");
    database.close();
    await expect(openStore(`sqlite://${file}`)).rejects.toMatchObject({
      exitCode: 78,
      message: expect.stringContaining("999"),
    });
  }));

test("a file that is no database is refused in one line and left as it is", () =>
  withFolder(async (folder) => {
    const file = join(folder, "server.db");
    writeFileSync(file, "this is not a database, it is a letter to the editor of some length");
    await expect(openStore(`sqlite://${file}`)).rejects.toMatchObject({
      exitCode: 1,
      message: expect.stringMatching(/^cannot use the database .*: .+$/),
    });
    expect(await Bun.file(file).text()).toStartWith("this is not");
  }));

test.each([
  ["mysql://x/y"],
  ["server.db"],
  ["postgres://user:secret@127.0.0.1:1/db"],
  ["mysql://user:a/secret@h/db"],
  ["mysql://user:a@secret@h/db"],
  ["mysql://h/db?user=a&password=secret"],
])("%s is refused without its password", (url) =>
  expect(openStore(url)).rejects.toMatchObject({ message: expect.not.stringContaining("secret") }),
);
