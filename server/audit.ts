import type { Caller, Change } from "./context.ts";
import type { AuditEntry } from "./store/audit.ts";

export function toAuditEntry({ principal, address }: Caller, change: Change, result: string, atMs: number): AuditEntry {
  return {
    id: Bun.randomUUIDv7(),
    at: atMs,
    actor: actorOf(principal),
    actor_role: principal.kind === "admin" ? principal.role : principal.kind,
    address,
    action: change.action,
    ...(change.resourceId === undefined ? {} : { resource_id: change.resourceId }),
    result,
    details: change.details ?? {},
  };
}

function actorOf(principal: Caller["principal"]): string {
  if (principal.kind === "admin") return `admin:${principal.name}:${principal.tokenId}`;
  return principal.kind === "node" ? `node:${principal.nodeId}` : "anonymous";
}
