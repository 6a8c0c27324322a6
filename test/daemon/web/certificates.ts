import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder with a CA and certificates that it signed, made by openssl for one test run. */
export interface TestCertificates extends Disposable {
  readonly folder: string;
  read(file: string): string;
  /** NAME.pem and NAME.key for the given subjectAltName. */
  issue(name: string, subjectAltName: string): void;
}

export function createCertificates(): TestCertificates {
  const folder = mkdtempSync(join(tmpdir(), "aami-tls-"));
  const openssl = (...args: string[]): void => {
    const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { cwd: folder, stdout: "ignore", stderr: "pipe" });
    if (exitCode !== 0) throw new Error(`openssl ${args[0]}: ${stderr.toString()}`);
  };
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test CA");
  return {
    folder,
    read: (file) => readFileSync(join(folder, file), "utf8"),
    issue: (name, subjectAltName) => {
      openssl("req", ...curve, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
      writeFileSync(join(folder, `${name}.ext`), `subjectAltName=${subjectAltName}\n`);
      const signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", `${name}.ext`];
      openssl("x509", "-req", "-in", `${name}.csr`, "-out", `${name}.pem`, ...signed);
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}
