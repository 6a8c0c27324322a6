import { describe, expect, test } from "bun:test";
import { createPageMaker, type PagePart } from "../../../daemon/scrape/page.ts";
import { familyBytes } from "./family-bytes.ts";

function part(name: string, ...families: readonly (readonly [string, string])[]): PagePart {
  return {
    name,
    families: familyBytes(...families.map(([family, series]) => [family, series, `From ${name}.`] as const)),
  };
}

const textOf = (parts: readonly PagePart[]): string => createPageMaker()(parts).bytes.toString();

describe("a page", () => {
  test("is sorted by family over all parts", () => {
    const page = textOf([part("a", ["a", "a 1\n"], ["c", "c 1\n"]), part("b", ["b", "b 1\n"])]);
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
      ["mine", "mine 1\n"],
      ["node_load1", "node_load1 666\n"],
      ["node_textfile_scrape_error", "node_textfile_scrape_error 0\n"],
    );
    const { bytes, clashes } = createPageMaker()([textfile, part("loadavg", ["node_load1", "node_load1 1\n"])]);
    const page = bytes.toString();
    expect(clashes).toEqual(["node_load1"]);
    expect(page).toContain("node_load1 1\n");
    expect(page).not.toContain("666");
    expect(page).toContain("mine 1\n");
    expect(page).toContain("# TYPE node_textfile_scrape_error gauge\nnode_textfile_scrape_error 1\n");
  });

  test("without a clash text files stay as they are", () => {
    const { bytes, clashes } = createPageMaker()([
      part("textfile", ["node_textfile_scrape_error", "node_textfile_scrape_error 0\n"]),
    ]);
    expect(clashes).toEqual([]);
    expect(bytes.toString()).toEndWith("node_textfile_scrape_error 0\n");
  });

  test("is right for new values of the same families, and for other families", () => {
    const toPage = createPageMaker();
    const other = part("b", ["b", "b 1\n"]);
    const before = part("a", ["a", "a 1\n"], ["c", "c 1\n"]);
    const grown = familyBytes(["a", "a 1000\n"], ["c", "c 22\n"]);
    const pages = [
      [before, other],
      [{ name: "a", families: { ...grown, names: before.families.names } }, other],
      [part("a", ["a", "a 1\n"], ["b", "b 2\n"], ["d", "d 1\n"]), other],
      [part("textfile", ["b", "b 3\n"]), other],
      [other],
    ].map((parts) => {
      const { bytes, clashes } = toPage(parts);
      return { series: bytes.toString().match(/^\w+ \d+$/gm), clashes };
    });
    expect(pages.map(({ series }) => series)).toEqual([
      ["a 1", "b 1", "c 1"],
      ["a 1000", "b 1", "c 22"],
      ["a 1", "b 2", "b 1", "d 1"],
      ["b 1"],
      ["b 1"],
    ]);
    expect(pages.map(({ clashes }) => clashes)).toEqual([[], [], [], ["b"], []]);
  });

  test("of nothing is empty", () => {
    expect(textOf([])).toBe("");
  });
});
