import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTestServer } from "./harness.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "aami-start-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(...args: readonly string[]): Promise<{ code: number; output: string }> {
  const main = join(import.meta.dir, "../../main.ts");
  const child = Bun.spawn([process.execPath, main, "server", ...args], { stdout: "pipe", stderr: "pipe" });
  // A server that starts although it should not would run for ever.
  const guard = setTimeout(() => child.kill(), 120_000);
  const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  clearTimeout(guard);
  return { code: await child.exited, output: output + errors };
}

const lastLine = (output: string): string => output.trimEnd().split("\n").at(-1) ?? "";

describe("a server that cannot start says why in one line", () => {
  test("port in use → 1", async () => {
    await using server = await startTestServer();
    const { code, output } = await run("--listen", new URL(server.url).host, "--data", join(folder, "port"));
    expect(code).toBe(1);
    expect(lastLine(output)).toMatch(/^aami: cannot listen on 127\.0\.0\.1:\d+: the port is in use/);
  });

  test("unknown key in the file → 78 with line and column", async () => {
    const file = join(folder, "server.yaml");
    writeFileSync(file, "data: /tmp\nlisen: 127.0.0.1:8080\n");
    const { code, output } = await run("--config", file);
    expect(code).toBe(78);
    expect(lastLine(output)).toContain('server.yaml:2:1: unknown key "lisen"');
  });

  test("missing file, malformed address, unknown option", async () => {
    expect((await run("--config", join(folder, "none.yaml"))).code).toBe(78);
    expect((await run("--listen", "here", "--data", folder)).code).toBe(2);
    expect((await run("--lisen", "127.0.0.1:0")).code).toBe(2);
  });

  test("signing key gone or damaged, database damaged", async () => {
    const data = join(folder, "damaged");
    await (await startTestServer({ data })).stop();
    const start = () => run("--listen", "127.0.0.1:0", "--data", data);
    const key = await Bun.file(join(data, "signing-key.pem")).text();
    rmSync(join(data, "signing-key.pem"));
    const gone = await start();
    expect([gone.code, lastLine(gone.output)]).toEqual([78, expect.stringContaining("restore it from your backup")]);
    writeFileSync(join(data, "signing-key.pem"), "garbage");
    expect((await start()).code).toBe(78);
    writeFileSync(join(data, "signing-key.pem"), key);
    for (const file of readdirSync(data))
      if (file.startsWith("server.db")) writeFileSync(join(data, file), "garbage ".repeat(2000));
    const broken = await start();
    expect([broken.code, lastLine(broken.output)]).toEqual([1, expect.stringContaining("cannot use the database")]);
  });

  test("a data folder that is a file, or cannot be made", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    for (const data of [file, "/proc/aami"]) {
      const { code, output } = await run("--listen", "127.0.0.1:0", "--data", data);
      expect(code).toBe(1);
      expect(output.trimEnd().split("\n")).toEqual([
        expect.stringContaining(`aami: data folder ${data}: cannot be made: E`),
      ]);
    }
  });
});

test("a second server on the same database file ends with one line; when the first has stopped it starts", async () => {
  const data = join(folder, "twice");
  const first = await startTestServer({ data });
  const second = await run("--listen", "127.0.0.1:0", "--data", data);
  expect([second.code, lastLine(second.output)]).toEqual([
    1,
    expect.stringContaining("server.db is in use by another"),
  ]);
  await first.stop();
  await (await startTestServer({ data })).stop();
});

test("the folder and every file in it are for the server only", async () => {
  const data = join(folder, "modes");
  const server = await startTestServer({ data });
  await server.createToken();
  const modes = readdirSync(data).map((file) => [file, (statSync(join(data, file)).mode & 0o777).toString(8)]);
  expect(modes.length).toBeGreaterThan(3);
  expect(modes.filter(([, mode]) => mode !== "600")).toEqual([]);
  expect((statSync(data).mode & 0o777).toString(8)).toBe("700");
  await server.stop();
  chmodSync(data, 0o700);
});

test("SIGTERM ends it with 0, and --check-config and --print-config-schema start nothing", async () => {
  const data = join(folder, "term");
  const main = join(import.meta.dir, "../../main.ts");
  const child = Bun.spawn([process.execPath, main, "server", "--listen", "127.0.0.1:0", "--data", data], {
    stderr: "pipe",
    stdout: "ignore",
  });
  let log = "";
  for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
    log += chunk;
    if (chunk.includes('"server started"')) child.kill("SIGTERM");
    if (log.includes('"server stopped"')) break;
  }
  expect(await child.exited).toBe(0);
  expect(log).not.toContain("aami_admin_");
  expect(await run("--check-config")).toMatchObject({ code: 0 });
  expect(JSON.parse((await run("--print-config-schema")).output)).toHaveProperty(
    "properties.listen.default",
    "127.0.0.1:8080",
  );
});
