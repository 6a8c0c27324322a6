import { equalHashes, hashCredential, kindOfCredential } from "../protocol/bootstrap-token.ts";
import { ForbiddenError, UnauthorizedError } from "../protocol/errors.ts";
import { type ReplayMemory, verifyNodeRequest } from "../protocol/proof.ts";
import type { Nodes } from "./nodes.ts";
import { accessOf, mayUse, type Role } from "./roles.ts";
import type { Store } from "./store/store.ts";

export type Principal =
  | { readonly kind: "anonymous" }
  | { readonly kind: "admin"; readonly tokenId: string; readonly name: string; readonly role: Role }
  | { readonly kind: "node"; readonly nodeId: string };

export interface AuthOptions {
  readonly store: Pick<Store, "adminTokens">;
  readonly nodes: Nodes;
  readonly fleet: string;
  readonly replay: ReplayMemory;
  readonly now: () => number;
}

/** Decides by the one table in roles.ts. */
export interface Auth {
  /** A node's proof covers its body; everyone else is known by the header alone. */
  needsBody(request: Request): boolean;
  /** Throws UnauthorizedError or CredentialError. What needs no credential is anonymous, whatever it carries. */
  identify(request: Request, body: Uint8Array): Promise<Principal>;
  /** Throws ForbiddenError. */
  assertAllowed(principal: Principal, request: Request): void;
}

export function createAuth({ store, nodes, fleet, replay, now }: AuthOptions): Auth {
  const admin = async (token: string): Promise<Principal> => {
    const hash = hashCredential(token);
    const known = await store.adminTokens.findByHash(hash);
    if (known === undefined || !equalHashes(known.hash, hash))
      throw new UnauthorizedError("UNAUTHORIZED", "no such token: it was mistyped, or made by another server");
    if (known.revoked_at !== undefined) throw new UnauthorizedError("UNAUTHORIZED", "the token was revoked");
    if (known.expires_at !== undefined && known.expires_at <= now())
      throw new UnauthorizedError("UNAUTHORIZED", "the token has expired");
    return { kind: "admin", tokenId: known.id, name: known.name, role: known.role };
  };
  const node = async (token: string, request: Request, body: Uint8Array): Promise<Principal> => {
    const { pathname, search } = new URL(request.url);
    const binding = { method: request.method, path: pathname + search, body };
    const publicKeyOf = async (id: string) => (await nodes.get(id))?.publicKey;
    const { nodeId } = await verifyNodeRequest(token, binding, { audience: fleet, nowMs: now(), replay, publicKeyOf });
    return { kind: "node", nodeId };
  };

  return {
    needsBody: (request) => {
      const token = bearer(request);
      return token !== undefined && kindOfCredential(token) === "proof";
    },
    identify: async (request, body) => {
      if (accessTo(request) === "public") return { kind: "anonymous" };
      const token = bearer(request);
      if (token === undefined)
        throw new UnauthorizedError("UNAUTHORIZED", "an Authorization header with a bearer token is needed");
      switch (kindOfCredential(token)) {
        case "token":
          return admin(token);
        case "proof":
          return node(token, request, body);
        case "bootstrap":
          throw new UnauthorizedError("UNAUTHORIZED", "a bootstrap token only registers nodes; give a token of a role");
        case "malformed":
          throw new UnauthorizedError("UNAUTHORIZED", "the bearer token is cut off or mistyped");
      }
    },
    assertAllowed: (principal, request) => {
      const access = accessTo(request);
      if (access === "public") return;
      if (principal.kind === "node") {
        if (access === "node" || access === "node or viewer") return;
        throw new ForbiddenError("a node may not do this");
      }
      if (principal.kind === "admin" && access !== undefined && mayUse(principal.role, access)) return;
      throw new ForbiddenError("the role of this token does not allow this");
    },
  };
}

const accessTo = (request: Request) => accessOf(request.method, new URL(request.url).pathname);

function bearer(request: Request): string | undefined {
  return /^Bearer ([\x21-\x7e]{1,8192})$/i.exec(request.headers.get("authorization") ?? "")?.[1];
}
