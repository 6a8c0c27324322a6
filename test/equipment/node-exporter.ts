import { findTestProgram } from "../../scripts/test-servers.ts";
import { goListeningPort, startProcess } from "../harness/process.ts";

export interface Peer extends AsyncDisposable {
  readonly url: string;
  get(path: string, init?: BunFetchRequestInit): Promise<Response>;
}

/** Debian's node_exporter (1.5.0 in Debian 12), with the systemd collector off that Debian switches on. */
export async function startNodeExporter(flags: readonly string[] = []): Promise<Peer> {
  const program = findTestProgram("prometheus-node-exporter") ?? "prometheus-node-exporter";
  const running = startProcess({
    name: "node_exporter",
    argv: [program, "--web.listen-address=127.0.0.1:0", "--no-collector.systemd", ...flags],
    expectedErrors: [/./],
  });
  const url = `http://127.0.0.1:${await goListeningPort(running)}`;
  return {
    url,
    get: (path, init) => fetch(`${url}${path}`, init),
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}
