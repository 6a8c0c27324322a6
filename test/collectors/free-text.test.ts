import { expect, test } from "bun:test";
import { decodeFreeText } from "../../collectors/free-text.ts";

test.each([
  ["plain", "706c61696e", "plain"],
  ["a run of invalid bytes is one mark", "47fffe31", "G\uFFFD1"],
  ["a cut-off character", "47e28231", "G\uFFFD1"],
  ["valid marks stay as many as they are", "efbfbdefbfbd", "\uFFFD\uFFFD"],
  ["invalid beside valid", "ffefbfbdc3a9ff", "\uFFFD\uFFFDé\uFFFD"],
  ["overlong and surrogate", "c080eda08031", "\uFFFD1"],
  ["four bytes", "f09f9880", "😀"],
])("%s", (_, hex, text) => {
  expect(decodeFreeText(Buffer.from(hex, "hex"))).toBe(text);
});
