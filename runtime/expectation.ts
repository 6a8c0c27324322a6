import type { TSchema } from "@sinclair/typebox";

/** What a value should have been, for people: "expected one of …", "expected a UUID". */
export function expectationOf({ schema, message }: { readonly schema: TSchema; readonly message: string }): string {
  const words: unknown = schema["expects"] ?? (schema["pattern"] === undefined ? undefined : schema.description);
  if (typeof words === "string") return `expected ${decapitalise(words.replace(/\.$/, ""))}`;
  const allowed = literalsOf(schema);
  return allowed === undefined ? decapitalise(message) : `expected one of ${allowed.join(", ")}`;
}

function literalsOf(schema: TSchema): string[] | undefined {
  const options = schema["anyOf"] as TSchema[] | undefined;
  if (options === undefined || !options.every((option) => "const" in option)) return undefined;
  return options.map((option) => JSON.stringify(option["const"]));
}

function decapitalise(text: string): string {
  return /^[A-Z]{2}/.test(text) ? text : text.charAt(0).toLowerCase() + text.slice(1);
}
