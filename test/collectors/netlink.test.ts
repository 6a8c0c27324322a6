import { describe, expect, test } from "bun:test";
import { askNetlink, encodeAttribute, netlinkFamily, parseAttributes, parseNetlink } from "../../collectors/netlink.ts";

function message(type: number, payload: Buffer, { sequence = 1, flags = 0 } = {}): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + payload.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(flags, 6);
  header.writeUInt32LE(sequence, 8);
  return Buffer.concat([header, payload, Buffer.alloc((4 - (payload.length % 4)) % 4)]);
}

function status(code: number): Buffer {
  const payload = Buffer.alloc(20);
  payload.writeInt32LE(code, 0);
  return payload;
}

describe("parseNetlink", () => {
  test("messages up to the end of a dump", () => {
    const bytes = Buffer.concat([
      message(16, Buffer.from("abcde")),
      message(16, Buffer.from("stray"), { sequence: 7 }),
      message(3, status(0)),
    ]);
    const { messages, done, interrupted } = parseNetlink(bytes, 1);
    expect(messages.map(({ payload }) => payload.toString())).toEqual(["abcde"]);
    expect({ done, interrupted }).toEqual({ done: true, interrupted: false });
  });

  test("a dump that changed under way is marked", () => {
    expect(parseNetlink(message(16, Buffer.alloc(0), { flags: 0x10 }), 1).interrupted).toBe(true);
  });

  test.each([
    ["an error message", message(2, status(-1)), "errno 1"],
    ["an error at the end of a dump", message(3, status(-22)), "errno 22"],
    ["a length past the end", message(16, Buffer.alloc(8)).subarray(0, 20), "malformed"],
  ])("%s", (_, bytes, reason) => expect(() => parseNetlink(bytes, 1)).toThrow(reason));

  test("an acknowledgement ends a single answer", () => {
    expect(parseNetlink(message(2, status(0)), 1)).toMatchObject({ done: true, messages: [] });
  });
});

test("attributes: padded, nested flag off, a broken length ends the list", () => {
  const bytes = Buffer.concat([
    encodeAttribute(1, Buffer.from("abc")),
    encodeAttribute(0x8002, Buffer.from("d")),
    Buffer.from([200, 0, 3, 0]),
  ]);
  const attributes = parseAttributes(bytes);
  expect([...attributes.keys()]).toEqual([1, 2]);
  expect(attributes.get(1)?.toString()).toBe("abc");
});

test("the kernel refuses an unknown request with its errno", () => {
  const request = { family: netlinkFamily.route, type: 0x7ffe, payload: Buffer.alloc(16) };
  expect(() => askNetlink(request)).toThrow("errno 95");
});
