import { z } from "zod";

// What a recipe may say. Unknown fields are refused: what nobody reads, nobody should believe to be in force. Whether a recipe of this shape can be completed is
// the question of recipe-check.ts.

/** Plant ids: unique per site, safe in topics and paths. */
export const plantId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/, "must be a plant id: a letter or digit, then up to 63 letters, digits, _ . : -");

/** A decimal as text, kept literally: "12.500" has three places. */
export const decimalText = z
  .string()
  .max(34)
  .regex(/^-?\d+(\.\d+)?$/, 'must be a decimal as text, such as "12.500"');

/** A UCUM unit, case-sensitive. */
export const unitText = z
  .string()
  .max(32)
  .regex(/^[!-~]+$/, 'must be a UCUM unit, such as "kg" or "Cel"');

const stateMachineName = z
  .string()
  .regex(/^[a-z][a-z0-9-]*(\/[a-z0-9][a-z0-9.-]*)+@[1-9]\d{0,8}$/, 'must name a state machine with its revision, such as "step/governed@1"');

const parameter = z.strictObject({
  unit: unitText,
  default: decimalText,
  /** The permitted range of the value in force, after scaling. */
  min: decimalText.optional(),
  max: decimalText.optional(),
  /** Grows with the batch: value = default x quantity of the batch / quantity of the recipe. */
  scaled: z.boolean().default(false),
});

/**
 * Either `low` and/or `high` as they stand, or a parameter: its value in force, give or take a tolerance ("0.5 %", "0.05 kg", or a decimal in the parameter's unit;
 * none: exactly the value, to its places).
 */
const limits = z
  .strictObject({ low: decimalText.optional(), high: decimalText.optional(), parameter: plantId.optional(), tolerance: z.string().max(64).optional() })
  .check(({ value, issues }) => {
    const literal = value.low !== undefined || value.high !== undefined;
    if (literal === (value.parameter !== undefined)) issues.push({ code: "custom", message: "must name either low and/or high, or a parameter", input: value });
    else if (literal && value.tolerance !== undefined)
      issues.push({ code: "custom", message: "a tolerance belongs to a parameter", input: value, path: ["tolerance"] });
  });

const evidenceSlot = z.strictObject({
  evidence: plantId,
  kind: z.enum(["measurement", "count", "check", "scan", "reference"]),
  unit: unitText.optional(),
  /** How many are needed. */
  count: z.int().min(1).max(10_000).default(1),
  limits: limits.optional(),
  /** The role whose equipment gives it; without one, any equipment engaged in the step may. */
  equipment: plantId.optional(),
  /** The text that a scan must read. */
  match: z.string().min(1).max(256).optional(),
  /** Taken when it comes; the step completes without it. */
  optional: z.boolean().optional(),
});

const role = z.strictObject({
  role: plantId,
  class: plantId,
  /** `step`: engaged by one step attempt at a time; `batch`: allocated to the batch from its start to its end. */
  locked: z.enum(["step", "batch"]),
});

const step = z.strictObject({
  step: plantId,
  title: z.string().min(1).max(256).optional(),
  /** The steps that must be complete before this one starts. */
  after: z.array(plantId).max(256).optional(),
  /** How long an event of this step may wait for what it lacks: an ISO 8601 duration. */
  patience: z.string().max(64).optional(),
  equipment: z.array(role).max(64).optional(),
  evidence: z.array(evidenceSlot).max(256).optional(),
  duration: z.strictObject({ min: z.string().max(64).optional(), max: z.string().max(64).optional() }).optional(),
  /** The step may be skipped, by a signed decision. */
  optional: z.boolean().optional(),
  verification: z.enum(["second-person", "none"]).optional(),
});

export const recipeSchema = z.strictObject({
  recipe: plantId,
  revision: z.int().min(1).max(999_999_999),
  product: z.string().min(1).max(256),
  quantity: z.strictObject({ value: decimalText, unit: unitText }),
  stateMachines: z.strictObject({ batch: stateMachineName, step: stateMachineName }),
  parameters: z.record(plantId, parameter).default({}),
  steps: z.array(step).min(1, "a recipe needs at least one step").max(1000),
});

export type Recipe = z.infer<typeof recipeSchema>;
export type RecipeStep = Recipe["steps"][number];
export type EvidenceSlot = z.infer<typeof evidenceSlot>;

/** A recipe out of the registry, where it was checked before it was let in. Throws a ZodError on any other shape. */
export const parseRecipe = (content: unknown): Recipe => recipeSchema.parse(content);
