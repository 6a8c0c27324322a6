import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startDaemonProcess } from "./running-daemon.ts";
import { createCertificates } from "./web/certificates.ts";
import { waitFor } from "../harness/wait.ts";
import { sharedFolder } from "../harness/workspace.ts";

const folder = sharedFolder();

function webConfig(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

const basic = (user: string, password: string): RequestInit => ({
  headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` },
});

describe("the web configuration file in front of the daemon", () => {
  test("passwords on every path, headers, and a change without a signal", async () => {
    const hash = await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 });
    const headers = "http_server_config: { headers: { X-Frame-Options: deny } }\n";
    const file = webConfig("passwords.yml", `basic_auth_users: { ann: "${hash}" }\n${headers}`);
    await using daemon = await startDaemonProcess(`--web.config.file=${file}`);
    for (const path of ["/", "/metrics", "/healthz", "/api/v1/status"]) {
      const refused = await daemon.get(path);
      expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([401, "Basic"]);
      expect((await daemon.get(path, basic("ann", "wrong"))).status).toBe(401);
      const answer = await daemon.get(path, basic("ann", "secret"));
      expect([answer.status, answer.headers.get("x-frame-options")]).toEqual([200, "deny"]);
    }
    writeFileSync(file, "basic_auth_users: {}\n# everybody may come in\n");
    const answers = (status: number) => async () => (await daemon.get("/metrics")).status === status;
    await waitFor("everybody to be let in", answers(200));
    writeFileSync(file, "basic_auth_user: {}\n# broken\n");
    await waitFor("the broken file to be seen", answers(500));
    await daemon.logged("web configuration is broken, every request is refused");
  });

  test("TLS that is switched on while running waits for a restart, and that is told once", async () => {
    using certificates = createCertificates();
    certificates.issue("server", "IP:127.0.0.1");
    const file = webConfig("later.yml", "http_server_config: { headers: { X-Frame-Options: deny } }\n");
    await using daemon = await startDaemonProcess(`--web.config.file=${file}`);
    const folder = certificates.folder;
    const tls = `tls_server_config: { cert_file: ${folder}/server.pem, key_file: ${folder}/server.key }\n`;
    writeFileSync(file, tls);
    const isSeen = async () => (await daemon.get("/healthz")).headers.get("x-frame-options") === null;
    await waitFor("the change to be seen", isSeen);
    const told = () => daemon.lines.filter(({ msg }) => msg === "tls is switched on and off by a restart only");
    expect(await daemon.logged("tls is switched on and off by a restart only")).toMatchObject({ level: "warn" });
    await daemon.get("/healthz");
    expect(told()).toHaveLength(1);
  });

  test("TLS", async () => {
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
    const made = Bun.spawnSync(
      [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-keyout",
        key,
        "-out",
        cert,
        ...subject,
      ],
      { stderr: "ignore" },
    );
    expect(made.exitCode).toBe(0);
    const file = webConfig("tls.yml", "tls_server_config: { cert_file: cert.pem, key_file: key.pem }\n");
    await using daemon = await startDaemonProcess(`--web.config.file=${file}`);
    const url = daemon.url.replace("http:", "https:");
    const response = await fetch(`${url}/metrics`, { tls: { ca: await Bun.file(cert).text() } });
    expect(await response.text()).toContain("node_load1 ");
    // A reload is for this machine, and over TLS too it is known who asks.
    for (const version of ["--http1.1", "--http2"]) {
      const reload = ["curl", "--silent", "--insecure", version, "--request", "POST", `${url}/-/reload`];
      expect(Bun.spawnSync(reload).stdout.toString()).toBe("configuration reloaded\n");
    }
    const { stdout } = Bun.spawnSync(["curl", "--silent", "--http0.9", `${daemon.url}/metrics`]);
    expect(stdout.toString()).toContain("Client sent an HTTP request to an HTTPS server.");
  });
});
