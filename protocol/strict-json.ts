export type JsonFault =
  | "json_encoding"
  | "json_syntax"
  | "json_depth"
  | "json_duplicate_key"
  | "json_forbidden_key"
  | "json_number"
  | "json_surrogate"
  | "json_trailing";

export class JsonError extends Error {
  readonly fault: JsonFault;
  /** Offset in characters (in bytes when the text is not UTF-8). */
  readonly offset: number;

  constructor(fault: JsonFault, offset: number, message: string) {
    super(message);
    this.name = "JsonError";
    this.fault = fault;
    this.offset = offset;
  }
}

export interface StrictJsonOptions {
  /** Levels of nesting; signed documents use 12. */
  readonly maxDepth?: number;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const numberOrWord = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)/y;
const forbiddenKeys = new Set(["__proto__", "constructor", "prototype"]);

/**
 * JSON that means the same to every reader. JSON.parse keeps the last of two equal keys and rounds large integers
 * silently, so a signed document could say one thing to a reviewer and another to a node.
 */
export function parseStrictJson(bytes: Uint8Array, { maxDepth = 12 }: StrictJsonOptions = {}): unknown {
  const reader = new Reader(decodeUtf8(bytes), maxDepth);
  const value = reader.value(0);
  reader.end();
  return value;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new JsonError("json_encoding", 0, "the text is not UTF-8");
  }
}

class Reader {
  private position = 0;
  private readonly text: string;
  private readonly maxDepth: number;

  constructor(text: string, maxDepth: number) {
    this.text = text;
    this.maxDepth = maxDepth;
  }

  value(depth: number): unknown {
    if (depth > this.maxDepth) this.fail("json_depth", `more than ${this.maxDepth} levels of nesting`);
    this.skipSpace();
    const first = this.text[this.position];
    if (first === "{") return this.object(depth);
    if (first === "[") return this.array(depth);
    return first === '"' ? this.string() : this.scalar();
  }

  end(): void {
    this.skipSpace();
    if (this.position !== this.text.length) this.fail("json_trailing", "unexpected text after the JSON value");
  }

  private object(depth: number): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    this.position++;
    if (this.closes("}")) return result;
    for (;;) {
      this.skipSpace();
      const key = this.text[this.position] === '"' ? this.string() : this.syntax();
      if (forbiddenKeys.has(key)) this.fail("json_forbidden_key", `the key ${JSON.stringify(key)} is not allowed`);
      if (Object.hasOwn(result, key)) this.fail("json_duplicate_key", `the key ${JSON.stringify(key)} appears twice`);
      this.skipSpace();
      if (this.text[this.position++] !== ":") this.syntax();
      result[key] = this.value(depth + 1);
      if (this.closes("}")) return result;
      this.comma();
    }
  }

  private array(depth: number): unknown[] {
    const result: unknown[] = [];
    this.position++;
    if (this.closes("]")) return result;
    for (;;) {
      result.push(this.value(depth + 1));
      if (this.closes("]")) return result;
      this.comma();
    }
  }

  private string(): string {
    const start = this.position++;
    for (; this.text[this.position] !== '"'; this.position++) {
      if (this.position >= this.text.length) this.syntax();
      if (this.text[this.position] === "\\") this.position++;
    }
    this.position++;
    const value = this.native(start);
    if (typeof value !== "string") return this.syntax();
    if (!value.isWellFormed()) this.fail("json_surrogate", "a string holds half of a surrogate pair");
    return value;
  }

  private scalar(): unknown {
    const start = this.position;
    numberOrWord.lastIndex = start;
    const match = numberOrWord.exec(this.text);
    if (match === null) return this.syntax();
    this.position += match[0].length;
    const value = this.native(start);
    if (typeof value === "number" && !isExact(value)) this.fail("json_number", `${match[0]} cannot be held exactly`);
    return value;
  }

  private native(start: number): unknown {
    try {
      return JSON.parse(this.text.slice(start, this.position));
    } catch {
      return this.syntax();
    }
  }

  private closes(bracket: string): boolean {
    this.skipSpace();
    if (this.text[this.position] !== bracket) return false;
    this.position++;
    return true;
  }

  private comma(): void {
    if (this.text[this.position++] !== ",") this.syntax();
  }

  private skipSpace(): void {
    while (" \t\r\n".includes(this.text[this.position] ?? "x")) this.position++;
  }

  private syntax(): never {
    return this.fail("json_syntax", `malformed JSON near character ${this.position}`);
  }

  private fail(fault: JsonFault, message: string): never {
    throw new JsonError(fault, this.position, message);
  }
}

function isExact(value: number): boolean {
  return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
}
