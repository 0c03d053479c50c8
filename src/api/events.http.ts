import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { databaseNow } from "../commit/shard.store.ts";
import type { Verdict } from "../decide/verdict.ts";
import { eventText } from "../decode/decode.ts";
import { isEventTypeName } from "../decode/event-types.ts";
import { parseTopic } from "../decode/topic.ts";
import { outcomeEvent, parseVerdictId, verdictData } from "../publish/messages.ts";
import type { Delivery } from "../receive/delivery.ts";
import { bodyAsWritten } from "./body.http.ts";
import { memberText } from "./body.ts";
import type { ApiDeps } from "./deps.ts";
import { outcomeEventSchema, STATUSES, verdictSchema } from "./message-schemas.ts";
import { invalid, notFound } from "./problem.ts";
import { listVerdicts, readFacts, readOutcomesAt, readRounds, readSignal } from "./reads.store.ts";
import { mustBeKept } from "./retention.http.ts";
import {
  BODY_PROBLEMS,
  cursorText,
  decodeCursor,
  GONE,
  instantText,
  json,
  listLimit,
  pageOf,
  plantId,
  positionNumber,
  READ_PROBLEMS,
  whole,
} from "./schemas.ts";

const filter = z.strictObject({
  status: z.enum(STATUSES).optional(),
  code: z.string().max(64).optional(),
  site: plantId.optional(),
  line: plantId.optional(),
  equipment: plantId.optional(),
  batch: plantId.optional(),
  step: plantId.optional(),
  source: z.string().max(512).optional(),
  id: z.string().max(256).optional(),
  epoch: whole.optional(),
  sequence: whole.optional(),
  type: z.string().max(128).optional().describe("By its full or its short name."),
  correlation: z.string().max(256).optional(),
  from: instantText.optional().describe("Recorded at or after."),
  to: instantText.optional().describe("Recorded before."),
  latest: z.enum(["true", "false"]).default("false").describe("true: of each event only its last round until now."),
  cursor: cursorText,
  limit: listLimit,
});

export const factSchema = z.object({
  position: z.int(),
  ordinal: z.int(),
  kind: z.string(),
  batch: z.string().nullable(),
  number: z.int().nullable(),
  step: z.string().nullable(),
  attempt: z.int().nullable(),
  equipment: z.string().nullable(),
  from: z.string().nullable(),
  to: z.string().nullable(),
  data: z.record(z.string(), z.unknown()),
  recordedAt: z.string(),
});

const provenanceSchema = z
  .object({
    party: z.string().optional().describe("To whom the registry of parties gives the branch."),
    stamp: z
      .union([z.string(), z.array(z.string())])
      .optional()
      .describe("What the broker stamped; each value where it came more than once."),
    refused: z.string().optional().describe("Why it was not believed."),
  })
  .nullable()
  .describe("Whose word it is, beyond what it says itself; null: nothing is known of that.");

const signedSchema = z
  .object({ kid: z.string().describe("The party's key by which it is signed."), alg: z.literal("EdDSA") })
  .nullable()
  .describe("By which key it was signed, where the registry has its branch sign; null: by none.");

const eventResource = verdictSchema.extend({
  topic: z.string().nullable(),
  receivedAt: z.string(),
  raw: z.string().nullable().describe("The payload as it came, base64; only its head when it was refused for its size."),
  rawLength: z.int().nullable(),
  envelope: z.record(z.string(), z.unknown()).nullable().describe("The event as it was read; null where it could not be."),
  provenance: provenanceSchema,
  signed: signedSchema,
  rounds: z.array(verdictSchema),
  facts: z.array(factSchema),
  outcomes: z.array(outcomeEventSchema),
});

const eventCursor = z.tuple([plantId, positionNumber, instantText.optional()]);

const DAY_MS = 86_400_000;
const dayBefore = (instant: string): string => new Date(Date.parse(instant) - DAY_MS).toISOString();
const fullTypeOf = (type: string): string => (isEventTypeName(type) ? `signalbox.${type}.v1` : type);

export function eventRoutes(scope: FastifyInstance, deps: ApiDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const { db } = deps;

  app.get(
    "/v1/events",
    {
      schema: {
        operationId: "listEvents",
        summary: "What was accepted or refused: every round of every event, in position order",
        description:
          "Each round of an event is an item of its own, as it was published; the last one is final. Without batch, source, code or equipment, and without from, only 24 hours are covered (those before `to`, or before now), and the answer says so in `window`.",
        tags: ["events"],
        querystring: filter,
        response: {
          200: json(
            z.object({
              items: z.array(verdictSchema),
              cursor: z.string().nullable(),
              window: z.object({ from: z.string().nullable(), to: z.string().nullable(), reason: z.string() }),
            }),
            "A page of verdicts.",
          ),
          ...READ_PROBLEMS,
        },
      },
    },
    async (request) => {
      const { cursor, limit, latest, ...asked } = request.query;
      const after = decodeCursor(cursor, eventCursor);
      const narrow = asked.batch ?? asked.source ?? asked.code ?? asked.equipment;
      const byDefault = narrow === undefined && asked.from === undefined;
      // later pages go on in the window of the first
      const from = byDefault ? (after?.[2] ?? dayBefore(asked.to ?? (await databaseNow(db)))) : (asked.from ?? null);
      const rows = await listVerdicts(
        db,
        { ...asked, type: asked.type === undefined ? undefined : fullTypeOf(asked.type), from: from ?? undefined, latest: latest === "true" },
        after === null ? null : { site: after[0], position: after[1] },
        limit + 1,
      );
      const page = pageOf(rows, limit, ({ site, position }) => [site, position, ...(byDefault && from !== null ? [from] : [])]);
      return {
        items: page.items.map((row) => verdictSchema.parse(verdictData(row))),
        cursor: page.cursor,
        window: {
          from,
          to: asked.to ?? null,
          reason: byDefault ? "24 hours, since neither batch, source, code nor equipment was given, nor from" : "as asked",
        },
      };
    },
  );

  app.get(
    "/v1/events/:verdict",
    {
      schema: {
        operationId: "getEvent",
        summary: "One event by any of its verdicts: what came, what was decided in each round and why, what it brought about",
        tags: ["events"],
        params: z.strictObject({ verdict: z.string().max(128) }),
        response: { 200: json(eventResource, "The event."), ...READ_PROBLEMS, ...GONE },
      },
    },
    async (request) => {
      const id = parseVerdictId(request.params.verdict);
      const rounds = id === null ? [] : await readRounds(db, id.site, id.generation, id.position);
      const asked = rounds.find((row) => row.position === id?.position);
      if (id !== null && asked === undefined) await mustBeKept(db, id.site, id.position, `verdict ${request.params.verdict}`);
      if (id === null || asked === undefined) throw notFound(`verdict ${request.params.verdict}`);
      const positions = rounds.map((row) => row.position);
      const [signal, facts, outcomes] = await Promise.all([
        readSignal(db, id.site, asked.eventPosition),
        readFacts(db, id.site, positions),
        readOutcomesAt(db, id.site, positions),
      ]);
      return {
        ...verdictSchema.parse(verdictData(asked)),
        topic: signal?.topic ?? null,
        receivedAt: signal?.receivedAt ?? asked.recordedAt,
        raw: signal?.raw?.toString("base64") ?? null,
        rawLength: signal?.rawLength ?? null,
        envelope: signal === null || signal.topic === null ? null : envelopeOf(deps, signal),
        provenance: provenanceSchema.parse(signal?.provenance ?? null),
        signed: signedSchema.parse(signal?.signed ?? null),
        rounds: rounds.map((row) => verdictSchema.parse(verdictData(row))),
        facts: [...facts],
        outcomes: outcomes.map((row) => outcomeEventSchema.parse(outcomeEvent(row))),
      };
    },
  );

  app.post(
    "/v1/events/dry-run",
    {
      schema: {
        operationId: "dryRunEvent",
        summary: "The verdict that an event would get now; no effect",
        tags: ["events"],
        body: z.strictObject({
          topic: z.string().min(1).max(512).describe("The topic on which it would be published."),
          event: z.record(z.string(), z.unknown()).optional().describe("The structured event; its numbers are judged as they are written here."),
          payload: z.base64().optional().describe("Or the payload's bytes, base64: also what is no JSON, or repeats a key."),
          contentType: z.string().max(128).optional(),
        }),
        response: { 200: json(verdictSchema, "The verdict it would get; it has no id and no position."), ...BODY_PROBLEMS },
      },
    },
    async (request) => {
      const { topic, event, payload, contentType } = request.body;
      if ((event === undefined) === (payload === undefined))
        throw invalid("Give either event or payload.", [{ pointer: "/event", detail: "give either event or payload" }]);
      const branch = parseTopic(topic, deps.prefix);
      if (branch === null) throw invalid("The topic is no event topic.", [{ pointer: "/topic", detail: "is no topic of an equipment's branch" }]);
      const shard = deps.shard(branch.site);
      if (shard === undefined) throw notFound(`site ${branch.site}`);
      const delivery: Delivery = {
        topic,
        payload: event === undefined ? Buffer.from(payload ?? "", "base64") : Buffer.from(memberText(bodyAsWritten(request), "event") ?? ""),
        qos: 1,
        retained: false,
        dup: false,
        protocol: "5",
        contentType: contentType ?? null,
        responseTopic: null,
        correlationData: null,
        userProperties: [],
      };
      const verdict = await shard.dryRun(delivery);
      if (verdict === null) throw invalid("The topic is no event topic.", [{ pointer: "/topic", detail: "no verdict is given on it" }]);
      return verdictSchema.parse(dryVerdict(verdict));
    },
  );
}

function dryVerdict(verdict: Verdict): Record<string, unknown> {
  const {
    position: _,
    verdict: __,
    first: ___,
    cause: ____,
    ...said
  } = verdictData({
    ...verdict,
    site: "-",
    generation: 1,
    position: 0,
    eventPosition: 0,
    eventGeneration: 1,
    final: verdict.status !== "deferred" && verdict.status !== "quarantined",
    topicLine: verdict.branch.line,
    topicEquipment: verdict.branch.equipment,
    epoch: verdict.epoch === null ? null : verdict.epoch.toString(),
    sequence: verdict.sequence === null ? null : verdict.sequence.toString(),
    first: null,
    cause: null,
    tracestate: null,
    explanation: verdict.explanation === null ? null : { ...verdict.explanation },
    recordedAt: "",
  });
  return said;
}

/** The event as it was read, decoded again by the code that decoded it first. */
function envelopeOf(deps: ApiDeps, signal: NonNullable<Awaited<ReturnType<typeof readSignal>>>): Record<string, unknown> | null {
  const text = eventText(
    {
      topic: signal.topic ?? "",
      payload: signal.raw ?? new Uint8Array(),
      ...(signal.rawLength === null ? {} : { fullLength: signal.rawLength }),
      qos: 1,
      retained: false,
      dup: false,
      protocol: signal.protocol === "5" ? "5" : "3.1.1",
      contentType: signal.contentType,
      responseTopic: null,
      correlationData: null,
      userProperties: signal.userProperties ?? [],
    },
    { prefix: deps.prefix, maxBytes: deps.maxBytes },
    signal.signed !== null,
  );
  return text === null ? null : z.record(z.string(), z.unknown()).parse(JSON.parse(text));
}
