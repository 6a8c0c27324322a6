import { stat } from "node:fs/promises";
import { isErrno } from "../../collectors/read.ts";
import type { Logger } from "../../runtime/log.ts";
import { readWebConfig, type WebConfig, type WebConfigReading } from "./web-config.ts";

/** Gives the configuration as the file said a moment ago; it, certificates, keys and CAs are looked at every second. */
export interface WebConfigSource {
  /** Throws an ExitError as long as the file is broken: nobody is let in by an old password. */
  current(): WebConfig;
  stop(): void;
}

export interface WebConfigSourceOptions {
  readonly log: Logger;
  readonly intervalMs?: number;
  /** A look that takes longer is told once. */
  readonly patienceMs?: number;
}

interface Seen {
  readonly reading: WebConfigReading;
  /** The files as they were before they were read. */
  readonly identities: string;
}

/**
 * Looks apart from any request, and never a second time while a look has not ended: a file system that hangs costs one
 * thread of the pool and leaves the last configuration in force.
 */
export async function openWebConfigSource(
  file: string,
  { log, intervalMs = 1000, patienceMs = 10_000 }: WebConfigSourceOptions,
): Promise<WebConfigSource> {
  let seen = await look(file, [file]);
  let startedAt: number | undefined;
  let isReported = false;

  const refresh = async () => {
    startedAt = performance.now();
    const { files } = seen.reading;
    if ((await identify(files)) !== seen.identities) seen = await look(file, files);
    if (isReported) log.info("web configuration can be read again", { file });
    startedAt = undefined;
    isReported = false;
  };
  const timer = setInterval(() => {
    if (startedAt === undefined) {
      void refresh();
      return;
    }
    if (isReported || performance.now() - startedAt < patienceMs) return;
    isReported = true;
    log.error("web configuration cannot be read, the last one stays in force", { file, reason: "the file hangs" });
  }, intervalMs);
  timer.unref();

  return {
    current: () => {
      const { config, error } = seen.reading;
      if (config === undefined) throw error ?? new Error("web configuration was not read");
      return config;
    },
    stop: () => clearInterval(timer),
  };
}

/** `files` are those of the reading before; where they are others now, their identities are taken once more. */
async function look(file: string, files: readonly string[]): Promise<Seen> {
  const before = await identify(files);
  const reading = await readWebConfig(file);
  const isSame = reading.files.join("\0") === files.join("\0");
  return isSame ? { reading, identities: before } : look(file, reading.files);
}

async function identify(files: readonly string[]): Promise<string> {
  const identities = await Promise.all(files.map(identityOf));
  return identities.join();
}

async function identityOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return "absent";
    return `unreadable: ${String(error)}`;
  }
}
