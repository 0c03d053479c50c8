// Values for a JSON Schema as the served OpenAPI document has it: such as fit, such as stand at the edge, and such as do not fit. Written here rather than taken from a library:
// what exists for this reads OpenAPI 3.0 or draft 7, or samples without a seed, and what is needed is a hundred lines.
import fc from "fast-check";
import { z } from "zod";

export interface Schema {
  readonly type?: string | undefined;
  readonly enum?: readonly unknown[] | undefined;
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[] | undefined;
  readonly pattern?: string | undefined;
  readonly minLength?: number | undefined;
  readonly maxLength?: number | undefined;
  readonly minimum?: number | undefined;
  readonly maximum?: number | undefined;
  readonly items?: Schema | undefined;
  readonly minItems?: number | undefined;
  readonly maxItems?: number | undefined;
  readonly properties?: Readonly<Record<string, Schema>> | undefined;
  readonly required?: readonly string[] | undefined;
  readonly propertyNames?: Schema | undefined;
  readonly additionalProperties?: boolean | Schema | undefined;
}

export const schemaShape: z.ZodType<Schema> = z.lazy(() =>
  z.looseObject({
    type: z.string().optional(),
    enum: z.array(z.unknown()).optional(),
    anyOf: z.array(schemaShape).optional(),
    pattern: z.string().optional(),
    minLength: z.number().optional(),
    maxLength: z.number().optional(),
    minimum: z.number().optional(),
    maximum: z.number().optional(),
    items: schemaShape.optional(),
    minItems: z.number().optional(),
    maxItems: z.number().optional(),
    properties: z.record(z.string(), schemaShape).optional(),
    required: z.array(z.string()).optional(),
    propertyNames: schemaShape.optional(),
    additionalProperties: z.union([z.boolean(), schemaShape]).optional(),
  }),
);

/** Values by the name under which they stand: what exists, so that a request gets beyond *there is no such thing*. */
export type Known = Readonly<Record<string, readonly unknown[]>>;

const ODD_TEXTS = [
  "",
  " ",
  "\u0000",
  "a\u0000b",
  "\ud800",
  "\ufeff",
  "ä",
  "😀",
  "../../x",
  "..%2f..%2fx",
  "%00",
  "%zz",
  "a/b",
  "a?b#c",
  "' or 1=1 --",
  '"; drop',
  "$1",
  "{}",
  "__proto__",
  "-1",
];
export const oddText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...ODD_TEXTS),
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.integer({ min: 60, max: 600 }).map((n) => "x".repeat(n)),
  fc.constantFrom("9".repeat(18), "9".repeat(19), "9".repeat(20), "9223372036854775807", "9223372036854775808", "1e9", "1.5", "007", "NaN", "Infinity", "0x10"),
  fc.constantFrom(
    "9999-12-31T23:59:59.999999999Z",
    "0000-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-11-22T08:00:60Z",
    "0001-01-01T00:00:00+15:00",
    "now",
    "infinity",
  ),
);
const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  oddText,
  fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 1e21, Number.MAX_SAFE_INTEGER, 2 ** 53, -0, [], {}, [null], [[[]]], { a: { b: {} } }),
  fc.jsonValue({ maxDepth: 3 }),
);

/** Mostly what fits or exists, now and then something else. */
export function valuesFor(schema: Schema, known: Known, name = ""): fc.Arbitrary<unknown> {
  const exists = known[name] ?? [];
  return fc.oneof(
    ...(exists.length > 0 ? [{ weight: 30, arbitrary: fc.constantFrom(...exists) }] : []),
    { weight: exists.length > 0 ? 1 : 8, arbitrary: fitting(schema, known) },
    { weight: 1, arbitrary: oddValue },
  );
}

/** What fits, the edges more often than the middle. */
function fitting(schema: Schema, known: Known): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined && schema.enum.length > 0) return fc.constantFrom(...schema.enum);
  if (schema.anyOf !== undefined && schema.anyOf.length > 0) return fc.oneof(...schema.anyOf.map((one) => fitting(one, known)));
  switch (schema.type) {
    case "string":
      return textFor(schema);
    case "integer":
    case "number": {
      const min = Math.max(schema.minimum ?? -(2 ** 31), Number.MIN_SAFE_INTEGER);
      const max = Math.min(schema.maximum ?? 2 ** 31, Number.MAX_SAFE_INTEGER);
      return fc.oneof(fc.constantFrom(min, max, min - 1, max + 1), fc.integer({ min, max }), fc.integer({ min, max: Math.min(max, min + 5) }));
    }
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return fc.array(valuesFor(schema.items ?? {}, known), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 3, (schema.minItems ?? 0) + 3),
      });
    case "object":
      return objectFor(schema, known);
    default:
      return oddValue;
  }
}

function textFor({ pattern, minLength = 0, maxLength = 64 }: Schema): fc.Arbitrary<string> {
  const sized = fc.string({ minLength, maxLength: Math.min(maxLength, minLength + 40) });
  const edges = fc.constantFrom(minLength, maxLength, maxLength + 1).map((n) => "a".repeat(n));
  if (pattern === undefined) return fc.oneof({ weight: 3, arbitrary: sized }, { weight: 1, arbitrary: edges });
  // a pattern says how a text begins and ends; its edges are one character more or less
  const matching = fc.stringMatching(new RegExp(pattern), { size: "small" });
  return fc.oneof(
    { weight: 6, arbitrary: matching },
    { weight: 1, arbitrary: fc.tuple(matching, fc.constantFrom("", " ", "\n", "x", "\u0000")).map((parts) => parts.join("")) },
  );
}

function objectFor(schema: Schema, known: Known): fc.Arbitrary<Record<string, unknown>> {
  const properties = Object.entries(schema.properties ?? {});
  const required = new Set(schema.required ?? []);
  const members = properties.map(([name, of]) =>
    fc.tuple(fc.constant(name), fc.option(valuesFor(of, known, name), { nil: undefined, freq: required.has(name) ? 30 : 2 })),
  );
  const { additionalProperties } = schema;
  const free =
    typeof additionalProperties === "object"
      ? fc.array(
          fc.tuple(valuesFor(schema.propertyNames ?? { type: "string" }, known, "role").map(String), valuesFor(additionalProperties, known, "equipment")),
          {
            maxLength: 3,
          },
        )
      : fc.oneof(
          { weight: 12, arbitrary: fc.constant<[string, unknown][]>([]) },
          { weight: 1, arbitrary: fc.array(fc.tuple(oddText, oddValue), { maxLength: 2 }) },
        );
  return fc.tuple(fc.tuple(...members), free).map(([named, more]) => {
    const object: Record<string, unknown> = {};
    for (const [name, value] of [...named, ...more])
      if (value !== undefined) Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
    return object;
  });
}
