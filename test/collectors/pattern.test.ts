import { describe, expect, test } from "bun:test";
import { compilePattern } from "../../collectors/pattern.ts";

interface MatchCase {
  readonly pattern: string;
  readonly yes: readonly string[];
  readonly no: readonly string[];
}

const filesystemMountPoints =
  "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";

describe("compilePattern", () => {
  test.each<[string, MatchCase]>([
    ["searches unanchored", { pattern: "eth", yes: ["eth0", "veth12"], no: ["lo"] }],
    ["the empty pattern", { pattern: "", yes: ["", "x"], no: [] }],
    ["mount points default", { pattern: filesystemMountPoints, yes: ["/dev", "/proc/sys"], no: ["/devel", "/data"] }],
    [
      "diskstats default",
      {
        pattern: "^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$",
        yes: ["sda1", "loop0"],
        no: ["sda", "sda1x"],
      },
    ],
    ["ignore case to the end", { pattern: "a(?i)b|c", yes: ["aB", "C"], no: ["AB"] }],
    ["flags of a group", { pattern: "^(?i:a)b$", yes: ["Ab"], no: ["AB"] }],
    ["flags switched off", { pattern: "(?i)a(?-i:b)", yes: ["Ab"], no: ["AB"] }],
    ["flags end with their group", { pattern: "^((?i)a)b$", yes: ["Ab"], no: ["aB"] }],
    ["dot is not a newline", { pattern: "a.b", yes: ["a\rb", "a\u2028b"], no: ["a\nb"] }],
    ["dot all", { pattern: "(?s)a.b", yes: ["a\nb"], no: [] }],
    ["dollar is the end of the text", { pattern: "a$", yes: ["a"], no: ["a\n", "a\nb"] }],
    ["multi line", { pattern: "(?m)^b$", yes: ["a\nb", "b\nc"], no: ["a\rb"] }],
    ["\\A and \\z", { pattern: "\\Aa\\z", yes: ["a"], no: ["a\n", "ba"] }],
    ["named group", { pattern: "^(?P<name>x)(?<other>y)(?P<1>z)$", yes: ["xyz"], no: ["xy"] }],
    ["posix classes", { pattern: "^[[:alpha:]_]+[[:^digit:]]$", yes: ["ab_é"], no: ["ab1"] }],
    ["perl classes", { pattern: "^\\d\\D\\w\\W\\s\\S$", yes: ["1a_- x"], no: ["1a_-\vx"] }],
    ["digits are ASCII", { pattern: "^\\d$", yes: ["7"], no: ["\u0667"] }],
    ["unicode classes", { pattern: "^\\pL\\p{Greek}\\P{Lu}\\p{^Lu}[\\pN-]$", yes: ["äαxy4", "äαxy-"], no: ["äbxy4"] }],
    ["quoted run", { pattern: "^\\Qa.b*\\E+$", yes: ["a.b*", "a.b***"], no: ["aab", "a.ba.b*"] }],
    ["quoted run without end", { pattern: "^\\Q(x", yes: ["(x"], no: ["x"] }],
    ["punctuation escapes", { pattern: "^\\-\\_\\:\\/\\#$", yes: ["-_:/#"], no: [] }],
    ["characters by code", { pattern: "^\\x41\\x{1F600}\\101\\07\\a$", yes: ["A😀A\u0007\u0007"], no: [] }],
    ["bracket first in a class", { pattern: "^[]a]+$", yes: ["]a"], no: ["[a"] }],
    ["negated bracket", { pattern: "^[^]a]$", yes: ["b", "\n"], no: ["]", "a"] }],
    ["dash at the ends of a class", { pattern: "^[-a][a-]$", yes: ["-a", "a-"], no: ["b-"] }],
    ["class characters special to JavaScript", { pattern: "^[a&&b|(){}-]+$", yes: ["&-|(){}"], no: ["[", "]"] }],
    ["literal braces", { pattern: "^a{,2}{x}$", yes: ["a{,2}{x}"], no: ["aa"] }],
    ["counted repetition", { pattern: "^[a-f0-9]{15}$", yes: ["0123456789abcde"], no: ["0123456789abcd"] }],
    ["one character beyond the BMP", { pattern: "^.$", yes: ["😀"], no: ["😀😀"] }],
    ["ungreedy", { pattern: "(?U)^a+$", yes: ["aaa"], no: ["b"] }],
    ["repeated assertion", { pattern: "^*a", yes: ["a", "ba"], no: ["b"] }],
  ])("%s", (_, { pattern, yes, no }) => {
    const compiled = compilePattern(pattern, "--flag");
    expect(yes.filter((text) => !compiled.test(text))).toEqual([]);
    expect(no.filter((text) => compiled.test(text))).toEqual([]);
  });

  test.each([
    ["look-ahead", "a(?=b)", "look-around"],
    ["negative look-ahead", "(?!lo)", "look-around"],
    ["look-behind", "(?<!a)b", "look-around"],
    ["atomic group", "(?>a)", "atomic"],
    ["back-reference", "(a)\\1", "back-references (\\1)"],
    ["missing parenthesis", "(a", "missing closing )"],
    ["extra parenthesis", "a)", "unexpected )"],
    ["missing bracket", "[a", "missing closing ]"],
    ["nothing to repeat", "*a", "missing argument to repetition operator: *"],
    ["nothing to count", "eth|{2}", "missing argument to repetition operator: {2}"],
    ["a count reversed, and nothing to count", "{2,1}", "invalid repeat count: {2,1}"],
    ["nested repetition", "a**", "invalid nested repetition operator: **"],
    ["possessive", "a++", "invalid nested repetition operator: ++"],
    ["count too large", "a{1001}", "invalid repeat count: {1001}"],
    ["count reversed", "a{3,2}", "invalid repeat count: {3,2}"],
    ["range reversed", "[z-a]", "invalid character class range: z-a"],
    ["unknown posix class", "[[:foo:]]", "invalid character class range: [:foo:]"],
    ["unknown unicode class", "\\p{Klingon}", "unknown Unicode class Klingon"],
    ["unknown escape", "\\y", "invalid escape sequence \\y"],
    ["trailing backslash", "a\\", "trailing backslash"],
    ["unknown group", "(?#comment)", "invalid or unsupported group"],
  ])("refuses %s", (_, pattern, reason) => {
    const flag = "--collector.netdev.device-exclude";
    expect(() => compilePattern(pattern, flag)).toThrow(flag);
    expect(() => compilePattern(pattern, flag)).toThrow(JSON.stringify(pattern));
    expect(() => compilePattern(pattern, flag)).toThrow(reason);
  });
});
