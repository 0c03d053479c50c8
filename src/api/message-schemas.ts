import { z } from "zod";

// The shapes of everything the service says, over MQTT and over REST alike. Consumers ignore what they do not know: within v1 fields are only added.

const text = z.string();
const instant = z.string().describe("RFC 3339, UTC.");
const number = z.string().regex(/^\d+$/).describe("A whole number as decimal text.");

export const checkSchema = z.object({
  guard: text.describe("A guard by name and version."),
  ok: z.boolean(),
  code: text.optional(),
  notYet: z.boolean().optional().describe("Whether it failed only for now."),
  expected: text.optional(),
  actual: text.optional(),
});

/** Deliveries beyond the quota of their branch, for which one verdict is given. */
export const leftOutSchema = z.object({
  count: z.int().min(1),
  bytes: z.int().min(0),
  from: instant.describe("When the first came, UTC."),
  to: instant.describe("When the last came, UTC; it is the event that the verdict names."),
  first: z
    .object({ source: text.optional(), id: text.optional(), epoch: number.optional(), sequence: number.optional() })
    .optional()
    .describe("Who the first claims to be, as far as it could be read. Absent: there was only one, or nothing could be read."),
});

export const explanationSchema = z.object({
  state: text.nullable().optional(),
  permitted: z.array(text).optional().describe("Types that the state would have taken."),
  stateMachine: text.nullable().optional(),
  guards: z.array(checkSchema).optional(),
  leftOut: leftOutSchema.optional().describe("With SYS_RATE_LIMITED: what was left out of the branch, all of which may come again."),
});

export const performedBySchema = z.object({
  person: text,
  station: text,
  session: z.int().describe("The position of the entry that tells of the session's opening."),
  at: instant.describe("When it was done, UTC."),
  clock: z.enum(["device", "arrival"]).describe("By whose clock: the device's, or the service's own when the event came."),
});

export const STATUSES = ["accepted", "accepted_with_exception", "duplicate", "rejected", "observed", "deferred", "quarantined"] as const;

export const verdictSchema = z.object({
  verdict: text.optional().describe("The id of this round; GET /v1/events/{verdict} answers any round. Absent in a dry run."),
  round: z.int().min(1),
  event: z.object({ source: text.optional(), id: text.optional(), type: text.optional(), epoch: number.optional(), sequence: number.optional() }),
  status: z.enum(STATUSES),
  final: z.boolean(),
  code: text.optional(),
  reason: text,
  next: z.enum(["none", "wait", "resend", "correct", "ask"]),
  remedy: text.optional(),
  context: z.object({ batch: text.nullable(), step: text.nullable(), attempt: z.int().nullable(), from: z.enum(["claim", "lock", "none"]) }),
  performedBy: performedBySchema
    .optional()
    .describe("Whose session was open at the device's station when it was done. Absent: nobody's, for good; never taken from the message."),
  position: z.int().optional(),
  firstRound: text.optional(),
  cause: z.int().optional().describe("The position of what made it be judged again."),
  ahead: z.boolean().optional().describe("It acted before its turn."),
  flags: z.array(text).optional(),
  first: z.object({ verdict: text, status: text.nullable(), code: text.nullable() }).optional().describe("Of a duplicate: the first of its kind."),
  today: z.object({ status: text, code: text.nullable() }).optional().describe("Of a duplicate: what has become of the first until now."),
  explanation: explanationSchema.optional(),
});

const cloudEvent = { specversion: z.literal("1.0"), id: text, source: text, time: instant, datacontenttype: z.literal("application/json") };

export const verdictEventSchema = z.object({
  ...cloudEvent,
  type: z.literal("signalbox.event.decided.v1"),
  causationid: text.optional(),
  correlationid: text.optional(),
  traceparent: text.optional(),
  tracestate: text.optional(),
  data: verdictSchema,
});

export const outcomeEventSchema = z.object({
  ...cloudEvent,
  type: text.regex(/^signalbox\..+\.v\d+$/),
  recordedtime: instant,
  sequence: number.describe("Contiguous within the stream."),
  causationid: text.optional(),
  correlationid: text.optional(),
  traceparent: text.optional(),
  tracestate: text.optional(),
  supersedes: text.optional(),
  data: z.looseObject({ position: z.int(), generation: z.int() }),
});

export const cursorEventSchema = z.object({
  ...cloudEvent,
  type: z.literal("signalbox.source.cursor.v1"),
  data: z.object({
    source: text,
    epoch: number.nullable(),
    through: number,
    highest: number,
    missing: z.array(z.object({ epoch: number, from: number, to: number })).max(16),
    parked: z.boolean(),
    generation: z.int(),
    version: z.int(),
  }),
});

export const batchStateEventSchema = z.object({
  ...cloudEvent,
  type: z.literal("signalbox.batch.state.v1"),
  data: z.object({
    authoritative: z.literal(false),
    batch: text,
    jobOrder: text,
    recipe: text,
    execution: text,
    disposition: text,
    steps: z.array(z.object({ step: text, attempt: z.int(), state: text })),
    version: z.int(),
    generation: z.int(),
  }),
});
