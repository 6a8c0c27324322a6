import { Type as t } from "@sinclair/typebox";
import { type AnyElysia, Elysia } from "elysia";
import { describeError } from "../../runtime/log.ts";
import { buildInfo } from "../../runtime/version.ts";
import type { Services } from "../context.ts";
import { operation, Time } from "../http/operation.ts";

const State = t.Union([t.Literal("healthy"), t.Literal("unhealthy")]);
const Health = t.Object(
  {
    status: State,
    timestamp: Time,
    version: t.String(),
    uptime_seconds: t.Integer(),
    components: t.Object({ database: t.Object({ status: State }) }),
  },
  { title: "Health" },
);
const ready = operation("Does the server answer, and its database?", { 200: Health, 503: Health });
const live = operation("Does the process answer?", { 200: t.Object({ status: State }) });

/** `/health` and `/api/v1/health` judge the store too; `live` only says that the process answers. */
export function healthRoutes({ store, log, now, startedAtMs }: Services): AnyElysia {
  const report = async (set: { status?: number | string }) => {
    const database = await probe(store.ping(), log.warn);
    set.status = database === "healthy" ? 200 : 503;
    return {
      status: database,
      timestamp: new Date(now()).toISOString(),
      version: buildInfo.version,
      uptime_seconds: Math.round((now() - startedAtMs) / 1000),
      components: { database: { status: database } },
    };
  };
  const paths = ["/health", "/health/ready", "/api/v1/health", "/api/v1/health/ready"] as const;
  const routes = new Elysia({ tags: ["health"] });
  for (const path of paths) routes.get(path, ({ set }) => report(set), { detail: ready });
  for (const path of ["/health/live", "/api/v1/health/live"] as const)
    routes.get(path, () => ({ status: "healthy" }), { detail: live });
  return routes;
}

async function probe(
  ping: Promise<void>,
  warn: (message: string, fields: Record<string, unknown>) => void,
): Promise<"healthy" | "unhealthy"> {
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(() => timeout.reject(new Error("no answer within 2 s")), 2_000);
  try {
    await Promise.race([ping, timeout.promise]);
    return "healthy";
  } catch (error) {
    warn("the store does not answer", { error: describeError(error) });
    return "unhealthy";
  } finally {
    clearTimeout(timer);
  }
}
