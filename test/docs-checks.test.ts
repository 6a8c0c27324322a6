import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { builtinChecks } from "../checks/builtin/registry.ts";
import { actions } from "../checks/verdict.ts";

const page = readFileSync(join(import.meta.dir, "../docs/checks-builtin.md"), "utf8");
const sections = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map((text) => [/^`(\w+)`/.exec(text)?.[1] ?? "", text]),
);

test("docs/checks-builtin.md has the checks of the program, no others", () => {
  expect([...sections.keys()]).toEqual(builtinChecks.map(({ name }) => name));
});

test.each(builtinChecks.map((check) => [check.name, check] as const))(
  "%s is described as it is",
  (name, { description, explanation, source, intervalSeconds, parameters }) => {
    const section = sections.get(name) ?? "";
    for (const text of [description, ...explanation]) expect(section).toContain(text);
    expect(section).toContain(`collector \`${source}\`, every ${intervalSeconds} s.`);
    const rows = [...section.matchAll(/^\| `(\w+)` \| [^|]+ \| ([^|]+) \| (.*) \|$/gm)].map(
      ([, key, standard, meaning]) => [key, standard, meaning],
    );
    const expected = Object.entries(parameters.properties).map(([key, property]) => [
      key,
      property.default === undefined ? "none" : `\`${JSON.stringify(property.default)}\``,
      property.description,
    ]);
    expect(rows).toEqual(expected);
  },
);

test("every action is listed", () => {
  for (const action of actions) expect(page).toContain(`\`${action}\``);
});
