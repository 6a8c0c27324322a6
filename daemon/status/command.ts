import type { CommandDef } from "citty";
import { readFileSync } from "node:fs";
import { errnoOf } from "../../collectors/read.ts";
import { ExitCode, ExitError } from "../../runtime/exit.ts";
import { describeError } from "../../runtime/log.ts";
import { renderStatusText } from "./text.ts";
import type { StatusView } from "./view.ts";

const timeoutMs = 5000;

export const statusCommand: CommandDef = {
  meta: {
    name: "status",
    description: "What is wrong with this node. 0: nothing, 1: something is, or is not known, 2: no answer.",
  },
  args: {
    url: {
      type: "string",
      description: "Where the daemon listens",
      default: "http://127.0.0.1:9100",
      valueHint: "URL",
    },
    user: { type: "string", description: "User name, where the web configuration asks for one", valueHint: "NAME" },
    "password-file": { type: "string", description: "File with the password", valueHint: "FILE" },
    json: { type: "boolean", description: "Print the answer of /api/v1/status as it is" },
    all: { type: "boolean", description: "Show checks and collectors that are well, too" },
  },
  run: async ({ args }) => {
    const { url: given, user, json, all } = args;
    const url = textOf(given) ?? "";
    const text = await fetchStatus(url, { user: textOf(user), passwordFile: textOf(args["password-file"]) });
    const view = parseStatus(text, url);
    process.stdout.write(json === true ? `${text.trimEnd()}\n` : renderStatusText(view, { all: all === true }));
    if (view.status !== "ok" && view.status !== "absent") throw new ExitError(ExitCode.failure, "");
  },
};

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

interface Login {
  readonly user: string | undefined;
  readonly passwordFile: string | undefined;
}

async function fetchStatus(url: string, login: Login): Promise<string> {
  const target = URL.canParse("/api/v1/status", url) ? new URL("/api/v1/status", url) : undefined;
  if (target === undefined) throw new ExitError(ExitCode.usage, `--url ${url}: not a URL`);
  let response: Response;
  try {
    response = await fetch(target, {
      headers: authorization(login),
      signal: AbortSignal.timeout(timeoutMs),
      // The daemon's certificate has the node's name, and who listens on the loopback of this machine is root's choice.
      tls: { rejectUnauthorized: !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(target.hostname) },
    });
    if (response.ok) return await response.text();
  } catch (error) {
    const isLate = error instanceof DOMException && error.name === "TimeoutError";
    const reason = isLate ? `within ${timeoutMs / 1000} s` : (errnoOf(error) ?? describeError(error));
    throw new ExitError(ExitCode.unreachable, `no answer from ${target.origin} (${reason}): is the daemon running?`);
  }
  const hint = response.status === 401 ? ", give --user and --password-file" : "";
  throw new ExitError(ExitCode.unreachable, `${target.href} answers with ${response.status}${hint}`);
}

function authorization({ user, passwordFile }: Login): Record<string, string> {
  if (user === undefined) return {};
  if (passwordFile === undefined) throw new ExitError(ExitCode.usage, "--user needs --password-file");
  try {
    const password = readFileSync(passwordFile, "utf8").trimEnd();
    return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
  } catch (error) {
    throw new ExitError(ExitCode.usage, `cannot read ${passwordFile}`, { cause: error });
  }
}

/** Of another program that listens there only this much is asked: that it answers as a daemon would. */
function parseStatus(text: string, url: string): StatusView {
  try {
    const view = JSON.parse(text) as Partial<StatusView> | null;
    if (view?.status !== undefined && view.checks !== undefined) return view as StatusView;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new ExitError(ExitCode.unreachable, `${url} is not an aami daemon`);
}
