import { z } from "zod";

// Verdicts, outcomes and cursors as a client reads them: what it does not know it ignores, so that a newer service can say more.

const text = z.string().nullish();

const guardSchema = z.looseObject({ guard: z.string(), ok: z.boolean(), code: text, notYet: z.boolean().nullish(), expected: text, actual: text });

export const verdictSchema = z.looseObject({
  verdict: z.string(),
  round: z.number(),
  firstRound: text,
  event: z.looseObject({ source: text, id: text, type: text, epoch: text, sequence: text }),
  status: z.string(),
  final: z.boolean(),
  code: text,
  reason: text,
  next: text,
  remedy: text,
  context: z.looseObject({ batch: text, step: text, attempt: z.number().nullish(), from: text }).nullish(),
  position: z.number(),
  flags: z.array(z.string()).nullish(),
  ahead: z.boolean().nullish(),
  first: z.looseObject({ verdict: z.string(), status: text, code: text }).nullish(),
  explanation: z.looseObject({ state: text, permitted: z.array(z.string()).nullish(), stateMachine: text, guards: z.array(guardSchema).nullish() }).nullish(),
});
export type VerdictData = z.infer<typeof verdictSchema>;

export const verdictEventSchema = z.looseObject({ type: z.literal("signalbox.event.decided.v1"), time: z.string(), data: verdictSchema });

export const cursorSchema = z.looseObject({
  source: z.string(),
  epoch: text,
  through: z.string(),
  highest: z.string(),
  missing: z.array(z.looseObject({ epoch: z.string(), from: z.string(), to: z.string() })),
  parked: z.boolean(),
  generation: z.number(),
  version: z.number(),
});
export type CursorData = z.infer<typeof cursorSchema>;
export const cursorEventSchema = z.looseObject({ type: z.literal("signalbox.source.cursor.v1"), data: cursorSchema });

export const outcomeSchema = z.looseObject({
  id: z.string(),
  source: z.string(),
  type: z.string(),
  time: text,
  sequence: z.string(),
  causationid: text,
  data: z.looseObject({ batch: text, step: text, position: z.number(), generation: z.number() }),
});
export type OutcomeEvent = z.infer<typeof outcomeSchema>;

/** What a JSON text says, or null when it is not of that shape. */
export function read<T>(schema: z.ZodType<T>, json: string): T | null {
  try {
    const parsed = schema.safeParse(JSON.parse(json));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/** Neither accepted nor a repetition: what a person looks at. */
export const isRefused = (verdict: Pick<VerdictData, "status">): boolean => verdict.status === "rejected" || verdict.status === "quarantined";
