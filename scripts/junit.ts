export interface TestFailure {
  readonly name: string;
  /** The error's message, differences, causes and places, as far as the runner told them. */
  readonly reason: string;
}

export interface TestCounts {
  readonly passed: number;
  readonly failed: readonly TestFailure[];
  readonly skipped: readonly string[];
  /** Test files that the report names; one that could not even be loaded is not among them. */
  readonly files: ReadonlySet<string>;
}

/** Counts the cases of a JUnit report as `bun test --reporter=junit` writes it. */
export function parseJunit(xml: string): TestCounts {
  const skipped: string[] = [];
  const files = new Set<string>();
  let passed = 0;
  const failed: TestFailure[] = [];
  for (const [, attributes = "", closed, body = ""] of xml.matchAll(caseElement)) {
    const file = attribute(attributes, "file");
    const name = `${file}: ${attribute(attributes, "name")}`;
    files.add(file);
    if (closed === "/") passed += 1;
    else if (body.includes("<skipped")) skipped.push(name);
    else if (/<(failure|error)/.test(body)) failed.push({ name, reason: failureIn(body) });
    else passed += 1;
  }
  return { passed, failed, skipped, files };
}

// Attribute values are escaped, so a quoted value never contains a quote of its own.
const caseElement = /<testcase((?:\s+[\w-]+="[^"]*")*)\s*(?:(\/)>|>([\s\S]*?)<\/testcase>)/g;

function failureIn(body: string): string {
  const [, attributes = "", text = ""] = failureElement.exec(body) ?? [];
  return (unescape(text) || attribute(attributes, "message")).trim();
}

const failureElement = /<(?:failure|error)((?:\s+[\w-]+="[^"]*")*)\s*(?:\/>|>([\s\S]*?)<\/)/;

function attribute(attributes: string, name: string): string {
  return unescape(new RegExp(`\\s${name}="([^"]*)"`).exec(attributes)?.[1] ?? "");
}

function unescape(text: string): string {
  return text.replace(/&(quot|apos|lt|gt|amp|#10);/g, (entity) => entities[entity] ?? entity);
}

const entities: Readonly<Record<string, string>> = {
  "&quot;": '"',
  "&apos;": "'",
  "&lt;": "<",
  "&gt;": ">",
  "&amp;": "&",
  "&#10;": "\n",
};
