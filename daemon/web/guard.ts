import { describeError, type Logger } from "../../runtime/log.ts";
import { plainText } from "./plain-text.ts";
import type { WebConfig } from "./web-config.ts";
import type { WebConfigSource } from "./web-config-source.ts";

/** Who asks, as far as the way in tells: nothing for a Unix socket. Asked for only where it matters. */
export type ClientAddress = () => string | undefined;
export type Handler = (request: Request, client: ClientAddress) => Response | Promise<Response>;

/** Puts the web configuration in front of every path: rate limit, then password, then the page with the headers. */
export function guard(handler: Handler, source: WebConfigSource, log: Logger): Handler {
  let reported: string | undefined;
  // The listeners have been opened with TLS or without.
  const servesTls = source.current().tls !== undefined;
  let isTlsWaiting = false;

  const noteTls = ({ tls }: WebConfig): void => {
    const isWaiting = (tls !== undefined) !== servesTls;
    if (isWaiting && !isTlsWaiting) log.warn("tls is switched on and off by a restart only", { serves_tls: servesTls });
    isTlsWaiting = isWaiting;
  };

  const currentConfig = (): WebConfig | undefined => {
    try {
      const config = source.current();
      if (reported !== undefined) log.info("web configuration is usable again");
      reported = undefined;
      noteTls(config);
      return config;
    } catch (error) {
      const reason = String(describeError(error));
      if (reason !== reported) log.error("web configuration is broken, every request is refused", { error: reason });
      reported = reason;
      return undefined;
    }
  };

  return async (request, client) => {
    const config = currentConfig();
    if (config === undefined) return plainText(500, "Internal Server Error\n");
    const response = await answer({ request, client, handler, config });
    for (const [name, value] of Object.entries(config.headers)) response.headers.set(name, value);
    return response;
  };
}

interface Exchange {
  readonly request: Request;
  readonly client: ClientAddress;
  readonly handler: Handler;
  readonly config: WebConfig;
}

async function answer({ request, client, handler, config: { rateLimit, auth } }: Exchange): Promise<Response> {
  if (!rateLimit.admit()) return plainText(429, "Too Many Requests\n");
  const verdict = auth === undefined ? "right" : await auth.check(request.headers.get("authorization"));
  if (verdict === "right") return handler(request, client);
  if (verdict === "busy") return plainText(503, "Service Unavailable\n", { "retry-after": "1" });
  return plainText(401, "Unauthorized\n", { "www-authenticate": "Basic" });
}
