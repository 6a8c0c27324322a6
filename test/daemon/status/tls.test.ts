import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { selfCommand } from "../../../runtime/self.ts";
import { waitFor } from "../../harness/wait.ts";
import { startDaemonProcess, type RunningDaemon } from "../running-daemon.ts";
import { createCertificates } from "../web/certificates.ts";

const certificates = createCertificates();
certificates.issue("server", "DNS:gpu-17");
certificates.issue("client", "DNS:oncall");
const others = createCertificates();
afterAll(() => {
  certificates[Symbol.dispose]();
  others[Symbol.dispose]();
});
const file = (name: string): string => join(certificates.folder, name);

/** Builtin checks need a moment for their first verdicts: without them the status is known at once. */
async function startWith(webConfig: string): Promise<RunningDaemon & { readonly webConfigFile: string }> {
  const webConfigFile = file(`web-${Math.random()}.yml`);
  writeFileSync(webConfigFile, webConfig);
  const config = file("daemon.yaml");
  writeFileSync(config, "checks: { enabled: false }\n");
  const daemon = await startDaemonProcess(`--config=${config}`, `--web.config.file=${webConfigFile}`);
  return { ...daemon, webConfigFile };
}

async function status(...args: readonly string[]): Promise<readonly [number, string]> {
  const child = Bun.spawn(selfCommand("status", ...args), { stdout: "ignore", stderr: "pipe" });
  const [stderr, exitCode] = await Promise.all([child.stderr.text(), child.exited]);
  return [exitCode, stderr];
}

const tls = "tls_server_config: { cert_file: server.pem, key_file: server.key";
const wantsClients = `${tls}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem }\n`;

describe("aami status beside a daemon that serves TLS", () => {
  test("says how to ask, and whose certificate is not trusted", async () => {
    await using daemon = await startWith(`${tls} }\n`);
    const port = new URL(daemon.url).port;
    const here = `https://127.0.0.1:${port}`;
    // On the loopback nothing is verified without an authority; this address is not taken for it.
    const elsewhere = `https://0.0.0.0:${port}`;

    expect(await status("--url", daemon.url)).toEqual([2, `aami: ${daemon.url} serves TLS: give --url ${here}\n`]);
    expect(await status("--url", here)).toEqual([0, ""]);
    expect(await status("--url", here, "--ca-file", file("ca.pem"))).toEqual([0, ""]);
    expect(await status("--url", here, "--ca-file", join(others.folder, "ca.pem"))).toEqual([
      2,
      expect.stringMatching(
        /: its certificate is not trusted \([A-Z_]+\): it is not of the authority in .*\/ca\.pem\n$/,
      ),
    ]);
    expect(await status("--url", elsewhere)).toEqual([
      2,
      expect.stringMatching(/: its certificate is not trusted \([A-Z_]+\): give its authority by --ca-file\n$/),
    ]);
    expect(await status("--url", elsewhere, "--ca-file", file("ca.pem"))).toEqual([
      2,
      `aami: ${elsewhere}: its certificate is not for 0.0.0.0: give --url with a name that it has\n`,
    ]);
  }, 120_000);

  test("says that a client certificate is wanted, and gives one", async () => {
    await using daemon = await startWith(wantsClients);
    const url = daemon.url.replace("http:", "https:");
    const pair = (folder: string, name: string): string[] => [
      "--cert-file",
      join(folder, `${name}.pem`),
      "--key-file",
      join(folder, `${name}.key`),
    ];

    const closed = `aami: ${url} has closed the connection: `;
    expect(await status("--url", url)).toEqual([
      2,
      `${closed}does it want a client certificate? (--cert-file, --key-file)\n`,
    ]);
    expect(await status("--url", url, ...pair(others.folder, "ca"))).toEqual([
      2,
      `${closed}does it accept the client certificate in ${others.folder}/ca.pem?\n`,
    ]);
    expect(await status("--url", url, ...pair(certificates.folder, "client"))).toEqual([0, ""]);
  }, 120_000);

  test("a web configuration that is broken by now", async () => {
    await using daemon = await startWith(`${tls} }\n`);
    const url = daemon.url.replace("http:", "https:");
    writeFileSync(daemon.webConfigFile, "tls_server_config: [\n");
    await waitFor("the broken file to be seen", async () => {
      const response = await fetch(url, { tls: { rejectUnauthorized: false } });
      return response.status === 500;
    });
    expect(await status("--url", url)).toEqual([
      2,
      `aami: ${url}/api/v1/status answers with 500: its log says why; a broken web configuration refuses every request\n`,
    ]);
  }, 120_000);

  test("https to a daemon without TLS", async () => {
    await using daemon = await startDaemonProcess();
    const url = daemon.url.replace("http:", "https:");
    expect(await status("--url", url)).toEqual([
      2,
      `aami: ${url} does not speak TLS that this program does: try --url ${daemon.url}\n`,
    ]);
  }, 120_000);
});

test.each([
  ["one of the pair alone", ["--cert-file", file("client.pem")], "--cert-file needs --key-file"],
  ["one of the pair alone", ["--key-file", file("client.key")], "--key-file needs --cert-file"],
  ["a file that is not there", ["--ca-file", "/nowhere.pem"], "cannot read /nowhere.pem: ENOENT"],
  ["no certificate in it", ["--ca-file", import.meta.path], "--ca-file cannot be used: Invalid CA"],
  [
    "a key of another certificate",
    ["--cert-file", file("client.pem"), "--key-file", file("server.key")],
    "--cert-file and --key-file cannot be used: ",
  ],
])("%s: 2", async (_, args, message) => {
  expect(await status(...args)).toEqual([2, expect.stringContaining(message)]);
});
