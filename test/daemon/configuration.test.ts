import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { backgroundCollectors } from "../../collectors/background.ts";
import { collectorDefinitions } from "../../collectors/registry.ts";
import { parseCommandLine } from "../../daemon/command-line.ts";
import { readConfiguration } from "../../daemon/configuration.ts";
import { ExitError } from "../../runtime/exit.ts";
import { sharedFolder } from "../harness/workspace.ts";

const folder = sharedFolder();

function withFile(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

test("another process reads what this one would read", async () => {
  const text = "collectors: { stat: { softirq: true }, kmsg: { enabled: false } }\n";
  const argv = [`--config=${withFile("good.yaml", text)}`, "--collector.perf", "--web.max-requests=7"];
  const commandLine = parseCommandLine(argv);
  if (commandLine.action !== "run") throw new Error("nothing to load");
  const loaded = commandLine.load();
  expect(await readConfiguration(argv)).toEqual({ action: "run", loaded });
  const names = loaded.collectors.map(({ name }) => name);
  expect(names).toContain("stat");
  expect(names).not.toContain("kmsg");
  expect(loaded.knownCollectors).toContain("kmsg");
});

test.each([
  ["a flag that does not exist", ["--nonsense"], 1],
  ["a value that cannot be used", ["--collector.vmstat.fields=("], 2],
  ["a bad file", [`--config=${withFile("bad.yaml", "web: { max_request: 1 }\nlog: 1\n")}`], 78],
] as const)("%s: message and exit code come over", async (_, argv, exitCode) => {
  const here = (): unknown => {
    const commandLine = parseCommandLine(argv);
    return commandLine.action === "run" && commandLine.load();
  };
  const error = await readConfiguration(argv).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ExitError);
  expect(here).toThrow((error as ExitError).message);
  expect((error as ExitError).exitCode).toBe(exitCode);
});

test("texts come over whole", async () => {
  const configuration = await readConfiguration(["--print-config-schema"]);
  const here = parseCommandLine(["--print-config-schema"]);
  expect(configuration).toEqual(here as typeof configuration);
});

test("the daemon loads the background collectors of the registry and no others", () => {
  const background = collectorDefinitions.filter((definition) => definition.background);
  expect([...backgroundCollectors]).toEqual(background);
});
