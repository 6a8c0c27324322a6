import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { ensureBinary } from "../../scripts/binary.ts";
import { startDaemon, writeDaemonConfig } from "../harness/daemon.ts";
import { runProcess } from "../harness/process.ts";
import { startServer } from "../harness/server.ts";
import { createWorkspace, type Workspace } from "../harness/workspace.ts";

setDefaultTimeout(180_000);

/** A daemon without a control server keeps nothing on disk; this one has one that does not answer. */
const nobody = { url: "http://127.0.0.1:9" };

const aami = async (...args: string[]) => runProcess([await ensureBinary(), ...args]);

/** What a person at a terminal gets: one line that begins with the program, no stack trace. */
function expectOneLine(stderr: string, pattern: RegExp): void {
  const lines = stderr
    .trimEnd()
    .split("\n")
    .filter((line) => !line.startsWith('{"ts"'));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^aami: /);
  expect(lines[0]).toMatch(pattern);
}

const badFiles: readonly (readonly [string, string, RegExp])[] = [
  ["an unknown key", "web:\n  listen_adresses: [':0']\n", /daemon\.yaml:2:3: .*listen_adresses.*listen_addresses/],
  [
    "a value of the wrong type",
    "scrape:\n  collector_timeout_seconds: soon\n",
    /daemon\.yaml:2:\d+: .*collector_timeout_seconds/,
  ],
  [
    "a value out of range",
    "scrape:\n  collector_timeout_seconds: -1\n",
    /daemon\.yaml:2:\d+: .*collector_timeout_seconds/,
  ],
  ["YAML that does not parse", "web:\n  config_file: [\n", /daemon\.yaml:\d+:\d+: /],
];

test.each(badFiles)("%s ends with 78 and names file, line and column", async (_what, content, pattern) => {
  using workspace = createWorkspace();
  const file = workspace.file("daemon.yaml");
  writeFileSync(file, content);
  for (const extra of [[], ["--check-config"]]) {
    const { exitCode, stderr } = await aami("daemon", "--config", file, ...extra);
    expect(exitCode).toBe(78);
    expectOneLine(stderr, pattern);
  }
});

test("--check-config accepts a good file", async () => {
  using workspace = createWorkspace();
  const { exitCode } = await aami("daemon", "--config", await writeDaemonConfig(workspace), "--check-config");
  expect(exitCode).toBe(0);
});

test.each([
  ["that stands alone", {}],
  ["with a control server", { server: nobody }],
])("a second daemon %s on the same state directory ends with 1", async (_what, config) => {
  using workspace = createWorkspace();
  mkdirSync(workspace.file("state"));
  await using _first = await startDaemon({ workspace, config });
  const { exitCode, stderr } = await aami("daemon", "--config", workspace.file("daemon.yaml"));
  expect(exitCode).toBe(1);
  expectOneLine(stderr, /state\.db is in use by another aami process: one daemon per state directory/);
});

test("a server file with an unknown key ends with 78", async () => {
  using workspace = createWorkspace();
  const file = workspace.file("server.yaml");
  writeFileSync(file, "listen: 127.0.0.1:0\nlisten_port: 1\n");
  const { exitCode, stderr } = await aami("server", "--config", file);
  expect(exitCode).toBe(78);
  expectOneLine(stderr, /server\.yaml:2:1: .*listen_port/);
});

test.each([
  ["nonsense", 2],
  ["server --nonsense", 2],
  ["server --listen nonsense", 2],
  // node_exporter's status for a wrong flag, because the daemon takes its place in units and scripts.
  ["daemon --nonsense", 1],
])("aami %s is one line and status %d", async (line, status) => {
  const { exitCode, stderr } = await aami(...line.split(" "));
  expect(exitCode).toBe(status);
  expectOneLine(stderr, /nonsense/);
});

test("a port in use is one line that names it", async () => {
  using workspace = createWorkspace();
  using other = createWorkspace();
  await using daemon = await startDaemon({ workspace });
  const file = await writeDaemonConfig(other, { web: { listen_addresses: [`127.0.0.1:${daemon.port}`] } });
  const second = await aami("daemon", "--config", file);
  expect(second.exitCode).toBe(1);
  expectOneLine(second.stderr, new RegExp(`${daemon.port}.*in use`));

  const server = await aami("server", "--listen", `127.0.0.1:${daemon.port}`, "--data", other.file("server"));
  expect(server.exitCode).toBe(1);
  expectOneLine(server.stderr, new RegExp(`${daemon.port}`));
});

test.each(["daemon", "server"])("a %s data folder that is a file is one line with the path", async (program) => {
  using workspace = createWorkspace();
  const path = workspace.file("not-a-folder");
  writeFileSync(path, "");
  const { exitCode, stderr } = await start(program, workspace, path);
  expect(exitCode).toBe(1);
  expectOneLine(stderr, /not-a-folder/);
});

test.each([
  ["daemon", "state.db"],
  ["server", "server.db"],
])("a %s database that cannot be opened is one line with its path", async (program, name) => {
  using workspace = createWorkspace();
  const folder = workspace.file("data");
  mkdirSync(`${folder}/${name}`, { recursive: true });
  const { exitCode, stderr } = await start(program, workspace, folder);
  expect(exitCode).toBe(1);
  expectOneLine(stderr, new RegExp(name));
});

test("a state database of a newer version ends with 78 and stays as it is", async () => {
  using workspace = createWorkspace();
  const folder = workspace.file("data");
  mkdirSync(folder);
  using database = new Database(`${folder}/state.db`, { create: true });
  database.run("PRAGMA user_version = 99");
  const { exitCode, stderr } = await start("daemon", workspace, folder);
  expect(exitCode).toBe(78);
  expectOneLine(stderr, /state\.db was written by .* \(schema 99\)/);
  expect(readdirSync(folder)).toContain("state.db");
});

test("a server database of a newer version ends with 78 and stays as it is", async () => {
  using workspace = createWorkspace();
  {
    await using server = await startServer({ workspace });
    expect(server.port).toBeGreaterThan(0);
  }
  using database = new Database(workspace.file("server/server.db"));
  database.run("INSERT INTO schema_version (version) VALUES (99)");
  const { exitCode, stderr } = await start("server", workspace, workspace.file("server"));
  expect(exitCode).toBe(78);
  expectOneLine(stderr, /version 99/);
});

test("a damaged state database is set aside, and the daemon starts with an empty one", async () => {
  using workspace = createWorkspace();
  mkdirSync(workspace.file("state"));
  writeFileSync(
    workspace.file("state/state.db"),
    "this is not a database, and long enough to be looked at".repeat(200),
  );
  await using daemon = await startDaemon({
    workspace,
    config: { server: nobody },
    expectedErrors: [/state database is damaged/],
  });
  expect(await daemon.page()).toContain("node_cpu_seconds_total");
  expect(readdirSync(workspace.file("state")).filter((name) => name.includes(".damaged-"))).not.toEqual([]);
});

async function start(program: string, workspace: Workspace, folder: string) {
  if (program === "server") return aami("server", "--listen", "127.0.0.1:0", "--data", folder);
  return aami("daemon", "--config", await writeDaemonConfig(workspace, { state_directory: folder, server: nobody }));
}
