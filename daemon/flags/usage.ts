import { buildInfo } from "../../runtime/version.ts";
import type { Flag } from "./definitions.ts";

const width = 80;
const column = 31;

const introduction = [
  "usage: aami daemon [<flags>]",
  "",
  "The node daemon: collects, serves metrics, runs checks. Everything has a default; what is set comes from the",
  "configuration file, and a flag overrides the file. All flags of node_exporter are accepted.",
];

const epilogue = [
  "Signals: HUP reads the configuration again; TERM and INT end the daemon.",
  "Exit codes: 0 ended as asked; 1 failure, or an error in a flag; 2 a flag's value cannot be used (bad regular",
  "expression, missing --path.procfs); 78 an error in the configuration file.",
];

/** --help, and with `all` --help-long, which shows what is hidden as well. */
export function usageText(flags: readonly Flag[], { all }: { all: boolean }): string {
  const shown = flags.filter(({ hidden }) => all || !hidden).sort((a, b) => (a.name < b.name ? -1 : 1));
  return [...introduction, "", "Flags:", ...shown.map(describe), "", ...epilogue].join("\n");
}

function describe(flag: Flag): string {
  const head = `      ${spelling(flag)}`;
  const lines = wrap(text(flag), width - column);
  const indent = " ".repeat(column);
  if (head.length + 2 <= column)
    return [head.padEnd(column) + (lines.shift() ?? ""), ...lines.map((l) => indent + l)].join("\n");
  return [head, ...lines.map((line) => indent + line)].join("\n");
}

function spelling(flag: Flag): string {
  const { name, kind, repeatable, defaultText } = flag;
  if (kind === "boolean") return `--[no-]${name}`;
  const more = repeatable ? " ..." : "";
  return `--${name}=${defaultText === undefined ? placeholder(flag) : JSON.stringify(defaultText)}${more}`;
}

/** What a value without a default looks like. */
function placeholder({ name, kind, description }: Flag): string {
  if (kind === "integer" || kind === "number") return "NUMBER";
  if (kind === "duration") return "DURATION";
  return description.startsWith("Regexp") ? "REGEXP" : (name.split(/[.-]/).at(-1) ?? name).toUpperCase();
}

function text({ description, deprecated, repeatable }: Flag): string {
  const note = deprecated === undefined ? "" : ` (${deprecated})`;
  return `${description}${repeatable ? " Repeatable." : ""}${note}`;
}

function wrap(paragraph: string, limit: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of paragraph.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > limit) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** --help-man: a page for man(1). */
export function manText(flags: readonly Flag[]): string {
  const escape = (line: string): string =>
    line
      .replaceAll("\\", "\\\\")
      .replaceAll("-", "\\-")
      .replace(/^([.'])/, "\\&$1");
  const options = [...flags]
    .filter(({ hidden }) => !hidden)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((flag) => [".TP", `\\fB${escape(spelling(flag))}\\fR`, escape(text(flag))]);
  return [
    `.TH aami-daemon 1 "" "${buildInfo.version}" "aami"`,
    ".SH NAME",
    "aami\\-daemon \\- node daemon of AAMI",
    ".SH SYNOPSIS",
    "aami daemon [\\fIflags\\fR]",
    ".SH DESCRIPTION",
    ...introduction.slice(2).map(escape),
    ".SH OPTIONS",
    ...options,
    ".SH NOTES",
    ...epilogue.map(escape),
  ].join("\n");
}
