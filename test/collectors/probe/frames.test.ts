import { describe, expect, test } from "bun:test";
import {
  createFrameReader,
  createFrameWriter,
  type Frame,
  FrameError,
  type OutgoingFrame,
} from "../../../collectors/probe/frames.ts";

const small = { headerBytes: 150, payloadBytes: 1000 };

function encode(...frames: readonly OutgoingFrame[]): Buffer {
  const written: Buffer[] = [];
  const write = createFrameWriter((bytes, length) => void written.push(Buffer.from(bytes.subarray(0, length))));
  for (const frame of frames) write(frame);
  return Buffer.concat(written);
}

describe("frames", () => {
  test.each([1, 2, 3, 7, 64, 10_000])(
    "arrive whole in chunks of %d bytes, from a buffer that is filled again",
    (size) => {
      const payload = Buffer.from("a\nü".repeat(50));
      const nothing = Buffer.alloc(0);
      const frames: Frame[] = [
        { event: "ready" },
        { event: "step", id: 1, step: "öpen\n2" },
        { event: "done", results: [{ id: 1, header: { x: "ü" }, payload }] },
        { event: "step", id: 120, step: "" },
        {
          event: "done",
          results: [
            { id: 119, header: { n: [1] }, payload: Buffer.from("ä") },
            { id: 120, error: 'no "ü"' },
            { id: 121, header: {}, payload: nothing },
            { id: 122, header: {}, payload },
          ],
        },
        { event: "yield" },
        { event: "ready" },
      ];
      const stream = encode(...frames);
      const push = createFrameReader(small);
      const shared = Buffer.alloc(size);
      const arrived: Frame[] = [];
      for (let at = 0; at < stream.length; at += size) {
        const length = stream.copy(shared, 0, at, at + size);
        arrived.push(...push(shared.subarray(0, length)));
      }
      expect(arrived).toEqual(frames);
    },
  );

  test.each([0, 10, 100_000, 1_000_000])("a text of %d letters is a payload like its bytes", (letters) => {
    const text = "ü".repeat(letters);
    const [frame] = createFrameReader()(encode({ event: "done", results: [{ id: 1, header: {}, payload: text }] }));
    const result = frame?.event === "done" ? frame.results[0] : undefined;
    expect(result !== undefined && "payload" in result && Buffer.from(result.payload).toString() === text).toBe(true);
  });

  test.each([
    ["an unknown event", "nonsense 1\n"],
    ["no event", "\n"],
    ["a step of nothing", "step\n"],
    ["an id that is no number", 'step x "open"\n'],
    ["a negative id", 'step -1 "open"\n'],
    ["a step that is no JSON", "step 1 open\n"],
    ["results that are no JSON", "done 0 {\n"],
    ["results that are no list", "done 0 1\n"],
    ["a result without an id", 'done 0 [["x","y"]]\n'],
    ["a result without a header", "done 0 [[1,null,0]]\n"],
    ["a result with a negative length", "done 0 [[1,{},-1]]\n"],
    ["lengths that do not add up", "done 3 [[1,{},1],[2,{},1]]\nabc"],
    ["a negative length", "done -1 []\n"],
    ["a length that is no number", "done x []\n"],
    ["a payload past the limit", "done 1001 [[1,{},1001]]\n"],
    ["a header past the limit", `done 0 [[1,"${"x".repeat(200)}"]]\n`],
    ["a header without end", "x".repeat(200)],
  ])("refuses %s", (_, text) => {
    expect(() => createFrameReader(small)(Buffer.from(text))).toThrow(FrameError);
  });
});
