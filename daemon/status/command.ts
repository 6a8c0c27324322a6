import type { CommandDef } from "citty";
import { ExitCode, ExitError } from "../../runtime/exit.ts";
import { askStatus, defaultUrl } from "./ask.ts";
import { renderStatusText } from "./text.ts";
import type { StatusView } from "./view.ts";

export const statusCommand: CommandDef = {
  meta: {
    name: "status",
    description: "What is wrong with this node. 0: nothing, 1: something is, or is not known, 2: no answer.",
  },
  args: {
    url: {
      type: "string",
      description: "Where the daemon listens",
      default: defaultUrl,
      valueHint: "URL",
    },
    user: { type: "string", description: "User name, where the web configuration asks for one", valueHint: "NAME" },
    "password-file": { type: "string", description: "File with the password", valueHint: "FILE" },
    "ca-file": { type: "string", description: "Authority of the daemon's certificate (PEM)", valueHint: "FILE" },
    "cert-file": { type: "string", description: "Client certificate, where one is asked for (PEM)", valueHint: "FILE" },
    "key-file": { type: "string", description: "Its key (PEM)", valueHint: "FILE" },
    json: { type: "boolean", description: "Print the answer of /api/v1/status as it is" },
    all: { type: "boolean", description: "Show checks and collectors that are well, too" },
  },
  run: async ({ args }) => {
    const { url: given, user, json, all } = args;
    const url = textOf(given) ?? "";
    const text = await askStatus(url, {
      user: textOf(user),
      passwordFile: textOf(args["password-file"]),
      caFile: textOf(args["ca-file"]),
      certFile: textOf(args["cert-file"]),
      keyFile: textOf(args["key-file"]),
    });
    const view = parseStatus(text, url);
    process.stdout.write(json === true ? `${text.trimEnd()}\n` : renderStatusText(view, { all: all === true }));
    if (view.status !== "ok" && view.status !== "absent") throw new ExitError(ExitCode.failure, "");
  },
};

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
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
