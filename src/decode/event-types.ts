import { z } from "zod";
import { isInstant } from "./instant.ts";
import { JsonNumber } from "./json.ts";

const PLANT_ID = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/;
const DECIMAL = /^-?(?:0|[1-9]\d{0,33})(?:\.\d{1,34})?$/;
const INTEGER = /^(?:0|[1-9]\d{0,18})$/;

const plantId = z.string().regex(PLANT_ID, "is no plant id").describe("A plant id: letters, digits and _ . : -, at most 64.");
const words = (about: string, max = 256) => z.string().min(1).max(max).describe(about);

const literal = (pattern: RegExp) =>
  z.custom<JsonNumber>((value) => value instanceof JsonNumber && pattern.test(value.text) && value.text.replace(/\D/g, "").length <= 34);
const decimalLiteral = literal(DECIMAL);
const integerLiteral = literal(INTEGER);
const asText = (value: string | JsonNumber): string => (typeof value === "string" ? value : value.text);

const decimal = z
  .union(
    [
      z
        .string()
        .regex(DECIMAL, "is no decimal")
        .refine((text) => text.replace(/\D/g, "").length <= 34, "has more than 34 digits"),
      decimalLiteral,
    ],
    "is no decimal",
  )
  .transform(asText)
  .describe("A decimal, kept as the literal text: 12.500 has three places.");
const number = z
  .union([z.string().regex(INTEGER, "is no number"), integerLiteral], "is no number")
  .transform(asText)
  .refine((text) => BigInt(text) < 2n ** 63n, "is beyond 2^63-1")
  .describe("A whole number up to 2^63-1, as decimal text or a JSON integer.");
const ordinal = number
  .refine((text) => text !== "0", "begins at 1")
  .describe("A number of the source's count: from 1 up to 2^63-1, as decimal text or a JSON integer.");
// zod asks this also where one of the two was refused
const inOrder = ({ from, to }: { readonly from: string; readonly to: string }): boolean =>
  !INTEGER.test(from) || !INTEGER.test(to) || BigInt(from) <= BigInt(to);
const unit = z
  .string()
  .regex(/^[!-~]{1,64}$/, "is no UCUM unit")
  .describe("A UCUM unit, case sensitive.");
const quantity = z.strictObject({ value: decimal, unit }).describe("A quantity with its unit.");
const reason = words("Why, in words.", 1024).optional();
const device = plantId.optional().describe("The device on the equipment that it is about.");
const instant = z.string().refine(isInstant, "is no RFC 3339 timestamp").meta({ format: "date-time" }).describe("An RFC 3339 timestamp with its offset.");
const material = { material: plantId, lot: words("The lot."), container: words("The container.").optional(), quantity: quantity.optional() };
const moved = z.strictObject({ ...material, quantity, reason });
const label = { label: plantId, revision: words("The label's revision."), serial: words("The serial number.").optional() };

/** How an event type is handled. */
export interface EventType {
  readonly title: string;
  /** A request is asked before the act; a report tells of something done. */
  readonly mood: "request" | "report";
  /** Whether it waits behind a gap of its source. What restricts does not. */
  readonly waits: boolean;
  /** `monotonic`: only what is newer than the last of its type counts. */
  readonly ordering: "strict" | "monotonic";
  /** `claim`: names its batch (and step); `required`: named or taken from the lock; `optional`: decided without where there is none. */
  readonly context: "claim" | "required" | "optional";
  /** `none`: *not yet* is no at once. */
  readonly patience: "default" | "none";
  readonly schema: z.ZodType;
}

type Handling = Omit<EventType, "title" | "schema">;

const request: Handling = { mood: "request", waits: true, ordering: "strict", context: "claim", patience: "default" };
const report: Handling = { mood: "report", waits: true, ordering: "strict", context: "required", patience: "default" };
const told: Handling = { mood: "report", waits: true, ordering: "strict", context: "optional", patience: "default" };
const check: Handling = { ...report, mood: "request", patience: "none" };

const type = <S extends z.ZodType>(handling: Handling, title: string, schema: S) => ({ ...handling, title, schema });
const onlyReason = z.strictObject({ reason });

/** Every type that devices may send, version 1. Adding a field is allowed; changing what one means is a new version beside the old. */
export const EVENT_TYPES = {
  "source.birth": type(
    { ...told, waits: false },
    "A source begins to count, or says where it stands",
    z.strictObject({ next: ordinal, firmware: words("The firmware in use.").optional(), reason }),
  ),
  "source.lost": type(
    { ...told, waits: false },
    "A source declares numbers lost for good",
    z.strictObject({ from: ordinal, to: ordinal, reason }).refine(inOrder, { message: "lies before from", path: ["to"] }),
  ),
  "batch.start": type(request, "Asks to start a batch", onlyReason),
  "batch.pause": type({ ...request, waits: false }, "Asks to pause a batch", onlyReason),
  "batch.resume": type(request, "Asks to resume a batch", onlyReason),
  "batch.stop": type({ ...request, waits: false }, "Asks to stop a batch", onlyReason),
  "batch.abort": type({ ...request, waits: false }, "Asks to abort a batch", onlyReason),
  "step.start": type(request, "Asks to start a step", onlyReason),
  "step.evidence": type(
    report,
    "Evidence for a step",
    z
      .strictObject({
        evidence: plantId.describe("The evidence as the recipe's step names it."),
        value: z
          .union([z.boolean(), decimalLiteral, z.string().min(1).max(1024)])
          .transform((value) => (value instanceof JsonNumber ? value.text : value))
          .optional()
          .describe(
            "What was found: a decimal (as text or as a JSON number, kept as it is written), true or false of a check, the text of a scan; none with an evidenceref.",
          ),
        unit: unit.optional(),
        quality: z.enum(["good", "uncertain", "bad"]).optional().describe("What the sender itself thinks of the value; good where it says nothing."),
        device,
      })
      .refine(({ value, unit: named }) => named === undefined || (typeof value === "string" && DECIMAL.test(value)), {
        message: "is no decimal, and only a decimal has a unit",
        path: ["value"],
      }),
  ),
  "step.complete": type({ ...request, context: "required" }, "Asks to complete a step", onlyReason),
  "step.pause": type({ ...report, waits: false }, "A step was paused", onlyReason),
  "step.resume": type(report, "A step goes on", onlyReason),
  "step.abort": type({ ...report, waits: false }, "A step was aborted", onlyReason),
  "material.check": type(check, "Asks whether a material may be used", z.strictObject(material)),
  "material.consumed": type(report, "Material was consumed", moved),
  "material.produced": type(report, "Material was produced", moved),
  "material.returned": type(report, "Material was returned", moved),
  "material.scrapped": type(report, "Material was scrapped", moved),
  "material.transferred": type(
    report,
    "Material was moved to another container",
    z.strictObject({ ...material, quantity, to: words("The container it went to."), reason }),
  ),
  "count.reported": type(
    { ...told, ordering: "monotonic" },
    "A counter's reading",
    z.strictObject({ counter: plantId, value: decimal, unit: unit.optional() }),
  ),
  "label.check": type(check, "Asks whether a label may be used", z.strictObject(label)),
  "label.printed": type(report, "A label was printed", z.strictObject({ ...label, count: number.optional() })),
  "label.applied": type(report, "A label was applied", z.strictObject(label)),
  "label.verified": type(report, "A label was read back", z.strictObject({ ...label, read: words("What was read.").optional() })),
  "label.voided": type(report, "A label was voided", z.strictObject({ ...label, reason })),
  "check.performed": type(
    report,
    "A check was performed",
    z.strictObject({
      check: plantId,
      result: z.enum(["pass", "fail"]).describe("How it ended."),
      value: decimal.optional(),
      unit: unit.optional(),
      text: words("A remark.", 1024).optional(),
    }),
  ),
  "sample.taken": type(report, "A sample was taken", z.strictObject({ sample: plantId, lot: words("The lot.").optional(), quantity: quantity.optional() })),
  "equipment.state": type(
    { ...told, ordering: "monotonic" },
    "The equipment's own state, by PackML name where it has one",
    z.strictObject({ state: words("The state.", 64), mode: words("The mode.", 64).optional(), reason }),
  ),
  "equipment.changed": type(
    told,
    "Something of the equipment was changed",
    z.strictObject({
      what: words("What was changed."),
      part: words("The part.").optional(),
      from: words("Before.").optional(),
      to: words("After.").optional(),
    }),
  ),
  "downtime.reported": type(told, "The equipment stood still", z.strictObject({ reason: words("Why."), from: instant.optional(), to: instant.optional() })),
  "alarm.raised": type(
    { ...told, waits: false },
    "An alarm was raised",
    z.strictObject({
      alarm: plantId,
      severity: z.enum(["low", "medium", "high", "critical"]).optional().describe("How grave it is."),
      text: words("The alarm's text.", 1024).optional(),
    }),
  ),
  "alarm.cleared": type(told, "An alarm was cleared", z.strictObject({ alarm: plantId, text: words("A remark.", 1024).optional() })),
  "call.raised": type(told, "Somebody called for help", z.strictObject({ call: plantId, text: words("The call.", 1024).optional() })),
  "call.closed": type(told, "A call was closed", z.strictObject({ call: plantId, text: words("A remark.", 1024).optional() })),
  "quality.signal": type(
    { ...told, waits: false },
    "Something that quality should know",
    z.strictObject({
      signal: plantId,
      value: decimal.optional(),
      unit: unit.optional(),
      limit: words("The limit.").optional(),
      text: words("A remark.", 1024).optional(),
    }),
  ),
} as const satisfies Readonly<Record<string, EventType>>;

export type EventTypeName = keyof typeof EVENT_TYPES;
export type EventData = z.output<(typeof EVENT_TYPES)[EventTypeName]["schema"]>;

export const isEventTypeName = (name: string): name is EventTypeName => Object.hasOwn(EVENT_TYPES, name);

/** The JSON Schema (2020-12) of a type's `data`, as published: what a sender may write. */
export function dataSchema(name: EventTypeName): Record<string, unknown> {
  const schema = z.toJSONSchema(EVENT_TYPES[name].schema, {
    io: "input",
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema === decimalLiteral) Object.assign(jsonSchema, { type: "number" });
      if (zodSchema === integerLiteral) Object.assign(jsonSchema, { type: "integer", minimum: 0 });
    },
  });
  return { ...schema, $id: `signalbox.${name}.v1`, title: EVENT_TYPES[name].title };
}
