import { readFileSync } from "node:fs";
import type { Host } from "./host.ts";
import { readAttribute } from "./read.ts";

/** A character of more than one byte (RFC 3629, section 4), its bytes as Latin-1. */
const wide =
  "[\\xc2-\\xdf][\\x80-\\xbf]|\\xe0[\\xa0-\\xbf][\\x80-\\xbf]|[\\xe1-\\xec\\xee\\xef][\\x80-\\xbf]{2}|\\xed[\\x80-\\x9f][\\x80-\\xbf]|" +
  "\\xf0[\\x90-\\xbf][\\x80-\\xbf]{2}|[\\xf1-\\xf3][\\x80-\\xbf]{3}|\\xf4[\\x80-\\x8f][\\x80-\\xbf]{2}";
const wideOrInvalid = new RegExp(`(${wide})|(?:(?!${wide})[\\x80-\\xff])+`, "g");
const replacement = "\xef\xbf\xbd";

/** An attribute that firmware or a driver filled in, bytes that are no UTF-8 included. */
export function readFreeText(host: Host, path: string): string | undefined {
  const text = readAttribute(host, path);
  return text?.includes("\uFFFD") ? decodeFreeText(readFileSync(path)).trimEnd() : text;
}

/** A run of bytes that are not UTF-8 becomes one U+FFFD, as in node_exporter, so that label values stay the same. */
export function decodeFreeText(bytes: Buffer): string {
  const valid = bytes.toString("latin1").replace(wideOrInvalid, (_, character?: string) => character ?? replacement);
  return Buffer.from(valid, "latin1").toString("utf8");
}
