import type { CommandDef } from "citty";
import { accessSync, constants } from "node:fs";
import { ExitCode, ExitError } from "../../runtime/exit.ts";
import { errnoOf } from "../../collectors/read.ts";
import { controlSocketOf, defaultStateDirectory } from "../control.ts";
import type { AcknowledgeAnswer, AcknowledgeRequest } from "./acknowledge.ts";
import { printable } from "./text.ts";

const timeoutMs = 10_000;

/** `aami acknowledge`. */
export const acknowledgeCommand: CommandDef = {
  meta: {
    name: "acknowledge",
    description: "Say that a finding has been dealt with: it goes, and comes back when it happens again.",
  },
  args: {
    check: { type: "positional", required: true, description: "Name of the check, as aami status shows it" },
    subject: {
      type: "positional",
      required: false,
      description: 'What the finding is about ("GPU 0000:3b:00"); all of the check without it',
    },
    note: { type: "string", description: "What was done", valueHint: "TEXT" },
    by: { type: "string", description: "Who did it; you, if not given", valueHint: "NAME" },
    undo: { type: "boolean", description: "Take it back: what was acknowledged is judged again" },
    "state-directory": {
      type: "string",
      description: "State directory of the daemon",
      default: defaultStateDirectory,
      valueHint: "DIR",
    },
  },
  run: async ({ args }) => {
    const { check, subject, note, by, undo } = args;
    const request: AcknowledgeRequest = {
      check: String(check),
      ...(subject !== undefined && { subject: String(subject) }),
      by: printable(typeof by === "string" && by !== "" ? by : whoAmI()).slice(0, 64),
      note: printable(typeof note === "string" ? note : "").slice(0, 300),
      undo: undo === true,
    };
    const answer = await ask(String(args["state-directory"]), request);
    process.stdout.write(`${render(answer, request)}\n`);
  },
};

/** Who has become root is asked for by their own name. */
function whoAmI(): string {
  const { SUDO_USER: sudo, LOGNAME: login, USER: user } = process.env;
  const uid = process.getuid?.();
  return [sudo, login, user].find((name) => name !== undefined && name !== "") ?? (uid === 0 ? "root" : `uid ${uid}`);
}

async function ask(stateDirectory: string, request: AcknowledgeRequest): Promise<AcknowledgeAnswer> {
  const unix = controlSocketOf(stateDirectory);
  let response: Response;
  try {
    accessSync(unix, constants.W_OK);
    const init = { method: "POST", body: JSON.stringify(request), signal: AbortSignal.timeout(timeoutMs), unix };
    response = await fetch("http://daemon/acknowledge", init);
  } catch (error) {
    throw new ExitError(ExitCode.unreachable, `no answer from ${unix}: ${remedyFor(errnoOf(error))}`, { cause: error });
  }
  const body: unknown = await response.json();
  if (response.ok) return body as AcknowledgeAnswer;
  const { message } = body as { readonly message?: string };
  throw new ExitError(ExitCode.failure, message ?? `the daemon answers with ${response.status}`);
}

function remedyFor(errno: string | undefined): string {
  if (errno === "EACCES" || errno === "EPERM") return "permission denied, run this as root or as the daemon's user";
  const question = "is the daemon running, or has it another state directory? (--state-directory)";
  return errno === "ENOENT" || errno === "ENOTDIR" ? `no such socket: ${question}` : question;
}

function render(
  { acknowledged, left, taken_back: takenBack, stored }: AcknowledgeAnswer,
  { undo }: AcknowledgeRequest,
): string {
  const lines = acknowledged.map((finding) => `acknowledged: ${finding}`);
  if (undo) lines.push(`taken back: ${takenBack}; what happened is judged again`);
  for (const finding of left) lines.push(`left, as it is so now: ${finding}`);
  if (!stored) lines.push("the state could not be written: this is forgotten when the daemon ends");
  return printable(lines.join("\n"));
}
