import { ExitCode, ExitError } from "../../runtime/exit.ts";
import type { WebConfigSource } from "./web-config.ts";

/**
 * Undefined for no file. A web configuration that is broken at the start is a failure like a port in use, as with every
 * exporter.
 */
export async function openWebConfigFile(file: string): Promise<WebConfigSource | undefined> {
  if (file === "") return undefined;
  // Loaded only where it is wanted: it brings node:tls and node:crypto along.
  const { createWebConfigSource } = await import("./web-config.ts");
  const source = createWebConfigSource(file);
  try {
    source.current();
  } catch (error) {
    if (error instanceof ExitError) throw new ExitError(ExitCode.failure, error.message, { cause: error });
    throw error;
  }
  return source;
}
