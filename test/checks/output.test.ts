import { describe, expect, test } from "bun:test";
import { countSeries, parseOutput } from "../../checks/output.ts";
import { OutputError } from "../../checks/text-format.ts";
import { encodeFamilies } from "../../collectors/exposition.ts";

const rules = { check: "demo", maxSeries: 5 };
const bytes = (text: string) => new TextEncoder().encode(text);
const page = (text: string) =>
  encodeFamilies(parseOutput(bytes(text), rules))
    .map((family) => family.text)
    .join("");
const reasonOf = (output: Uint8Array): string => {
  try {
    return `accepted ${countSeries(parseOutput(output, rules))}`;
  } catch (error) {
    if (error instanceof OutputError) return error.reason;
    throw error;
  }
};

describe("accepted output", () => {
  test.each([
    [
      "help, type and labels as they were printed",
      '# HELP mount_check Mounted.\n# TYPE mount_check gauge\nmount_check{path="/a b"} 1\nmount_check{path="/c"} 0\n',
      '# HELP mount_check Mounted.\n# TYPE mount_check gauge\nmount_check{check="demo",path="/a b"} 1\nmount_check{check="demo",path="/c"} 0\n',
    ],
    [
      "no HELP, no TYPE, no newline at the end",
      "a 1",
      '# HELP a Reported by the check demo.\n# TYPE a untyped\na{check="demo"} 1\n',
    ],
    ["blanks before the brace and in the labels, trailing comma", 'a { x = "1" , }\t2', 'a{check="demo",x="1"} 2\n'],
    ["escapes in a label value", 'a{x="q\\"b\\\\n\\n"} 1', 'a{check="demo",x="q\\"b\\\\n\\n"} 1\n'],
    ["control characters are replaced", 'a{x="\u001b[31m"} 1', 'a{check="demo",x="\ufffd[31m"} 1\n'],
    ["an empty label is no label", 'a{x=""} 1', 'a{check="demo"} 1\n'],
    [
      "special values",
      'a{x="1"} NaN\na{x="2"} +Inf\na{x="3"} -Inf\na{x="4"} -0\n',
      'a{check="demo",x="1"} NaN\na{check="demo",x="2"} +Inf\na{check="demo",x="3"} -Inf\na{check="demo",x="4"} 0\n',
    ],
    [
      "17 digits and a denormal survive",
      'a{x="1"} 0.30000000000000004\na{x="2"} 1e-320\n',
      'a{check="demo",x="1"} 0.30000000000000004\na{check="demo",x="2"} 1e-320\n',
    ],
    ["nothing after # EOF", "a 1\n# EOF\nHTTP/1.1 200 OK\n", 'a{check="demo"} 1\n'],
    ["comments and blank lines", "# anything\n\n#\n# UNIT a seconds\na 1\n", 'a{check="demo"} 1\n'],
    [
      "the same HELP and TYPE again",
      '# HELP a A.\n# TYPE a gauge\na{x="1"} 1\n# HELP a A.\n# TYPE a gauge\na{x="2"} 1\n',
      '# TYPE a gauge\na{check="demo",x="1"} 1\na{check="demo",x="2"} 1\n',
    ],
    [
      "a histogram",
      '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n',
      '# TYPE h histogram\nh_bucket{check="demo",le="1"} 1\nh_bucket{check="demo",le="+Inf"} 2\nh_sum{check="demo"} 3\nh_count{check="demo"} 2\n',
    ],
    [
      "_count without a histogram is a name like any other",
      "jobs_count 3\n",
      '# TYPE jobs_count untyped\njobs_count{check="demo"} 3\n',
    ],
    [
      "families that come back later are joined",
      'a{x="1"} 1\nb 1\na{x="2"} 1\n',
      'a{check="demo",x="1"} 1\na{check="demo",x="2"} 1\n',
    ],
    [
      "process_running is not one of the exporters' own names",
      "process_running 1\n",
      'process_running{check="demo"} 1\n',
    ],
  ])("%s", (_name, output, expected) => expect(page(output)).toContain(expected));

  test("nothing at all is an empty answer", () => expect(parseOutput(bytes(""), rules)).toEqual([]));
  test("HELP without samples publishes nothing", () => expect(parseOutput(bytes("# HELP a A.\n"), rules)).toEqual([]));
});

describe("refused output", () => {
  test.each([
    ["JSON", '{"status":"ok"}', "syntax"],
    ["prose", "all is well", "syntax"],
    ["df without a number", 'disk_usage_percent{mountpoint="/"} -', "syntax"],
    ["no value", "a\n", "syntax"],
    ["half a line", 'a{x="1', "syntax"],
    ["hexadecimal", "a 0x10", "syntax"],
    ["underscores in a number", "a 1_000", "syntax"],
    ["decimal comma", "a 1,5", "syntax"],
    ["full-width digit", "a １", "syntax"],
    ["overflow", "a 1e999", "syntax"],
    ["nan in lower case", "a nan", "syntax"],
    ["exemplar", 'a_total 1 # {trace="x"} 1', "syntax"],
    ["invalid escape", 'a{x="\\t"} 1', "syntax"],
    ["the same label twice", 'a{x="1",x="2"} 1', "syntax"],
    ["quoted metric name", '{"a.b"} 1', "syntax"],
    ["dash in a name", "a-b 1", "syntax"],
    ["a second HTTP response", "HTTP/1.1 200 OK\r\n\r\na 1", "syntax"],
    ["timestamp", "a 1 1700000000000", "timestamp"],
    ["same series, same value", "a 1\na 1\n", "duplicate"],
    ["same series, labels in another order", 'a{x="1",y="2"} 1\na{y="2",x="1"} 2\n', "duplicate"],
    ["node_ prefix", "node_cpu_seconds_total 1", "reserved_name"],
    ["DCGM_ prefix", "DCGM_FI_DEV_GPU_TEMP 1", "reserved_name"],
    ["smartctl_ prefix", "smartctl_device 1", "reserved_name"],
    ["aami_ prefix, only a TYPE line", "# TYPE aami_bundle_version gauge\n", "reserved_name"],
    ["up", "up 1", "reserved_name"],
    ["ALERTS", "ALERTS 1", "reserved_name"],
    ["the daemon's own process metrics", "process_cpu_seconds_total 1", "reserved_name"],
    ["label instance", 'a{instance="other"} 1', "reserved_label"],
    ["label check", 'a{check="other"} 1', "reserved_label"],
    ["label __name__", 'a{__name__="up"} 1', "reserved_label"],
    ["two types", "# TYPE a gauge\n# TYPE a counter\n", "type"],
    ["TYPE after samples", "a 1\n# TYPE a gauge\n", "type"],
    ["unknown type", "# TYPE a info\n", "type"],
    ["two helps", "# HELP a A.\n# HELP a B.\n", "type"],
    ["histogram without +Inf", '# TYPE h histogram\nh_bucket{le="1"} 1\nh_count 1\n', "type"],
    ["histogram with a plain sample", "# TYPE h histogram\nh 1\n", "type"],
    ["summary without quantile", "# TYPE s summary\ns 1\n", "type"],
    ["a name that is none", "# TYPE a.b gauge\n", "name"],
    ["too many series", [1, 2, 3, 4, 5, 6].map((n) => `a{x="${n}"} 1\n`).join(""), "too_many"],
    ["too many labels", `a{${Array.from({ length: 13 }, (_, n) => `l${n}="1"`).join(",")}} 1`, "too_many"],
    ["long label value", `a{x="${"v".repeat(257)}"} 1`, "too_long"],
    ["long name", `${"n".repeat(129)} 1`, "too_long"],
  ])("%s", (_name, output, reason) => expect(reasonOf(bytes(output))).toBe(reason));

  test("invalid UTF-8", () => expect(reasonOf(new Uint8Array([0x61, 0x20, 0xff]))).toBe("encoding"));
  test("a byte order mark", () => expect(reasonOf(bytes("\ufeffa 1"))).toBe("syntax"));
  test("the message says which line", () => {
    expect(() => parseOutput(bytes("a 1\nb x\n"), rules)).toThrow('line 2: not a number: "x"');
  });
  test("one fault refuses everything before it too", () => {
    expect(reasonOf(bytes("good 1\nup 1\n"))).toBe("reserved_name");
  });
});
