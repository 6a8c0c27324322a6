import { afterAll, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRateLimit, parseGoDuration } from "../../../daemon/web/rate-limit.ts";
import type { WebConfig } from "../../../daemon/web/web-config.ts";
import { openWebConfigSource, type WebConfigSourceOptions } from "../../../daemon/web/web-config-source.ts";
import { createLogger, silentLogger } from "../../../runtime/log.ts";
import { waitFor } from "../../harness/wait.ts";
import { createCertificates } from "./certificates.ts";

const certificates = createCertificates();
certificates.issue("server", "DNS:localhost,IP:127.0.0.1");
certificates.issue("other", "DNS:localhost,IP:127.0.0.1");
afterAll(() => certificates[Symbol.dispose]());

const file = join(certificates.folder, "web.yml");
async function open(options: Partial<WebConfigSourceOptions> = {}) {
  const source = await openWebConfigSource(file, { log: silentLogger, intervalMs: 5, ...options });
  return { ...source, [Symbol.dispose]: () => source.stop() };
}
async function read(text: string): Promise<WebConfig> {
  writeFileSync(file, text);
  using source = await open();
  return source.current();
}
const tls = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";
const hash = await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 });

describe("a web configuration that is refused", () => {
  test.each([
    [
      "unknown key",
      "tls_server_configs: {}\n",
      /web\.yml:1:1: unknown key "tls_server_configs"; did you mean "tls_server_config"\?/,
    ],
    ["no key", "tls_server_config:\n  cert_file: server.pem\n", /needs key_file or key/],
    ["no such file", "tls_server_config:\n  cert_file: none.pem\n  key_file: server.key\n", /none\.pem/],
    [
      "foreign key",
      "tls_server_config:\n  cert_file: server.pem\n  key_file: other.key\n",
      /certificate and key cannot be used/,
    ],
    ["CA without policy", `${tls}  client_ca_file: ca.pem\n`, /client_ca is set, but client_auth_type asks/],
    ["unknown policy", `${tls}  client_auth_type: Sometimes\n`, /expected one of "NoClientCert"/],
    ["unknown version", `${tls}  min_version: SSL3\n`, /expected one of "TLS10"/],
    ["unknown suite", `${tls}  cipher_suites: [RC4]\n`, /cipher_suites: "RC4" is not one of/],
    ["unknown curve", `${tls}  curve_preferences: [P-256]\n`, /curve_preferences: "P-256" is not one of CurveP256/],
    ["plain password", "basic_auth_users:\n  alice: hunter2\n", /password of "alice" is not a bcrypt hash/],
    ["unknown header", "http_server_config:\n  headers:\n    Server: x\n", /unknown key "Server"/],
    ["bad header value", "http_server_config:\n  headers:\n    X-Frame-Options: maybe\n", /expected one of/],
    ["bad interval", "rate_limit:\n  interval: soon\n", /"soon" is not a duration/],
  ])("%s", async (_, text, expected) => {
    await expect(read(text)).rejects.toThrow(expected);
  });

  test("a hash is never repeated in a message", async () => {
    let message = "";
    try {
      await read("basic_auth_users:\n  alice: 12345678\n");
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain("basic_auth_users.alice");
    expect(message).not.toContain("12345678");
  });
});

describe("what Go's YAML takes, and files in use have", () => {
  test.each([
    ["sections without content", "tls_server_config:\nbasic_auth_users:\nhttp_server_config:\n  headers:\n", {}],
    ["a TLS section that asks for none", "tls_server_config: { cert_file: '', min_version: TLS12 }\n", {}],
    ["a boolean of YAML 1.1", "http_server_config: { http2: off }\n", { http2: false }],
    [
      "a number where a text is wanted",
      "http_server_config: { headers: { X-XSS-Protection: 0 } }\n",
      { headers: { "X-XSS-Protection": "0" } },
    ],
  ])("%s", async (_, text, expected) => {
    expect(await read(text)).toMatchObject({ tls: undefined, http2: true, headers: {}, auth: undefined, ...expected });
  });

  test("a file wins over inline content, and empty names are none", async () => {
    const config = await read(`${tls}  cert: nonsense\n  client_ca_file: ""\n  client_auth_type: ""\n`);
    expect(config.tls?.context.cert).toBe(certificates.read("server.pem"));
    expect(config.tls?.clients.request).toBe(false);
  });

  test("an interval without a unit is nanoseconds", async () => {
    const { rateLimit } = await read("rate_limit: { interval: 3600000000000, burst: 1 }\n");
    expect([rateLimit.admit(), rateLimit.admit()]).toEqual([true, false]);
    const { rateLimit: fast } = await read("rate_limit: { interval: 1, burst: 1 }\n");
    expect(fast.admit()).toBe(true);
    await waitFor("the next nanosecond", () => fast.admit());
  });
});

describe("passwords", () => {
  const basic = (credentials: string): string => `Basic ${Buffer.from(credentials).toString("base64")}`;
  test.each([
    ["right", basic("alice:secret"), "right"],
    ["wrong password", basic("alice:wrong"), "wrong"],
    ["unknown user with a known password", basic("bob:secret"), "wrong"],
    ["inherited property as user", basic("constructor:secret"), "wrong"],
    ["no colon", basic("alice"), "wrong"],
    ["other scheme", "Bearer secret", "wrong"],
    ["nothing", null, "wrong"],
  ] as const)("%s, asked twice", async (_, header, expected) => {
    const { auth } = await read(`basic_auth_users:\n  alice: ${hash}\n`);
    expect(await auth?.check(header)).toBe(expected);
    expect(await auth?.check(header)).toBe(expected);
  });

  test.each(["$2a$", "$2b$", "$2y$"])("hash form %s", async (form) => {
    const { auth } = await read(`basic_auth_users:\n  alice: ${hash.replace("$2b$", form)}\n`);
    expect(await auth?.check(basic("alice:secret"))).toBe("right");
  });
});

test("the file is read again when it changes, and while broken nobody gets in", async () => {
  writeFileSync(file, `basic_auth_users:\n  alice: ${hash}\n`);
  using source = await open();
  const first = source.current();
  expect(source.current()).toBe(first);
  writeFileSync(file, "basic_auth_users: [\n");
  await waitFor("the broken file to be seen", () => {
    try {
      source.current();
    } catch (error) {
      return String(error).includes("web.yml");
    }
  });
  writeFileSync(file, "basic_auth_users: {}\n");
  await waitFor("the repaired file to be seen", () => source.current().auth === undefined);
});

test("a replaced certificate is seen without touching the file", async () => {
  writeFileSync(file, tls);
  using source = await open();
  const before = source.current().tls;
  writeFileSync(join(certificates.folder, "server.pem"), certificates.read("other.pem"));
  await waitFor("the foreign key to be seen", () => {
    try {
      source.current();
    } catch (error) {
      return String(error).includes("certificate and key cannot be used");
    }
  });
  writeFileSync(join(certificates.folder, "server.key"), certificates.read("other.key"));
  await waitFor("the pair to be seen", () => source.current().tls?.context.cert !== before?.context.cert);
});

test("a file that hangs leaves the last configuration in force, is told once, and is read when it comes back", async () => {
  writeFileSync(file, "basic_auth_users: {}\n");
  const lines: string[] = [];
  using source = await open({ log: createLogger({ write: (line) => void lines.push(line) }), patienceMs: 20 });
  const first = source.current();
  // A pipe without a writer: open(2) waits, as it does on a file server that does not answer.
  rmSync(file);
  expect(Bun.spawnSync(["mkfifo", file]).exitCode).toBe(0);
  await waitFor("the report", () => lines.some((line) => line.includes("the last one stays in force")));
  expect(source.current()).toBe(first);
  expect(lines).toHaveLength(1);
  writeFileSync(file, `basic_auth_users:\n  alice: ${hash}\n`);
  await waitFor("what was in the pipe", () => source.current().auth !== undefined);
  expect(lines.at(-1)).toContain("can be read again");
  rmSync(file);
});

test.each([
  ["1s", 1],
  ["1m30s", 90],
  ["250ms", 0.25],
  ["0", 0],
  [".5s", 0.5],
  ["+1.5s", 1.5],
  ["3\u00b5s", 3e-6],
  ["3\u03bcs", 3e-6],
  ["1", undefined],
  ["-1s", undefined],
])("duration %s", (text, seconds) => {
  expect(parseGoDuration(text)).toBe(seconds);
});

test("a rate limit refills over time up to its burst", () => {
  let time = 0;
  const limit = createRateLimit({ intervalSeconds: 1, burst: 2 }, () => time);
  const admitted = (): boolean[] => [limit.admit(), limit.admit(), limit.admit()];
  expect(admitted()).toEqual([true, true, false]);
  time = 1;
  expect(admitted()).toEqual([true, false, false]);
  time = 100;
  expect(admitted()).toEqual([true, true, false]);
});
