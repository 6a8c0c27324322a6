import { describe, expect, test } from "bun:test";
import { parseTextFormat } from "../../collectors/text-parser.ts";

const parse = (text: string) => parseTextFormat(Buffer.from(text));
const plain = (text: string) => parse(text).flatMap(({ plain: metrics }) => metrics);

describe("accepted", () => {
  test.each([
    ["blanks around", "\t x \t 1\n", {}, 1],
    ["an empty label block", "x{} 1\n", {}, 1],
    ["a trailing comma, blanks in the block", 'x{ a = "b" , } 1\n', { a: "b" }, 1],
    ["no blank before the value", 'x{a="b"}1\n', { a: "b" }, 1],
    ["escapes, braces and commas in a value", 'x{a="\\\\ \\" \\n },"} 1\n', { a: '\\ " \n },' }, 1],
    ["a value that ends in a backslash", 'x{a="\\\\"} 1\n', { a: "\\" }, 1],
    ["a label named like an object's property", 'x{constructor="y"} 1\n', { constructor: "y" }, 1],
    ["infinity in words", "x -Infinity\n", {}, -Infinity],
    ["nan", "x nan\n", {}, Number.NaN],
    ["exponents", "x +1.5E+3\n", {}, 1500],
    ["points at the ends", "x .5\n", {}, 0.5],
    ["nothing but blanks after the last newline", "x 1\n  ", {}, 1],
  ])("%s", (_, text, labels, value) => {
    expect(plain(text)).toEqual([{ labels, value }]);
  });

  test.each([
    ["comments and an end mark", "# free text\n#\nx 1\n# EOF\n"],
    ["HELP and TYPE without a name or a text", "# HELP\n# HELP \n# TYPE x\nx 1\n"],
  ])("%s", (_, text) => expect(parse(text)).toMatchObject([{ name: "x", type: "untyped", help: undefined }]));

  test("HELP after the samples, TYPE before, in any case", () => {
    const text = "# TYPE x Counter\nx 1\n#HELP x a\\nb\\\\c\n";
    expect(parse(text)).toMatchObject([{ name: "x", type: "counter", help: "a\nb\\c" }]);
  });

  test("in a remark and in a HELP text bytes that are not UTF-8, which cost themselves", () => {
    const text = "# gr\xfc\xdfe\n# HELP x gr\xfc\xdfe\nx 1\n";
    expect(parseTextFormat(Buffer.from(text, "latin1"))).toMatchObject([{ name: "x", help: "gr\ufffd\ufffde" }]);
  });

  test("a family without samples is left out, an empty file is empty", () => {
    expect(parse("# TYPE x gauge\n# HELP x y\n")).toEqual([]);
    expect(parse("")).toEqual([]);
  });

  test("the parts of histograms and summaries belong to them, elsewhere they are names like others", () => {
    const text =
      '# TYPE h histogram\nh_bucket{le="1",a="b"} 1\nh_bucket{le="+Inf",a="b"} 2\nh_sum{a="b"} 3.5\nh_count{a="b"} 2\n' +
      '# TYPE s summary\ns{quantile="0.5"} 7\ns_sum 8\ns_count 9\ns_bucket 1\nother_sum 4\n';
    const families = parse(text);
    expect(families.map(({ name }) => name)).toEqual(["h", "s", "s_bucket", "other_sum"]);
    expect([...(families[0]?.compound.values() ?? [])]).toEqual([
      { labels: { a: "b" }, parts: new Map([[1, 1], [Infinity, 2]]), sum: 3.5, count: 2 }, // prettier-ignore
    ]);
    expect([...(families[1]?.compound.values() ?? [])]).toEqual([
      { labels: {}, parts: new Map([[0.5, 7]]), sum: 8, count: 9 },
    ]);
  });
});

describe("refused", () => {
  test.each([
    ["no newline at the end", "x 1", "no newline"],
    ["no newline after a comment", "x 1\n# EOF", "no newline"],
    ["a timestamp", "x 1 1395066363000\n", "timestamps"],
    ["a blank at the end", "x 1 \n", "unexpected text"],
    ["an exemplar", "x 1 # {}\n", "unexpected text"],
    ["no value", "x\n", "no value"],
    ["an empty value", 'x{a="b"}\n', "not a number"],
    ["a carriage return", "x 1\r\n", "not a number"],
    ["a hexadecimal value", "x 0x10\n", "not a number"],
    ["an overflow", "x 1e999\n", "not a number"],
    ["a name with a dash", "x-y 1\n", "no value"],
    ["a name that begins with a digit", "9x 1\n", "invalid metric name"],
    ["a byte order mark", "\uFEFFx 1\n", "invalid metric name"],
    ["a label without value", "x{a} 1\n", "no quoted value"],
    ["single quotes", "x{a='b'} 1\n", "no quoted value"],
    ["a reserved label", 'x{__name__="y"} 1\n', "invalid label name"],
    ["a label twice", 'x{a="b",a="c"} 1\n', "given twice"],
    ["a newline in a label value", 'x{a="b\nc"} 1\n', "does not end"],
    ["an unknown escape", 'x{a="\\t"} 1\n', "escape"],
    ["no comma between labels", 'x{a="b" c="d"} 1\n', "after label"],
    ["a bucket bound that is no number", '# TYPE x histogram\nx_bucket{le="y"} 1\n', "not a number"],
    ["an unknown type", "# TYPE x stateset\nx 1\n", "unknown type"],
    ["a type with a blank behind", "# TYPE x gauge \nx 1\n", "unknown type"],
    ["a second TYPE", "# TYPE x gauge\n# TYPE x gauge\nx 1\n", "second TYPE"],
    ["TYPE after the samples", "x 1\n# TYPE x gauge\n", "second TYPE"],
    ["a second HELP", "# HELP x a\n# HELP x a\nx 1\n", "second HELP"],
    ["HELP of a bad name", "# HELP 9x a\n", "invalid metric name"],
  ])("%s", (_, text, reason) => {
    const refusal = () => {
      try {
        return parse(text);
      } catch (error) {
        throw new Error(`${String(error)}: ${String((error as Error).cause)}`);
      }
    };
    expect(refusal).toThrow(reason);
  });

  test.each([
    ["in a label value", 'x 1\nx{a="gr\xfc\xdfe"} 1\n'],
    ["in a name", "x 1\ngr\xfc\xdfe 1\n"],
  ])("bytes that are not UTF-8 %s", (_, text) => {
    expect(() => parseTextFormat(Buffer.from(text, "latin1"))).toThrow("line 2: not UTF-8");
  });

  test("the error says the line", () => expect(() => parse("x 1\ny\n")).toThrow("line 2"));
});
