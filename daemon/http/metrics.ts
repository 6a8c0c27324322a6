import type { Logger } from "../../runtime/log.ts";
import { describeError } from "../../runtime/log.ts";
import type { HeapKeeper } from "../heap-keeper.ts";
import type { Instrumentation } from "../instrumentation.ts";
import type { ScrapeEngine } from "../scrape/engine.ts";
import { plainText } from "../web/plain-text.ts";
import { acceptsGzip, contentType, parseQuery } from "./negotiation.ts";

export interface MetricsSettings {
  readonly collectorTimeoutSeconds: number;
  readonly timeoutMarginSeconds: number;
  /** Collections at the same time, 0 for no limit; scrapes that share one count once. */
  readonly maxRequests: number;
}

export interface MetricsOptions {
  readonly engine: ScrapeEngine;
  readonly settings: MetricsSettings;
  readonly instrumentation: Instrumentation;
  /** Collectors that exist but are not enabled, for the error text. */
  readonly isKnownCollector: (name: string) => boolean;
  readonly heap: HeapKeeper;
  readonly log: Logger;
}

const shortestDeadlineMs = 100;

/** The page of metrics, with node_exporter's query parameters, limits and texts. */
export function createMetricsHandler(options: MetricsOptions): (request: Request, query: string) => Promise<Response> {
  const { engine, settings, instrumentation, log } = options;

  const respond = async (request: Request, query: string): Promise<Response> => {
    const selection = select(query, options);
    if (selection.refusal !== undefined) return plainText(400, selection.refusal);
    const deadlineMs = deadlineOf(request.headers.get("x-prometheus-scrape-timeout-seconds"), settings);
    const { maxRequests } = settings;
    if (maxRequests > 0 && engine.running() >= maxRequests && engine.startsCollection(selection.names, deadlineMs)) {
      return plainText(503, `Limit of concurrent requests reached (${maxRequests}), try again later.\n`);
    }
    const headers = { "content-type": contentType(request.headers.get("accept")), vary: "Accept-Encoding" };
    if (!acceptsGzip(request.headers.get("accept-encoding")))
      return new Response(await engine.scrape(selection.names, deadlineMs, "plain"), { headers });
    const page = await engine.scrape(selection.names, deadlineMs, "gzip");
    return new Response(page, { headers: { ...headers, "content-encoding": "gzip" } });
  };

  return async (request, query) => {
    instrumentation.requestsInFlight.inc();
    try {
      const response = await respond(request, query);
      instrumentation.requests.inc({ code: String(response.status) });
      return response;
    } catch (error) {
      instrumentation.requests.inc({ code: "500" });
      instrumentation.gatheringErrors.inc({ cause: "gathering" });
      log.error("metrics page could not be made", { error });
      return plainText(500, `An error has occurred while serving metrics:\n\n${String(describeError(error))}\n`);
    } finally {
      instrumentation.requestsInFlight.dec();
      options.heap.pageSent();
    }
  };
}

interface Selection {
  /** Undefined: every enabled collector. */
  readonly names: readonly string[] | undefined;
  readonly refusal: string | undefined;
}

function select(query: string, { engine, isKnownCollector }: MetricsOptions): Selection {
  if (query === "") return { names: undefined, refusal: undefined };
  const parameters = parseQuery(query);
  const collect = parameters.getAll("collect[]");
  const exclude = parameters.getAll("exclude[]");
  const enabled = engine.collectorNames;
  if (collect.length > 0 && exclude.length > 0) {
    return { names: [], refusal: "Combined collect and exclude queries are not allowed." };
  }
  const unknown = collect.find((name) => !enabled.includes(name));
  if (unknown !== undefined) {
    const why = isKnownCollector(unknown) ? "disabled" : "missing";
    const refusal = `Couldn't create filtered metrics handler: couldn't create collector: ${why} collector: ${unknown}`;
    return { names: [], refusal };
  }
  if (collect.length > 0) return { names: [...new Set(collect)], refusal: undefined };
  if (exclude.length > 0) return { names: enabled.filter((name) => !exclude.includes(name)), refusal: undefined };
  return { names: undefined, refusal: undefined };
}

function deadlineOf(header: string | null, { collectorTimeoutSeconds, timeoutMarginSeconds }: MetricsSettings): number {
  const announced = header === null ? Number.NaN : Number(header);
  const longest = collectorTimeoutSeconds * 1000;
  if (!(announced > 0)) return longest;
  return Math.max(shortestDeadlineMs, Math.min(longest, (announced - timeoutMarginSeconds) * 1000));
}
