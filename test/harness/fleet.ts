import { chmodSync, writeFileSync } from "node:fs";
import { type Group, prepareControlServer, prepareRegistration } from "../../scripts/start/prepare.ts";
import { type RunningDaemon, startDaemon } from "./daemon.ts";
import type { RunningServer } from "./server.ts";
import type { Workspace } from "./workspace.ts";

/** What `npm start` prepares: a group, a bootstrap token and one shipped check of each language. */
export async function prepareNode(server: RunningServer, workspace: Workspace): Promise<Group> {
  const group = await prepareControlServer(server.api);
  const tokenFile = workspace.file("bootstrap-token");
  const stateDirectory = workspace.file("state");
  await prepareRegistration(server.api, { group, tokenFile, stateDirectory, address: "127.0.0.1", port: 9100 });
  return group;
}

interface NodeOptions {
  readonly serverUrl: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly expectedErrors?: readonly RegExp[];
}

/** A daemon that registers with the token file of the workspace. */
export function startNode(workspace: Workspace, { serverUrl, config, ...rest }: NodeOptions): Promise<RunningDaemon> {
  const server = { url: serverUrl, token_file: workspace.file("bootstrap-token"), advertise_address: "127.0.0.1" };
  return startDaemon({ workspace, config: { server, ...config }, ...rest });
}

export function writeToken(workspace: Workspace, token: string, mode = 0o600): void {
  const file = workspace.file("bootstrap-token");
  writeFileSync(file, `${token}\n`);
  chmodSync(file, mode);
}
