import { z } from "zod";
import { batchSchema } from "./batch-schema.ts";
import { factSchema } from "./events.http.ts";
import { exceptionSchema, lockSchema, quarantineSchema } from "./operations.http.ts";

const text = z.string();
const pinned = z.object({ name: text.describe("With its revision."), sha256: text });

const performerSchema = z.object({
  kind: z.enum(["person", "machine", "device", "system"]),
  name: text.describe("A person, a source, or signalbox. Whoever acted before there was an administrator is unattributed."),
  what: text.describe("The event's type, the command, or what fell due."),
  event: text.nullable().describe("The event's id; null: it was none."),
  performedBy: z
    .object({ person: text, station: text, session: z.int() })
    .nullable()
    .describe("Of what a device told: whose session was open at its station when it was done; null: unattributed, for good."),
});

const refusalSchema = z.object({
  position: z.int(),
  recordedAt: text,
  by: performerSchema.nullable(),
  step: text.nullable(),
  attempt: z.int().nullable(),
  status: z.enum(["rejected", "quarantined", "refused"]).describe("refused: a command."),
  code: text.nullable(),
  sentence: text.describe("What was met, expected and found, and what is done about it."),
  became: z
    .object({
      position: z.int(),
      status: text,
      code: text.nullable(),
      by: performerSchema.nullable().describe("Who decided so, or what brought it about."),
      comment: text.nullable().describe("The reason of whoever decided."),
    })
    .nullable()
    .describe("What has become of the event until now; of one that a person decided about, by whom and why."),
});

const recordedExceptionSchema = exceptionSchema.extend({
  sentence: text,
  resolution: z.object({ position: z.int(), at: text, by: performerSchema.nullable(), comment: text.nullable() }).nullable().describe("null: it is open."),
});

const moveSchema = z.object({
  position: z.int(),
  from: text.nullable(),
  to: text.nullable(),
  at: text.describe("When it was told or ordered."),
  recordedAt: text,
  by: performerSchema.nullable(),
  comment: text.nullable().describe("The reason of whoever ordered it."),
});

const commandSchema = z.object({
  position: z.int(),
  recordedAt: text,
  by: performerSchema,
  from: text.nullable().describe("From where it was asked."),
  signed: text.nullable().describe("The signature, as it is printed; null: it was not signed."),
  void: z.boolean().describe("It was signed about the batch's disposition, and the record has changed since: the signature holds no more."),
  step: text.nullable(),
  reason: text.nullable(),
  comment: text.nullable(),
  result: text,
  code: text.nullable(),
  sentence: text.nullable().describe("Why it was refused."),
});

const attemptSchema = z.object({
  step: text,
  title: text.nullable(),
  attempt: z.int(),
  state: text,
  startedAt: text.nullable(),
  endedAt: text.nullable(),
  equipment: z
    .array(z.object({ role: text, class: text.nullable(), equipment: text.nullable(), from: text.nullable(), to: text.nullable() }))
    .describe("What it worked with, and from when to when; without times: what is to play the role."),
  needs: z
    .array(
      z.object({
        evidence: text,
        kind: text,
        count: z.int(),
        recorded: z.int(),
        optional: z.boolean(),
        unit: text.nullable(),
        low: text.nullable(),
        high: text.nullable(),
      }),
    )
    .describe("What the recipe asks for, with the limits in force now, and how much of it is in force."),
  evidence: z.array(
    z.object({
      position: z.int(),
      evidence: text,
      value: text.nullable(),
      unit: text.nullable(),
      low: text.nullable().describe("The limits that it was held against."),
      high: text.nullable(),
      within: z.boolean().nullable().describe("null: it has no limits."),
      deviation: text.nullable().describe("How far it lies outside its limits: above them positive, below negative; null: it does not."),
      at: text.nullable().describe("As the device says it."),
      recordedAt: text,
      by: performerSchema.nullable(),
      comment: text.nullable(),
      supersededBy: z.int().nullable().describe("The position of the correction that took its place; null: it is in force."),
    }),
  ),
  moves: z.array(moveSchema),
  exceptions: z.array(recordedExceptionSchema),
  refusals: z.array(refusalSchema),
  comments: z.array(z.object({ position: z.int(), recordedAt: text, by: performerSchema, comment: text })),
});

export const recordSchema = z.object({
  site: text,
  asOf: z
    .object({ position: z.int(), time: text, entries: z.int(), signed: z.int() })
    .describe("The site's last position, how many entries of the log change this record, and up to which position the log is signed."),
  batch: batchSchema,
  pinned: z
    .object({ recipe: pinned, batch: pinned, step: pinned })
    .describe("What the batch is bound to, by hash: since its creation, or since a signed amendment."),
  moves: z.array(moveSchema).describe("What the batch itself went through."),
  steps: z.array(attemptSchema).describe("Step by step, every attempt."),
  commands: z.array(commandSchema).describe("Everything ordered about the batch, also in vain."),
  refusals: z.array(refusalSchema).describe("Everything refused about the batch, in order; each step has its own again."),
  facts: z.array(factSchema).describe("Every fact of the batch, in order, numbered without holes."),
  locks: z.array(lockSchema).describe("Which equipment it held, and when."),
  exceptions: z.array(recordedExceptionSchema).describe("Open and resolved; each step has its own again."),
  quarantine: z.array(quarantineSchema).describe("Events about which a person has yet to decide."),
  verdicts: z.record(z.string(), z.int()).describe("How many rounds ended how; the timeline has them."),
  reviews: z
    .array(
      z.object({
        review: z.int(),
        state: text,
        openedBy: text,
        openedAt: text,
        conclusion: z.object({ conclusion: text, finding: text, by: text, at: text, signed: text.nullable(), void: z.boolean() }).nullable(),
      }),
    )
    .describe("Reviews of the batch's audit trail."),
});

export type BatchRecord = z.infer<typeof recordSchema>;
export type Performer = z.infer<typeof performerSchema>;
export type Refusal = z.infer<typeof refusalSchema>;
export type RecordedException = z.infer<typeof recordedExceptionSchema>;
export type CommandOnRecord = z.infer<typeof commandSchema>;
export type StepAttempt = z.infer<typeof attemptSchema>;
export type Move = z.infer<typeof moveSchema>;
