import type { CheckDefinition } from "./check.ts";
import type { CheckLimits } from "./config.ts";
import { judgeCheck } from "./permissions.ts";

export interface LintFinding {
  readonly severity: "error" | "warning";
  readonly line: number | undefined;
  readonly message: string;
}

/** Habits from scripts that ran as root with the whole machine in view. */
const warnings: readonly (readonly [pattern: RegExp, message: string])[] = [
  [
    /\[\[?\s+(?:.*\s)?-w\s/,
    "-w asks whether the check user may write, and a declared path is read-only in the sandbox: it is never true. " +
      "Read $CHECK_HOST_MOUNTINFO for read-only file systems, or ask for a probe directory (permissions.write)",
  ],
  [/os\.access\([^)]*W_OK/, "W_OK asks about the check user, for whom a declared path is read-only: never true"],
  [/(?:^|[\s|;&(])sudo\s/, "there is no sudo in the sandbox: what needs root belongs into a collector of the daemon"],
  [/(?:^|[\s|;&(])systemctl\s/, "systemctl needs D-Bus, which the sandbox does not show; use node_systemd_unit_state"],
  [/(?:^|[\s|;&(])(?:curl|wget|ping|nc)\s/, "there is no network in the sandbox"],
  [
    /(?:^|[\s|;&(])df(?:\s+-[a-zA-Z]+)*\s*(?:$|[|;&)])/,
    "df without a path looks at every file system and hangs with any of them",
  ],
  [
    /(?:^|[\s|;&(])timeout\s+(?!-s|--signal|-k)/,
    "timeout waits for a command that hangs in the kernel: timeout -s KILL does not",
  ],
  [
    /(?:^|[\s|;&(])(?:dmesg|journalctl|smartctl|nvme|ipmitool)\s/,
    "needs rights that no check has; the daemon's collectors read it",
  ],
];

const interpreters: Readonly<Record<string, readonly string[]>> = {
  bash: ["/bin/bash", "--noprofile", "--norc", "-n", "/dev/stdin"],
  python: [
    ...["/usr/bin/python3", "-I", "-B", "-c"],
    "import sys; compile(sys.stdin.buffer.read(), '/dev/stdin', 'exec')",
  ],
};

/** What can be said without running the script: what a node would refuse, syntax, and habits that fail in the sandbox. */
export async function lintScript(definition: CheckDefinition, limits: CheckLimits): Promise<LintFinding[]> {
  const judgement = judgeCheck(definition, limits);
  const refused = "refused" in judgement ? [found("error", undefined, judgement.refused)] : [];
  return [...refused, ...lintText(definition), ...(await lintSyntax(definition))];
}

function lintText({ language, script }: CheckDefinition): LintFinding[] {
  const text = new TextDecoder().decode(script);
  const findings: LintFinding[] = [];
  if (text.includes("\ufffd")) findings.push(found("error", undefined, "the script is not UTF-8"));
  for (const [index, line] of text.split("\n").entries()) {
    if (line.endsWith("\r")) {
      findings.push(found("error", index + 1, "the line ends with a carriage return (Windows line ends)"));
      break;
    }
    if (index === 0 && line.startsWith("#!") && !line.includes(language)) {
      findings.push(found("warning", 1, `the shebang is ignored: the script runs with ${language}`));
    }
    if (/^\s*#/.test(line)) continue;
    for (const [pattern, message] of warnings) {
      if (pattern.test(line)) findings.push(found("warning", index + 1, message));
    }
  }
  return findings;
}

async function lintSyntax({ language, script }: CheckDefinition): Promise<LintFinding[]> {
  const argv = interpreters[language];
  if (argv === undefined) return [];
  const child = Bun.spawn([...argv], { stdin: script, stdout: "ignore", stderr: "pipe", env: {} });
  const [errors, code] = await Promise.all([child.stderr.text(), child.exited]);
  if (code === 0) return [];
  const lines = errors.trim().split("\n");
  // Bash names the fault first and quotes the line after it; Python's last line is its message.
  const said = (language === "bash" ? lines[0] : lines.at(-1)) ?? "syntax error";
  const line = /line (\d+)/.exec(errors)?.[1];
  const message = said.replace(/^\/dev\/stdin: (?:line \d+: )?/, "");
  return [found("error", line === undefined ? undefined : Number(line), message)];
}

function found(severity: LintFinding["severity"], line: number | undefined, message: string): LintFinding {
  return { severity, line, message };
}
