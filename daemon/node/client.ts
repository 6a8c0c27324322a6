import { signNodeRequest } from "../../protocol/proof.ts";
import type { Identity, Registration } from "./identity.ts";
import { type Answer, toRefusal, type Transport, type TransportRequest } from "./transport.ts";

/** Requests of a registered node, each with its own short-lived proof. Throws TransportError or RefusedError. */
export interface NodeClient {
  request(request: TransportRequest): Promise<Answer>;
}

// The server accepts five minutes either way; below this a node signs with its own clock.
const toleratedSkewMs = 60_000;

export function createNodeClient(options: {
  readonly identity: Identity;
  readonly registration: Registration;
  readonly transport: Transport;
  readonly now: () => number;
}): NodeClient {
  const { identity, registration, transport, now } = options;

  const send = async (request: TransportRequest): Promise<Answer> => {
    const { method, path, body = "" } = request;
    const skewMs = transport.clockSkewMs ?? 0;
    const proof = await signNodeRequest({
      method,
      path,
      body,
      nodeId: registration.nodeId,
      audience: registration.fleet,
      key: identity.key,
      nowMs: now() + (Math.abs(skewMs) > toleratedSkewMs ? skewMs : 0),
    });
    return transport.request({ ...request, headers: { ...request.headers, authorization: `Bearer ${proof}` } });
  };

  return {
    async request(request) {
      const answer = await send(request);
      if (answer.status < 400) return answer;
      const refusal = toRefusal(answer, now());
      if (refusal.code !== "CLOCK_SKEW") throw refusal;
      transport.correctClock(refusal);
      const second = await send(request);
      if (second.status >= 400) throw toRefusal(second, now());
      return second;
    },
  };
}
