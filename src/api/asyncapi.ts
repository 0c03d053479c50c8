import { z } from "zod";
import { OUTCOME_TYPES } from "../decide/outcomes.ts";
import { dataSchema, EVENT_TYPES, type EventTypeName } from "../decode/event-types.ts";
import { batchStateEventSchema, cursorEventSchema, outcomeEventSchema, verdictEventSchema } from "./message-schemas.ts";

type Json = Readonly<Record<string, unknown>>;

const schemaOf = (schema: z.ZodType): Json => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "output" });
  return rest;
};

const PARAMETERS: Readonly<Record<string, string>> = {
  site: "The site, a plant id.",
  line: "The line, a plant id.",
  equipment: "The equipment, a plant id.",
  batch: "The batch, a plant id.",
  device: "A device on the equipment, a plant id.",
};

/** The AsyncAPI 3.1 document of everything that is read from and published to the broker. `prefix` is the TOPIC_PREFIX in use. */
export function asyncApi(options: { readonly version: string; readonly prefix: string }): Json {
  const { prefix } = options;
  const names = Object.keys(EVENT_TYPES).filter((name): name is EventTypeName => Object.hasOwn(EVENT_TYPES, name));
  const eq = `${prefix}site/{site}/line/{line}/eq/{equipment}`;
  const batch = `${prefix}site/{site}/line/{line}/batch/{batch}`;
  const channels = {
    deviceEvents: channel(`${eq}/event`, "Events of devices.", Object.fromEntries(names.map((name) => [key(name), ref("messages", key(name))]))),
    diagnoses: channel(`${eq}/diag`, "Heartbeats and connection states; they may open a gap, never become a fact.", {
      diagnosis: ref("messages", "diagnosis"),
    }),
    verdicts: channel(`${eq}/verdict`, "What became of each event, on the branch where its delivery arrived.", { verdict: ref("messages", "verdict") }),
    equipmentCursors: channel(`${eq}/cursor`, "Retained: how far a source is decided. Devices keep what it has not passed and resend what it misses.", {
      cursor: ref("messages", "cursor"),
    }),
    deviceCursors: channel(`${eq}/device/{device}/cursor`, "Retained: the cursor of a device that numbers by itself.", { cursor: ref("messages", "cursor") }),
    replies: channel(`${eq}/reply/{reply}`, "An MQTT 5 Response Topic of the sender's own branch is answered here with the verdict.", {
      verdict: ref("messages", "verdict"),
    }),
    batchOutcomes: channel(`${batch}/outcome`, "Outcomes of a batch, numbered without holes.", { outcome: ref("messages", "outcome") }),
    batchStates: channel(`${batch}/state`, "Retained mirror of a batch, not authoritative; an empty message clears it seven days after closing.", {
      batchState: ref("messages", "batchState"),
    }),
    equipmentOutcomes: channel(`${eq}/outcome`, "Outcomes that belong to equipment.", { outcome: ref("messages", "outcome") }),
    siteOutcomes: channel(`${prefix}site/{site}/outcome`, "Outcomes that belong to the site.", { outcome: ref("messages", "outcome") }),
    checkpoints: channel(
      `${prefix}site/{site}/audit/checkpoint`,
      "Retained: the audit log's latest checkpoint, a signed note. Keep the one with the largest size.",
      {
        checkpoint: ref("messages", "checkpoint"),
      },
    ),
  };
  const operations = {
    receiveEvents: operation("receive", "deviceEvents", 1, false),
    receiveDiagnoses: operation("receive", "diagnoses", 1, false),
    publishVerdicts: operation("send", "verdicts", 1, false),
    publishEquipmentCursors: operation("send", "equipmentCursors", 1, true),
    publishDeviceCursors: operation("send", "deviceCursors", 1, true),
    publishReplies: operation("send", "replies", 1, false),
    publishBatchOutcomes: operation("send", "batchOutcomes", 1, false),
    publishBatchStates: operation("send", "batchStates", 1, true),
    publishEquipmentOutcomes: operation("send", "equipmentOutcomes", 1, false),
    publishSiteOutcomes: operation("send", "siteOutcomes", 1, false),
    publishCheckpoints: operation("send", "checkpoints", 1, true),
  };
  const messages = {
    ...Object.fromEntries(
      names.map((name) => [
        key(name),
        {
          name: `signalbox.${name}.v1`,
          title: EVENT_TYPES[name].title,
          contentType: "application/cloudevents+json",
          payload: eventSchema(name),
          bindings: { mqtt: { bindingVersion: "0.2.0" } },
        },
      ]),
    ),
    diagnosis: {
      name: "diagnosis",
      contentType: "application/json",
      payload: {
        type: "object",
        properties: {
          source: { type: "string" },
          device: { type: "string" },
          state: { enum: ["online", "offline"] },
          epoch: NUMBER,
          sequence: NUMBER,
          time: { type: "string", format: "date-time" },
        },
      },
    },
    verdict: message("signalbox.event.decided.v1", verdictEventSchema),
    outcome: message("outcome", outcomeEventSchema.extend({ type: z.enum([...new Set(OUTCOME_TYPES.map((type) => `signalbox.${type}.v1`))]) })),
    cursor: message("signalbox.source.cursor.v1", cursorEventSchema),
    batchState: message("signalbox.batch.state.v1", batchStateEventSchema),
    checkpoint: {
      name: "checkpoint",
      title: "A signed note over origin, size and root of the audit log (C2SP tlog-checkpoint)",
      contentType: "text/plain",
      payload: { type: "string", pattern: "^signalbox/[^\\n]+\\n[0-9]+\\n[A-Za-z0-9+/]{43}=\\n(.+\\n)*\\n(\u2014 .+\\n)+$" },
      bindings: { mqtt: { bindingVersion: "0.2.0" } },
    },
  };
  return {
    asyncapi: "3.1.0",
    id: "urn:signalbox",
    info: { title: "Signalbox", version: options.version, description: "Signals in, facts out.", license: { name: "Apache-2.0" } },
    defaultContentType: "application/cloudevents+json",
    channels,
    operations,
    components: { messages },
  };
}

const NUMBER: Json = {
  oneOf: [
    { type: "string", pattern: "^(0|[1-9][0-9]{0,18})$" },
    { type: "integer", minimum: 0 },
  ],
};
const PLANT_ID: Json = { type: "string", pattern: "^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$" };

/** The structured envelope of a type, as a sender writes it. */
function eventSchema(name: EventTypeName): Json {
  const { $schema: _, $id: __, ...data } = dataSchema(name);
  const claims = EVENT_TYPES[name].context === "claim" ? (name.startsWith("batch.") ? ["batchid"] : ["batchid", "stepid"]) : [];
  return {
    type: "object",
    required: ["specversion", "id", "source", "type", "data", ...claims],
    properties: {
      specversion: { const: "1.0" },
      id: { type: "string", minLength: 1, maxLength: 256 },
      source: { type: "string" },
      type: { const: `signalbox.${name}.v1` },
      time: { type: "string", format: "date-time" },
      timesource: { enum: ["ntp", "ptp", "gps", "rtc", "none"] },
      epoch: NUMBER,
      sequence: NUMBER,
      batchid: PLANT_ID,
      stepid: PLANT_ID,
      attempt: { oneOf: [{ type: "integer", minimum: 1 }, { type: "string" }] },
      occurred: { type: "boolean" },
      reciperevision: { type: "string" },
      evidenceref: { type: "string" },
      correlationid: { type: "string" },
      causationid: { type: "string" },
      traceparent: { type: "string" },
      tracestate: { type: "string" },
      data,
    },
  };
}

const key = (name: string): string => name.replace(/\W(\w)/g, (_, letter: string) => letter.toUpperCase());
const ref = (kind: string, name: string): Json => ({ $ref: `#/components/${kind}/${name}` });

function channel(address: string, description: string, messages: Json): Json {
  const parameters = [...address.matchAll(/\{(\w+)\}/g)].map(([, name = ""]): [string, Json] => [
    name,
    { description: PARAMETERS[name] ?? "Chosen by the sender." },
  ]);
  return { address, description, ...(parameters.length === 0 ? {} : { parameters: Object.fromEntries(parameters) }), messages };
}

function operation(action: "send" | "receive", name: string, qos: number, retain: boolean): Json {
  return { action, channel: { $ref: `#/channels/${name}` }, bindings: { mqtt: { qos, retain, bindingVersion: "0.2.0" } } };
}

const message = (name: string, schema: z.ZodType): Json => ({
  name,
  contentType: "application/cloudevents+json",
  payload: schemaOf(schema),
  bindings: { mqtt: { bindingVersion: "0.2.0" } },
});
