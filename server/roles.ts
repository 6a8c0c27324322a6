/** From most to least: each role may do all that the roles behind it may. */
export const roles = ["admin", "operator", "viewer", "discovery"] as const;
export type Role = (typeof roles)[number];

export type Access =
  /** Anyone: the request carries its own secret or there is nothing to protect. */
  | "public"
  /** A node's own key. */
  | "node"
  /** A node for itself, or whoever may read. */
  | "node or viewer"
  | Role;

const admits: Record<Role, readonly Role[]> = {
  admin: ["admin"],
  operator: ["admin", "operator"],
  viewer: ["admin", "operator", "viewer"],
  discovery: roles,
};

export function mayUse(role: Role, access: Access): boolean {
  if (access === "public") return true;
  if (access === "node") return false;
  return admits[access === "node or viewer" ? "viewer" : access].includes(role);
}

// First match wins; a path that matches nothing is refused, so a new route cannot be open by accident.
const table: readonly (readonly [methods: string, path: RegExp, access: Access])[] = [
  ["GET HEAD", /^\/(?:api\/v1\/)?health(?:\/(?:ready|live))?$/, "public"],
  ["GET HEAD", /^(?:\/docs(?:\/json)?)?$/, "public"],
  ["POST", /^\/api\/v1\/bootstrap(?:-tokens)?\/(?:register|validate)$/, "public"],
  ["POST", /^\/api\/v1\/bootstrap\/tokens\/validate$/, "public"],
  ["GET HEAD POST DELETE", /^\/api\/v1\/nodes\/self(?:\/.*)?$/, "node"],
  ["GET HEAD", /^\/api\/v1\/blobs\/.+$/, "node or viewer"],
  ["GET HEAD", /^\/api\/v1\/checks\/.+$/, "node or viewer"],
  ["GET HEAD", /^\/(?:metrics|api\/v1\/sd\/.+)$/, "discovery"],
  ["GET HEAD POST DELETE", /^\/api\/v1\/(?:admin-tokens|audit)(?:\/.*)?$/, "admin"],
  ["POST", /^\/api\/v1\/[a-z/-]+\/purge$/, "admin"],
  ["GET HEAD", /^\/api\/v1\/.+$/, "viewer"],
  [
    "POST PUT PATCH DELETE",
    /^\/api\/v1\/(?:namespaces|groups|targets|bootstrap-tokens|bootstrap\/tokens|script-templates|script-policies)(?:\/.*)?$/,
    "operator",
  ],
];

export function accessOf(method: string, path: string): Access | undefined {
  // The router takes a path with a slash at its end for the same route.
  const route = path.replace(/\/+$/, "");
  return table.find(([methods, pattern]) => methods.split(" ").includes(method) && pattern.test(route))?.[2];
}
