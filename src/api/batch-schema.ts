import { z } from "zod";

export const batchSchema = z.object({
  batch: z.string(),
  version: z.int(),
  jobOrder: z.string(),
  line: z.string(),
  recipe: z.string(),
  product: z.string(),
  quantity: z.object({ value: z.string(), unit: z.string() }),
  parameters: z.record(z.string(), z.object({ value: z.string(), unit: z.string() })).describe("In force: scaled to the batch's quantity."),
  equipment: z.record(z.string(), z.string()).describe("Which equipment plays which role."),
  execution: z.string(),
  disposition: z.string(),
  signed: z
    .enum(["recommended", "disposed"])
    .optional()
    .describe(
      "Which stage of its disposition is signed: by production, or by quality. Absent: none is, or the record has changed since, which voids what was signed.",
    ),
  impediments: z.object({ deferred: z.int(), quarantined: z.int(), exceptions: z.int() }),
  createdAt: z.string(),
  startedAt: z.string().nullable(),
  endedAt: z.string().nullable(),
  closedAt: z.string().nullable(),
  steps: z.array(
    z.object({
      step: z.string(),
      title: z.string().nullable(),
      attempt: z.int(),
      state: z.string(),
      equipment: z.array(z.string()),
      startedAt: z.string().nullable(),
      endedAt: z.string().nullable(),
      evidence: z.array(
        z.object({
          evidence: z.string(),
          value: z.string().nullable(),
          unit: z.string().nullable(),
          within: z.boolean().nullable(),
          by: z.string().nullable().describe("The event that gave it; null: a person."),
        }),
      ),
    }),
  ),
});

export const warningsSchema = z.array(z.object({ code: z.string(), reason: z.string() }));

export const commandedSchema = batchSchema.extend({
  position: z.int().describe("Where the command stands in the site's order."),
  warnings: warningsSchema.describe("What is true and yet not as it should be; each opened an exception."),
});
