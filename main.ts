#!/usr/bin/env bun
import { type ArgsDef, type CommandDef, parseArgs, renderUsage, runCommand } from "citty";
import { basename } from "node:path";
import { ExitCode, ExitError } from "./runtime/exit.ts";
import { ensureLeanEngine } from "./runtime/lean-engine.ts";
import { describeError } from "./runtime/log.ts";
import { buildInfo, versionText } from "./runtime/version.ts";

interface CommandEntry {
  readonly description: string;
  /** Not listed by `aami --help`: started by our own processes only. */
  readonly hidden?: true;
  /** The command reads its arguments itself (node_exporter's flags are not citty's), --help and --version included. */
  readonly ownArguments?: true;
  load(): Promise<CommandDef>;
}

// One entry per command; its code is loaded only when it runs. A new command is its file and its entry here, like
//   server: { description: "…", load: async () => (await import("./server/main.ts")).serverCommand },
const commands: Readonly<Record<string, CommandEntry>> = {
  acknowledge: {
    description: "Say that what a check has found was dealt with.",
    load: async () => (await import("./daemon/status/acknowledge-command.ts")).acknowledgeCommand,
  },
  check: {
    description: "Run and lint check scripts exactly as a node does.",
    load: async () => (await import("./checks/commands.ts")).checkCommand,
  },
  configuration: {
    description: "Read the daemon's flags and configuration file (started by the daemon).",
    hidden: true,
    ownArguments: true,
    load: async () => (await import("./daemon/configuration-command.ts")).configurationCommand,
  },
  daemon: {
    description: "Collect, serve metrics and run checks on this node.",
    ownArguments: true,
    load: async () => {
      await ensureLeanEngine();
      return (await import("./daemon/main.ts")).daemonCommand;
    },
  },
  explain: {
    description: "Say what an Xid, an SXid or a check means, and what to do.",
    load: async () => (await import("./daemon/status/explain.ts")).explainCommand,
  },
  gpu: {
    description: "Release the NVIDIA devices and take them back.",
    load: async () => (await import("./collectors/nvidia/gpu-command.ts")).gpuCommand,
  },
  server: {
    description: "Run the control server.",
    load: async () => (await import("./server/main.ts")).serverCommand,
  },
  status: {
    description: "Say what is wrong with this node.",
    load: async () => (await import("./daemon/status/command.ts")).statusCommand,
  },
  probe: {
    description: "Read what may block, in a process that can be left behind (started by the daemon).",
    hidden: true,
    load: async () => (await import("./collectors/probe/command.ts")).probeCommand,
  },
};

process.exitCode = await main(withCommand(process.argv.slice(2)));
// A reader of a pipe may be slower than we are: what was printed has to be out before the process is gone.
await Promise.all([flush(process.stdout), flush(process.stderr)]);
// A process left behind in the kernel (or a timer of a library) must not keep a finished command alive.
process.exit();

async function main(argv: readonly string[]): Promise<ExitCode> {
  try {
    await dispatch(argv);
    return ExitCode.ok;
  } catch (error) {
    // A command that has printed all there is to say ends with a code and no message.
    const message = error instanceof ExitError ? error.message : String(describeError(error));
    if (message !== "") process.stderr.write(`aami: ${String(describeError(error))}\n`);
    return exitCodeOf(error);
  }
}

/**
 * The unit files, scripts and container manifests of node_exporter know no sub-command: under its name, or with a flag
 * or `@file` in front, this is the daemon. Alone, --help and --version are ours.
 */
function withCommand(argv: readonly string[]): readonly string[] {
  const [first = "", ...rest] = argv;
  const asNodeExporter = /^(prometheus-)?node[-_]exporter$/.test(basename(process.argv0));
  const isOurs = (isHelp(first) || isVersion(first)) && !rest.some(isFlag);
  const isDaemons = asNodeExporter ? !Object.hasOwn(commands, first) : isFlag(first) && !isOurs;
  return isDaemons ? ["daemon", ...argv] : argv;
}

async function dispatch(argv: readonly string[]): Promise<void> {
  const [first, ...rest] = argv;
  if (first === undefined || first === "help" || isHelp(first)) {
    print(await rootUsage());
    if (first === undefined) throw new ExitError(ExitCode.usage, "no command given");
    return;
  }
  if (first === "version" || isVersion(first)) return print(versionText());
  const entry = Object.hasOwn(commands, first) ? commands[first] : undefined;
  if (entry === undefined) {
    throw new ExitError(ExitCode.usage, `unknown command "${first}", try: aami --help`);
  }
  const root = await entry.load();
  if (entry.ownArguments) {
    await runCommand(root, { rawArgs: rest });
    return;
  }
  await runLeaf(await findLeaf(root, [`aami ${first}`], rest));
}

interface Leaf {
  readonly command: CommandDef;
  readonly parent: string;
  readonly name: string;
  readonly args: readonly string[];
}

/** Follows sub-command names as far as they go. */
async function findLeaf(command: CommandDef, path: readonly string[], args: readonly string[]): Promise<Leaf> {
  const children = (await resolve(command.subCommands)) ?? {};
  const next = args[0];
  const child = next !== undefined && Object.hasOwn(children, next) ? await resolve(children[next]) : undefined;
  if (child !== undefined) return findLeaf(child, [...path, next ?? ""], args.slice(1));
  if (Object.keys(children).length > 0 && next !== undefined && !next.startsWith("-")) {
    throw new ExitError(ExitCode.usage, `unknown command "${next}", try: ${path.join(" ")} --help`);
  }
  return { command, parent: path.slice(0, -1).join(" "), name: path.at(-1) ?? "", args };
}

async function runLeaf({ command, parent, name, args }: Leaf): Promise<void> {
  const meta = { ...(await resolve(command.meta)), name };
  const named: CommandDef = { ...command, meta };
  const usage = (): Promise<string> =>
    renderUsage(named, parent === "" ? undefined : ({ meta: { name: parent } } as CommandDef));
  const options = args.slice(0, args.includes("--") ? args.indexOf("--") : undefined);
  if (options.some(isHelp)) return print(await usage());
  const full = parent === "" ? name : `${parent} ${name}`;
  if (command.run === undefined) {
    print(await usage());
    throw new ExitError(ExitCode.usage, `no command given, try: ${full} --help`);
  }
  const definitions = (await resolve(command.args)) ?? {};
  refuseUnknownOptions(definitions, options, full);
  refuseWrongArguments(definitions, args, full);
  await runCommand(named, { rawArgs: [...args] });
}

/** citty takes any option silently; a misspelt one has to be an error. */
function refuseUnknownOptions(definitions: ArgsDef, options: readonly string[], full: string): void {
  const known = new Set<string>();
  for (const [name, definition] of Object.entries(definitions)) {
    if (definition.type === "positional") continue;
    const alias = ("alias" in definition && definition.alias) || [];
    for (const spelling of [name, ...(typeof alias === "string" ? [alias] : alias)]) known.add(spelling);
    if (definition.type === "boolean") known.add(`no-${name}`);
  }
  for (const option of options) {
    const spelling = /^--?([^=]+)/.exec(option)?.[1];
    if (spelling === undefined || known.has(spelling) || /^-\d/.test(option)) continue;
    throw new ExitError(ExitCode.usage, `unknown option "${option}", try: ${full} --help`);
  }
}

/** It takes surplus arguments silently as well, and an option at the end without its value. */
function refuseWrongArguments(definitions: ArgsDef, args: readonly string[], full: string): void {
  const wanted = Object.entries(definitions).filter(([, { type }]) => type === "positional");
  const optional = Object.fromEntries(
    Object.entries(definitions).map(([name, definition]) => [name, { ...definition, required: false }]),
  ) as ArgsDef;
  const given = parseArgs([...args], optional);
  const help = `try: ${full} --help`;
  const surplus = given._[wanted.length];
  if (surplus !== undefined) throw new ExitError(ExitCode.usage, `unexpected argument "${surplus}", ${help}`);
  const [missing] = wanted.filter(([, { required }], index) => required !== false && given._[index] === undefined);
  if (missing !== undefined) throw new ExitError(ExitCode.usage, `${missing[0].toUpperCase()} is missing, ${help}`);
  const empty = Object.entries(definitions).find(([name, { type }]) => type === "string" && given[name] === "");
  if (empty !== undefined) throw new ExitError(ExitCode.usage, `--${empty[0]} needs a value, ${help}`);
}

async function rootUsage(): Promise<string> {
  const visible = Object.entries(commands).filter(([, { hidden }]) => !hidden);
  const subCommands = Object.fromEntries(visible.map(([name, { description }]) => [name, { meta: { description } }]));
  const description = "AI Accelerator Monitoring Infrastructure";
  return renderUsage({ meta: { name: "aami", version: buildInfo.version, description }, subCommands });
}

function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof ExitError) return error.exitCode;
  const code = (error as { code?: unknown } | null)?.code;
  return code === "EARG" || code === "E_UNKNOWN_COMMAND" || code === "E_NO_COMMAND" ? ExitCode.usage : ExitCode.failure;
}

function isHelp(argument: string): boolean {
  return argument === "--help" || argument === "-h";
}

function isVersion(argument: string): boolean {
  return argument === "--version" || argument === "-V";
}

/** `@file` holds flags. */
function isFlag(argument: string): boolean {
  return /^[-@]/.test(argument);
}

function print(text: string): void {
  // citty colours its usage text whatever it is written to, and fills its columns with spaces.
  const plain = process.stdout.isTTY ? text : Bun.stripANSI(text);
  process.stdout.write(`${plain.replaceAll(/ +$/gm, "").trimEnd()}\n`);
}

function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((done) => {
    stream.once("error", () => done()); // nobody reads any more
    stream.end(() => done());
  });
}

async function resolve<T>(value: T | Promise<T> | (() => T) | (() => Promise<T>) | undefined): Promise<T | undefined> {
  return typeof value === "function" ? await (value as () => T | Promise<T>)() : await value;
}
