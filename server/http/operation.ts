import { type TSchema, Type as t } from "@sinclair/typebox";

/** One answer of a route: a JSON schema, a media type other than JSON, or nothing. */
type Answer = TSchema | string | "nothing";

/**
 * What /docs says of a route. The answers are described and not enforced: a row that an older version wrote is better
 * read than refused. test/server/harness.ts holds every answer that the tests see to its description.
 */
export const operation = (summary: string, answers: Readonly<Record<number, Answer>>) => ({
  summary,
  responses: Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, toResponse(answer)])),
});

/** What most changes answer. */
export const nothing = { 204: "nothing" } as const;

function toResponse(answer: Answer): { description: string; content?: Record<string, { schema: TSchema }> } {
  const description = "Done.";
  if (answer === "nothing") return { description };
  const [type, schema] = typeof answer === "string" ? [answer, t.String()] : ["application/json", answer];
  return { description, content: { [type]: { schema } } };
}

export const Time = t.String({ format: "date-time", description: "UTC." });
export const nullable = <T extends TSchema>(schema: T) => t.Union([schema, t.Null()]);

/** When a row was made, changed, and soft-deleted. */
export const lifetime = { created_at: Time, updated_at: Time, deleted_at: t.Optional(Time) };

/** The answer of `listing()`. */
export const ListOf = (item: TSchema) =>
  t.Union([
    t.Array(item, { title: "without page and limit: everything" }),
    t.Object(
      {
        data: t.Array(item),
        pagination: t.Object({
          page: t.Integer(),
          limit: t.Integer(),
          total: t.Integer(),
          total_pages: t.Integer(),
        }),
      },
      { title: "with page or limit" },
    ),
  ]);
