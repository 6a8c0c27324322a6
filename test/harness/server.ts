import { ensureBinary } from "../../scripts/binary.ts";
import { type ControlApi, createControlApi } from "../../scripts/start/control-api.ts";
import { type RunningProcess, startProcess } from "./process.ts";
import type { Workspace } from "./workspace.ts";

export interface ServerOptions {
  /** Holds database and keys; a second server started in it is the same one. */
  readonly workspace: Workspace;
  /** Free by default; the port of a server that comes back. */
  readonly port?: number;
  readonly expectedErrors?: readonly RegExp[];
}

export interface RunningServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly process: RunningProcess;
  /** With the first admin token. */
  readonly api: ControlApi;
  readonly adminTokenFile: string;
}

/** `aami server` from the compiled binary; resolves when it listens. */
export async function startServer({ workspace, port = 0, expectedErrors }: ServerOptions): Promise<RunningServer> {
  const data = workspace.file("server");
  const running = startProcess({
    name: "control server",
    argv: [await ensureBinary(), "server", "--listen", `127.0.0.1:${port}`, "--data", data],
    ...(expectedErrors === undefined ? {} : { expectedErrors }),
  });
  const line = await running.waitForLine(/"msg":"server started"/);
  const { url } = JSON.parse(line) as { url: string };
  const adminTokenFile = `${data}/admin.token`;
  return {
    url,
    port: Number(new URL(url).port),
    process: running,
    api: createControlApi(url, adminTokenFile),
    adminTokenFile,
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}
