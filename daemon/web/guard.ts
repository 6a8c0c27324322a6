import { describeError, type Logger } from "../../runtime/log.ts";
import type { WebConfig, WebConfigSource } from "./web-config.ts";

export type Handler = (request: Request) => Response | Promise<Response>;

/** Puts the web configuration in front of every path: rate limit, then password, then the page with the headers. */
export function guard(handler: Handler, source: WebConfigSource, log: Logger): Handler {
  let reported: string | undefined;

  const currentConfig = (): WebConfig | undefined => {
    try {
      const config = source.current();
      if (reported !== undefined) log.info("web configuration is usable again");
      reported = undefined;
      return config;
    } catch (error) {
      const reason = String(describeError(error));
      if (reason !== reported) log.error("web configuration is broken, every request is refused", { error: reason });
      reported = reason;
      return undefined;
    }
  };

  return async (request) => {
    const config = currentConfig();
    if (config === undefined) return new Response("Internal Server Error\n", { status: 500 });
    const response = await answer(request, handler, config);
    for (const [name, value] of Object.entries(config.headers)) response.headers.set(name, value);
    return response;
  };
}

async function answer(request: Request, handler: Handler, { rateLimit, auth }: WebConfig): Promise<Response> {
  if (!rateLimit.admit()) return new Response("Too Many Requests\n", { status: 429 });
  if (auth === undefined || (await auth.check(request.headers.get("authorization")))) return handler(request);
  return new Response("Unauthorized\n", { status: 401, headers: { "www-authenticate": "Basic" } });
}
