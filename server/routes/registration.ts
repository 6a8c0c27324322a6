import { type AnyElysia, Elysia } from "elysia";
import { parseBootstrapToken } from "../../protocol/bootstrap-token.ts";
import { AppError } from "../../protocol/errors.ts";
import { RegistrationAnswer, RegistrationRequest } from "../../protocol/registration.ts";
import type { Services } from "../context.ts";
import { operation } from "../http/operation.ts";

export function registrationRoutes(services: Services): AnyElysia {
  const routes = new Elysia({ tags: ["registration"], normalize: false });
  for (const path of ["/api/v1/bootstrap/register", "/api/v1/bootstrap-tokens/register"] as const) {
    routes.post(
      path,
      async ({ request, body, set }) => {
        const answer = await limited(services, request, body);
        set.status = answer.created ? 201 : 200;
        return answer;
      },
      {
        body: RegistrationRequest,
        detail: operation("Register a node: 201 makes a record, 200 knows it already", {
          200: RegistrationAnswer,
          201: RegistrationAnswer,
        }),
      },
    );
  }
  return routes;
}

/** Floods end before any query; failures have a bucket of their own per address and token. */
async function limited(services: Services, request: Request, body: RegistrationRequest): Promise<RegistrationAnswer> {
  const { registration, registrationLimit, refusals } = services;
  const caller = services.callerOf(request);
  const suspect = `${caller.address} ${parseBootstrapToken(body.token).id ?? ""}`;
  registrationLimit.attempts.take(caller.address);
  registrationLimit.failures.check(suspect);
  try {
    return await registration.register(body, caller);
  } catch (error) {
    if (!(error instanceof AppError) || error.status === 400) throw error;
    registrationLimit.failures.take(suspect);
    const change = {
      action: "node.register",
      details: { hostname: body.hostname, token: parseBootstrapToken(body.token).id ?? "chosen by an admin" },
    };
    await refusals.record(caller, change, error.code);
    throw error;
  }
}
