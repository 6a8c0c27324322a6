import { createHash } from "node:crypto";

/** Answers whether an Authorization header belongs to one of the users; `busy`: too many wait to be told. */
export interface BasicAuth {
  check(header: string | null): Promise<"right" | "wrong" | "busy">;
}

const bcryptForm = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
const cacheLimit = 100;
/** About three seconds of comparing at the usual cost of 10. */
const mostWaiting = 32;

/** The reason why `hash` cannot be used, or undefined. The hash itself is never repeated. */
export function bcryptProblem(hash: string): string | undefined {
  const cost = bcryptForm.exec(hash)?.[1];
  if (cost === undefined) return "not a bcrypt hash ($2a$, $2b$ or $2y$; make one with htpasswd -nBC 10 USER)";
  const rounds = Number(cost);
  return rounds < 4 || rounds > 31 ? `a bcrypt hash of cost ${rounds}, outside 4 to 31` : undefined;
}

/**
 * An unknown user costs what a wrong password costs: its password is compared with the first user's hash, and the
 * answer thrown away. bcrypt takes tens of milliseconds, so answers are remembered by a digest of (user, hash, password):
 * right ones apart from wrong ones, of which anybody can send enough to push the others out.
 */
export function createBasicAuth(
  users: Readonly<Record<string, string>>,
  compare: (password: string, hash: string) => Promise<boolean> = verifyBcrypt,
): BasicAuth {
  const [anyHash = ""] = Object.values(users);
  const right = new Set<string>();
  const wrong = new Set<string>();
  let queue: Promise<unknown> = Promise.resolve();
  let waiting = 0;

  const verify = async (name: string, password: string): ReturnType<BasicAuth["check"]> => {
    const known = Object.hasOwn(users, name);
    const hash = (known ? users[name] : undefined) ?? anyHash;
    const key = digest(name, hash, password);
    if (right.has(key)) return "right";
    if (wrong.has(key)) return "wrong";
    if (waiting >= mostWaiting) return "busy";
    // One at a time: a flood of wrong passwords must not take every core.
    waiting += 1;
    const turn = queue.then(() => compare(password, hash)).finally(() => (waiting -= 1));
    queue = turn.catch(() => false);
    const valid = (await turn) && known;
    const remembered = valid ? right : wrong;
    if (remembered.size >= cacheLimit) remembered.delete(remembered.values().next().value ?? "");
    remembered.add(key);
    return valid ? "right" : "wrong";
  };

  return {
    check: async (header) => {
      const credentials = parseBasic(header);
      return credentials === undefined ? "wrong" : verify(credentials.name, credentials.password);
    },
  };
}

function parseBasic(header: string | null): { name: string; password: string } | undefined {
  const encoded = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(header ?? "")?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

// bcrypt reads 72 bytes: Bun would digest a longer password first, while htpasswd and Go cut it.
function verifyBcrypt(password: string, hash: string): Promise<boolean> {
  return Bun.password.verify(Buffer.from(password).subarray(0, 72), hash, "bcrypt");
}

function digest(...parts: readonly string[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest("hex");
}
