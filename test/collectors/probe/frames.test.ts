import { describe, expect, test } from "bun:test";
import { createFrameReader, encodeFrame, FrameError } from "../../../collectors/probe/frames.ts";

const small = { headerBytes: 100, payloadBytes: 1000 };

describe("frames", () => {
  test.each([1, 2, 3, 7, 64, 10_000])(
    "arrive whole in chunks of %d bytes, from a buffer that is filled again",
    (size) => {
      const payload = Buffer.from("a\nü".repeat(50));
      const stream = Buffer.concat([
        encodeFrame({ event: "begin", id: 1 }),
        encodeFrame({ event: "done", id: 1 }, payload),
        encodeFrame({ event: "begin", id: 2 }),
      ]);
      const push = createFrameReader(small);
      const shared = new Uint8Array(size);
      const frames = [];
      for (let at = 0; at < stream.length; at += size) {
        const part = stream.subarray(at, at + size);
        shared.set(part);
        frames.push(...push(shared.subarray(0, part.length)));
      }
      expect(frames.map(({ header }) => header)).toEqual([
        { event: "begin", id: 1 },
        { event: "done", id: 1, bytes: payload.length },
        { event: "begin", id: 2 },
      ]);
      expect(Buffer.from(frames[1]?.payload ?? []).toString()).toBe(payload.toString());
    },
  );

  test.each([
    ["no JSON", "nonsense\n"],
    ["no object", "1\n"],
    ["no event", "{}\n"],
    ["a negative length", '{"event":"done","bytes":-1}\n'],
    ["a length that is no number", '{"event":"done","bytes":"9"}\n'],
    ["a payload past the limit", '{"event":"done","bytes":1001}\n'],
    ["a header past the limit", `{"event":"${"x".repeat(200)}"}\n`],
    ["a header without end", "x".repeat(200)],
  ])("refuses %s", (_, text) => {
    expect(() => createFrameReader(small)(Buffer.from(text))).toThrow(FrameError);
  });
});
