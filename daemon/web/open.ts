import { ExitCode, ExitError } from "../../runtime/exit.ts";
import type { Logger } from "../../runtime/log.ts";
import type { WebConfigSource } from "./web-config-source.ts";

/**
 * Undefined for no file. A web configuration that is broken at the start is a failure like a port in use, as with every
 * exporter.
 */
export async function openWebConfigFile(file: string, log: Logger): Promise<WebConfigSource | undefined> {
  if (file === "") return undefined;
  // Loaded only where it is wanted: it brings node:tls and node:crypto along.
  const { openWebConfigSource } = await import("./web-config-source.ts");
  const source = await openWebConfigSource(file, { log });
  try {
    source.current();
  } catch (error) {
    source.stop();
    if (error instanceof ExitError) throw new ExitError(ExitCode.failure, error.message, { cause: error });
    throw error;
  }
  return source;
}
