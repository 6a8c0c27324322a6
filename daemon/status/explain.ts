import type { CommandDef } from "citty";
import { builtinChecks } from "../../checks/builtin/registry.ts";
import { actionTexts, type ErrorCode, sxids, xids } from "../../checks/catalogue/catalogue.ts";
import { nvlinkRulesOf } from "../../checks/catalogue/nvlink.ts";
import { ExitCode, ExitError } from "../../runtime/exit.ts";
import { closest } from "../../runtime/suggest.ts";

export const explainCommand: CommandDef = {
  meta: {
    name: "explain",
    description: "What an error or a check means and what to do: explain xid 79, explain sxid 20034, explain mounts.",
  },
  args: {
    what: { type: "positional", required: true, description: "xid, sxid, or the name of a builtin check" },
    code: { type: "positional", required: false, description: "Number of the Xid or SXid" },
  },
  run: async ({ args: { what, code } }) => {
    process.stdout.write(`${explain(String(what), code === undefined ? undefined : String(code))}\n`);
  },
};

/** Throws ExitError for what there is nothing to say about. */
export function explain(asked: string, number: string | undefined): string {
  const [, kind, code = number] = /^(s?xid)[ -]?(\d+)?$/i.exec(asked) ?? [];
  if (kind?.toLowerCase() === "xid") return explainCode("Xid", xids, code);
  if (kind?.toLowerCase() === "sxid") return explainCode("SXid", sxids, code);
  const what = asked.toLowerCase();
  const check = builtinChecks.find(({ name }) => name === what);
  if (check === undefined) {
    const names = builtinChecks.map(({ name }) => name);
    const near = closest(what, ["xid", "sxid", ...names]);
    const hint = near === undefined ? `known: xid, sxid, ${names.join(", ")}` : `did you mean ${near}?`;
    throw new ExitError(ExitCode.usage, `nothing is known about "${asked}"; ${hint}`);
  }
  const { name, description, explanation, parameters, source } = check;
  const listed = Object.entries(parameters.properties).map(([key, property]) => {
    const standard = property.default === undefined ? "" : ` (${JSON.stringify(property.default)})`;
    return `  ${key}${standard}\n      ${property.description ?? ""}`;
  });
  return [
    `${name}: ${description}`,
    ...explanation.map((paragraph) => `\n${wrap(paragraph)}`),
    `\nJudges what the collector ${source} sees. Parameters, in daemon.yaml under checks.builtin.${name} or in a policy:`,
    ...listed,
  ].join("\n");
}

const levels: Readonly<Record<ErrorCode["level"], string>> = {
  info: "No reason to touch the node: the health checks do not judge it.",
  warning: "A warning: look at the node when there is time.",
  critical: "Critical: the GPU or the fabric is not usable until something is done.",
};

const levelOfLinks =
  "How bad it is, and what to do, depends on the unit and the sub-code that the line names: see below.";

/** What a title does not tell. */
const notes: Readonly<Record<number, string>> = {
  94:
    "The memory of the GPU had an uncorrectable ECC error, which was contained: only the jobs that used that memory end, " +
    "others go on. The driver takes the bad row out of use at the next reset of the GPU: reset it when it is idle, and see " +
    "the check gpu_memory for whether it has spare rows left.",
  95: "The memory of the GPU had an uncorrectable ECC error that was not contained: every job on the GPU may have bad data.",
};

function explainCode(kind: "Xid" | "SXid", table: ReadonlyMap<number, ErrorCode>, text: string | undefined): string {
  if (text === undefined || !/^\d+$/.test(text)) {
    throw new ExitError(
      ExitCode.usage,
      `give the number: aami explain ${kind.toLowerCase()} ${kind === "Xid" ? 79 : 20034}`,
    );
  }
  const known = table.get(Number(text));
  if (known === undefined) {
    throw new ExitError(ExitCode.failure, unknownCode(kind, table, Number(text)));
  }
  const { code, level, action, mnemonic, title } = known;
  const links = kind === "Xid" ? explainLinks(code) : [];
  const check = kind === "Xid" ? "gpu_xid" : "nvswitch_sxid";
  const source =
    kind === "Xid"
      ? "The NVIDIA driver has reported it about a GPU, in the kernel log."
      : "An NVSwitch has reported it, in the kernel log. Where the log calls it Fatal, that goes before this catalogue.";
  return [
    `${kind} ${code}: ${title}${mnemonic === "" ? "" : ` (${mnemonic})`}`,
    "",
    wrap(source),
    wrap(links.length === 0 ? levels[level] : levelOfLinks),
    ...(kind === "Xid" && code in notes ? [wrap(notes[code] ?? "")] : []),
    "",
    `What to do (${action})${links.length === 0 ? "" : " where the line has none of the sub-codes below"}:`,
    wrap(actionTexts[action]),
    ...(action === "reset_gpu" || action === "reboot"
      ? ["", wrap("If it has come back after two reboots, have the hardware looked at instead.")]
      : []),
    ...links,
    "",
    `See also: aami explain ${check}`,
  ].join("\n");
}

function unknownCode(kind: "Xid" | "SXid", table: ReadonlyMap<number, ErrorCode>, code: number): string {
  const other = kind === "Xid" ? "SXid" : "Xid";
  if ((kind === "Xid" ? sxids : xids).has(code)) {
    return `there is no ${kind} ${code}, but an ${other}: aami explain ${other.toLowerCase()} ${code}`;
  }
  const known = [...table.keys()];
  const range = `${Math.min(...known)} to ${Math.max(...known)}`;
  return (
    `${kind} ${code} is not in this version's catalogue (codes from ${range}). A newer driver may have it: ` +
    `look at ${catalogueUrl}, or ask NVIDIA's support`
  );
}

/** What the sub-codes of an NVLink's error ask for, which goes before the code's own action. */
function explainLinks(code: number): string[] {
  const rules = nvlinkRulesOf(code);
  const lines = rules.map(({ unit, subcode, statuses, level, action, hint }) => {
    const isOnly = rules.filter((other) => other.unit === unit && other.subcode === subcode).length === 1;
    const words = statuses.map((status) => `0x${status.toString(16).padStart(8, "0")}`).join(", ");
    return `  ${unit} ${subcode}${isOnly ? "" : `, error status ${words}`}: ${level}, ${action}${hint && ` (${hint})`}`;
  });
  const head = "By unit and sub-code, and the error status (the second word in brackets) where one has two meanings:";
  return lines.length === 0 ? [] : ["", head, ...new Set(lines)];
}

const catalogueUrl = "https://docs.nvidia.com/deploy/xid-errors/";
const width = 100;

function wrap(text: string): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + word.length + 1 > width) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line].join("\n");
}
