import { Value } from "@sinclair/typebox/value";
import { expectationOf } from "../../runtime/expectation.ts";
import { parseGoDuration } from "../web/rate-limit.ts";
import type { Flag } from "./definitions.ts";
import { flagError, type ParsedFlag } from "./kingpin.ts";

/** The values of a flag in the type of the configuration: a list for a repeatable flag. */
export function toConfigValue({ flag, values }: ParsedFlag<Flag>): unknown {
  const converted = values.map((text) => checked(flag, convert(flag, text), text));
  return flag.repeatable ? converted : converted[0];
}

function convert({ kind, name }: Flag, text: string): unknown {
  switch (kind) {
    case "boolean":
      return text === "true";
    case "string":
      return text;
    case "duration": {
      const seconds = parseGoDuration(text);
      if (seconds === undefined) throw flagError(`--${name}: ${JSON.stringify(text)} is not a duration such as 5s`);
      return seconds;
    }
    case "integer":
    case "number": {
      const number = text.trim() === "" ? Number.NaN : Number(text);
      if (Number.isNaN(number)) throw flagError(`--${name}: ${JSON.stringify(text)} is not a number`);
      // As kingpin does: 4.7 requests are 4.
      return kind === "integer" ? Math.trunc(number) : number;
    }
  }
}

function checked({ schema, name }: Flag, value: unknown, text: string): unknown {
  const problem = Value.Errors(schema, value).First();
  if (problem === undefined) return value;
  throw flagError(`--${name}: ${expectationOf(problem)}, found ${JSON.stringify(text)}`);
}
