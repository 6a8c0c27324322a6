import { readFileSync } from "node:fs";
import type { ErrorBody } from "../../protocol/errors.ts";

/** The control server's REST API with an admin token. */
export interface ControlApi {
  readonly url: string;
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: unknown): Promise<T>;
  put<T>(path: string, body: unknown): Promise<T>;
}

/** The server refused; the message carries its code and its own words. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly status: number;
  readonly code: string;

  constructor(request: string, status: number, { error }: ErrorBody) {
    super(`${request} was refused with ${status} ${error.code}: ${error.message}`);
    this.status = status;
    this.code = error.code;
  }
}

export function createControlApi(url: string, tokenFile: string): ControlApi {
  const send = async <T>(method: "GET" | "POST" | "PUT", path: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${readFileSync(tokenFile, "utf8").trim()}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok)
      throw new RefusedError(`${method} ${path}`, response.status, (await response.json()) as ErrorBody);
    return (response.status === 204 ? undefined : await response.json()) as T;
  };
  return {
    url,
    get: (path) => send("GET", path),
    post: (path, body) => send("POST", path, body),
    put: (path, body) => send("PUT", path, body),
  };
}
