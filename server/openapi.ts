import { toOpenAPISchema } from "@elysiajs/openapi";
import { Type as t } from "@sinclair/typebox";
import { type AnyElysia, Elysia } from "elysia";
import { buildInfo } from "../runtime/version.ts";
import { type Access, accessOf } from "./roles.ts";

/** An OpenAPI 3.1 document, as far as this program writes and reads it. */
export interface ApiDocument {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, object>>>>;
}

export interface Operation {
  readonly tags?: readonly string[];
  readonly summary?: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly schema: object;
  }[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content?: Content; readonly $ref?: string }>>;
  /** Alternatives; the names are roles of which one is enough. */
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
}

type Content = Readonly<Record<string, { readonly schema?: object }>>;

const ErrorAnswer = t.Object(
  {
    error: t.Object({
      code: t.String({ description: "Stable; docs/errors.md has them all." }),
      message: t.String({ description: "For people; may change." }),
      details: t.Optional(t.Record(t.String(), t.Unknown(), { description: "Which field, which limit." })),
    }),
  },
  { description: "The body of every refusal." },
);

const securitySchemes = {
  adminToken: {
    type: "http",
    scheme: "bearer",
    description: "A token of people, CI and Prometheus; its role says what it may do.",
  },
  nodeKey: { type: "http", scheme: "bearer", description: "A proof that a node signs for this one request." },
};

/**
 * Describes the routes by themselves. Inside the server they stand behind its own body parser, which the generator
 * takes for one that reads no known media type: every request body would come out empty.
 */
export function describeApi(routes: readonly AnyElysia[]): ApiDocument {
  const bare: AnyElysia = routes.reduce((whole, one) => whole.use(one), new Elysia());
  const described = toOpenAPISchema(bare) as unknown as Pick<ApiDocument, "paths">;
  const schemas: Record<string, object> = { Error: ErrorAnswer };
  const paths = Object.entries(described.paths).map(([path, operations]) => {
    const completed = Object.entries(operations).map(([method, operation]) => [
      method,
      shareSchemas(complete(operation, accessOf(method.toUpperCase(), path)), schemas),
    ]);
    return [path, Object.fromEntries(completed)];
  });
  const description = "Lists without page and limit are whole. Every refusal has the body of schema Error.";
  return {
    openapi: "3.1.2",
    info: { title: "AAMI control server", version: buildInfo.version, description },
    paths: Object.fromEntries(paths),
    components: {
      securitySchemes,
      schemas,
      responses: {
        Refusal: {
          description: "A refusal.",
          content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
        },
      },
    },
  };
}

const schemaName = /^[A-Z][A-Za-z]+$/;

/** Moves every schema whose title is a name to `schemas`, once, and leaves references behind. */
function shareSchemas<T>(value: T, schemas: Record<string, object>): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item: unknown) => shareSchemas(item, schemas)) as T;
  const members = Object.entries(value).map(([key, member]) => [key, shareSchemas(member, schemas)]);
  const copy: Record<string, unknown> = Object.fromEntries(members);
  const { title } = copy;
  if (typeof title !== "string" || !schemaName.test(title)) return copy as T;
  schemas[title] ??= copy;
  return { $ref: `#/components/schemas/${title}` } as T;
}

function complete(operation: Operation, access: Access | undefined): Operation {
  const { requestBody, responses } = operation;
  const json = requestBody?.content["application/json"];
  return {
    ...operation,
    ...(json === undefined ? {} : { requestBody: { ...requestBody, content: { "application/json": json } } }),
    responses: { ...responses, default: { $ref: "#/components/responses/Refusal" } },
    security: securityOf(access),
  };
}

function securityOf(access: Access | undefined): Operation["security"] {
  if (access === undefined || access === "public") return [];
  const node = { nodeKey: [] };
  if (access === "node") return [node];
  return access === "node or viewer" ? [node, { adminToken: ["viewer"] }] : [{ adminToken: [access] }];
}
