import { describe, expect, test } from "bun:test";
import { assemblePage, type PagePart } from "../../../daemon/scrape/page.ts";

function part(name: string, ...families: readonly (readonly [string, string])[]): PagePart {
  return {
    name,
    families: families.map(([family, series]) => ({
      name: family,
      bytes: Buffer.from(`# HELP ${family} From ${name}.\n# TYPE ${family} gauge\n${series}`),
    })),
  };
}

const textOf = (parts: readonly PagePart[]): string => Buffer.from(assemblePage(parts).bytes).toString();

describe("a page", () => {
  test("is sorted by family over all parts", () => {
    const page = textOf([part("a", ["c", "c 1\n"], ["a", "a 1\n"]), part("b", ["b", "b 1\n"])]);
    expect([...page.matchAll(/^\w+ 1$/gm)].map(String)).toEqual(["a 1", "b 1", "c 1"]);
  });

  test("has one HELP and TYPE for a family of two parts", () => {
    expect(textOf([part("a", ["x", 'x{p="a"} 1\n']), part("b", ["x", 'x{p="b"} 2\n'])])).toBe(
      '# HELP x From a.\n# TYPE x gauge\nx{p="a"} 1\nx{p="b"} 2\n',
    );
  });

  test("text files give way to every other part, and say so", () => {
    const textfile = part(
      "textfile",
      ["node_load1", "node_load1 666\n"],
      ["node_textfile_scrape_error", "node_textfile_scrape_error 0\n"],
      ["mine", "mine 1\n"],
    );
    const { bytes, clashes } = assemblePage([textfile, part("loadavg", ["node_load1", "node_load1 1\n"])]);
    const page = Buffer.from(bytes).toString();
    expect(clashes).toEqual(["node_load1"]);
    expect(page).toContain("node_load1 1\n");
    expect(page).not.toContain("666");
    expect(page).toContain("mine 1\n");
    expect(page).toContain("# TYPE node_textfile_scrape_error gauge\nnode_textfile_scrape_error 1\n");
  });

  test("without a clash text files stay as they are", () => {
    const { bytes, clashes } = assemblePage([
      part("textfile", ["node_textfile_scrape_error", "node_textfile_scrape_error 0\n"]),
    ]);
    expect(clashes).toEqual([]);
    expect(Buffer.from(bytes).toString()).toEndWith("node_textfile_scrape_error 0\n");
  });

  test("of nothing is empty", () => {
    expect(textOf([])).toBe("");
  });
});
