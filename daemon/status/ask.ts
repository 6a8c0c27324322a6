import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { errnoOf } from "../../collectors/read.ts";
import { ExitCode, ExitError } from "../../runtime/exit.ts";
import { describeError } from "../../runtime/log.ts";

export const defaultUrl = "http://127.0.0.1:9100";
const timeoutMs = 5000;

/** What the daemon may want to see, as the options of `aami status` give it. */
export interface Credentials {
  readonly user: string | undefined;
  readonly passwordFile: string | undefined;
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}

/** The text of /api/v1/status. Throws an ExitError that says what is the matter and what to give. */
export async function askStatus(url: string, credentials: Credentials): Promise<string> {
  const target = URL.canParse("/api/v1/status", url) ? new URL("/api/v1/status", url) : undefined;
  if (target === undefined || !/^https?:$/.test(target.protocol)) {
    throw new ExitError(ExitCode.usage, `--url ${url}: expected a URL such as ${defaultUrl}`);
  }
  const init = { headers: authorization(credentials), tls: tlsFor(target, credentials) };
  // A proxy has nothing to do with this machine's own addresses, whatever the environment says.
  if (isThisMachine(target)) process.env["no_proxy"] = "*";
  let response: Response;
  let text: string;
  try {
    response = await fetch(target, { ...init, signal: AbortSignal.timeout(timeoutMs) });
    text = await response.text();
  } catch (error) {
    throw new ExitError(ExitCode.unreachable, describeFailure(target, credentials, error));
  }
  if (response.ok) return text;
  if (text.includes("HTTP request to an HTTPS server")) {
    const { origin, host } = target;
    throw new ExitError(ExitCode.unreachable, `${origin} serves TLS: give --url https://${host}`);
  }
  const hint = hintFor(response.status, credentials);
  throw new ExitError(ExitCode.unreachable, `${target.href} answers with ${response.status}${hint}`);
}

function describeFailure(target: URL, { caFile, certFile }: Credentials, error: unknown): string {
  const { origin, hostname, protocol, host } = target;
  const code = errnoOf(error) ?? "";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `${origin}: its certificate is not for ${hostname}: give --url with a name that it has`;
  }
  if (code === "CERT_HAS_EXPIRED") return `${origin}: its certificate has expired: renew it`;
  if (/CERT|SIGNATURE|ISSUER/.test(code)) {
    const remedy = caFile === undefined ? "give its authority by --ca-file" : `it is not of the authority in ${caFile}`;
    return `${origin}: its certificate is not trusted (${code}): ${remedy}`;
  }
  if (code === "EPROTO") return `${origin} does not speak TLS that this program does: try --url http://${host}`;
  if (code === "ECONNRESET" && protocol === "https:") {
    const question =
      certFile === undefined
        ? "does it want a client certificate? (--cert-file, --key-file)"
        : `does it accept the client certificate in ${certFile}?`;
    return `${origin} has closed the connection: ${question}`;
  }
  const isLate = error instanceof DOMException && error.name === "TimeoutError";
  const reason = isLate ? `within ${timeoutMs / 1000} s` : code || describeError(error);
  return `no answer from ${origin} (${reason}): is the daemon running?`;
}

function hintFor(status: number, { user, passwordFile }: Credentials): string {
  if (status === 401 && user === undefined) return ", give --user and --password-file";
  if (status === 401) return `: no user ${user} with the password in ${passwordFile}`;
  if (status === 404) return ": is this another program?";
  if (status === 500) return ": its log says why; a broken web configuration refuses every request";
  return "";
}

function authorization({ user, passwordFile }: Credentials): Record<string, string> {
  if (user === undefined) return {};
  if (passwordFile === undefined) throw new ExitError(ExitCode.usage, "--user needs --password-file");
  const password = readText(passwordFile).trimEnd();
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
}

function isThisMachine({ hostname }: URL): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}

function tlsFor(target: URL, { caFile, certFile, keyFile }: Credentials): BunFetchRequestInitTLS {
  const ca = caFile === undefined ? undefined : { ca: readText(caFile) };
  if (ca !== undefined) refuseUnusable("--ca-file", ca);
  if (certFile !== undefined && keyFile === undefined)
    throw new ExitError(ExitCode.usage, "--cert-file needs --key-file");
  if (certFile === undefined && keyFile !== undefined)
    throw new ExitError(ExitCode.usage, "--key-file needs --cert-file");
  const pair = certFile === undefined ? undefined : { cert: readText(certFile), key: readText(keyFile ?? "") };
  if (pair !== undefined) refuseUnusable("--cert-file and --key-file", pair);
  // The daemon's certificate has the node's name. Whatever listens on the loopback is taken for it unless an authority is
  // given, as over plain HTTP: any user of this machine may, while no daemon does.
  const unnamed = ca === undefined ? { rejectUnauthorized: false } : { checkServerIdentity: () => undefined };
  return { ...ca, ...pair, ...(isThisMachine(target) && unnamed) };
}

/** `fetch` would take it for a typing error in the URL. */
function refuseUnusable(options: string, files: { ca: string } | { cert: string; key: string }): void {
  try {
    createSecureContext(files);
  } catch (error) {
    throw new ExitError(ExitCode.usage, `${options} cannot be used: ${String(describeError(error))}`);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new ExitError(ExitCode.usage, `cannot read ${path}`, { cause: error });
  }
}
