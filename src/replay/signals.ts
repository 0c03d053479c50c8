// A recorded signal as the service had it in hand.
import { hash } from "node:crypto";
import { eventSignal } from "../decide/in-hand.ts";
import { unstorable } from "../decide/poison.ts";
import type { Command, Signal, Tick } from "../decide/signal.ts";
import { decode } from "../decode/decode.ts";
import type { Decoded, DeviceEvent } from "../decode/event.ts";
import type { Delivery } from "../receive/delivery.ts";
import { type GroupSignal, Unreadable } from "./groups.ts";
import type { SignalFields } from "./recorded.ts";
import type { Reading } from "./site-record.ts";

/** Throws Unreadable. */
export function signalOf(recorded: GroupSignal, reading: Reading): Signal {
  const { fields, position, event: read } = recorded;
  const { kind, received_at: receivedAt } = fields;
  if (read === null) sameBytes(recorded);
  if (Number.isNaN(Date.parse(receivedAt))) throw new Unreadable(position, "the signal does not say when it came");
  if (kind === "tick") return { kind, tick: Object(fields.body) satisfies Tick, receivedAt };
  if (kind === "command") return commandOf(fields);
  const delivery = deliveryOf(recorded);
  const decoded: Decoded = read === null ? decode(delivery, reading) : { kind: "event", event: read };
  if (decoded.kind === "ignored") throw new Unreadable(position, `the delivery is no signal: ${decoded.why}`);
  if (decoded.kind === "diag") return { kind: "diag", delivery, diagnosis: decoded.diagnosis, receivedAt, onRecord: true };
  const { provenance, leftOut, askedOfBranch } = Object(fields.body);
  // by whom it is signed is found again, not taken from the record
  const event = eventSignal(delivery, whole(decoded, delivery, fields), receivedAt, reading.prefix, { provenance, leftOut });
  const { branchSource: _, ...asBefore } = event;
  const asked = askedOfBranch === true ? event : asBefore;
  return recorded.unstorable ? unstorable(asked) : asked;
}

function sameBytes({ fields, position, raw }: GroupSignal): void {
  if (fields.raw_sha256 != null && (raw === null || hash("sha256", raw, "hex") !== fields.raw_sha256))
    throw new Unreadable(position, "the delivery's bytes are not those whose hash is in the entry");
}

/** What the delivery of an event says, where it is plain data: what is refused or signed is more. */
export function plainEventOf(recorded: GroupSignal, reading: Reading): DeviceEvent | null {
  if (recorded.fields.kind !== "event") return null;
  sameBytes(recorded);
  const decoded = decode(deliveryOf(recorded), reading);
  return decoded.kind === "event" ? decoded.event : null;
}

/** Of a payload that was too large only the head is kept: what it hashed to as a whole is taken as recorded. */
function whole<T extends Decoded>(decoded: T, { fullLength, payload }: Delivery, { digest }: SignalFields): T {
  if (decoded.kind !== "refused" || digest === null || fullLength === undefined || fullLength === payload.byteLength) return decoded;
  return { ...decoded, partial: { ...decoded.partial, digest: Buffer.from(digest, "hex").toString("hex") } };
}

const COMMANDS: ReadonlySet<unknown> = new Set<Command["kind"]>([
  "batch.create",
  "batch.update",
  "batch.command",
  "step.command",
  "gap.resolve",
  "source.succession",
  "quarantine.resolve",
  "exception.resolve",
  "lock.takeover",
]);

/** The key under which a command was asked is not in its entry: who asked again under it was told what was answered, and took no position. */
function commandOf({ body, actor, received_at: receivedAt }: SignalFields): Signal {
  const { ifVersion, from, role, signature, ...asked } = Object(body);
  if (!COMMANDS.has(asked.kind)) throw new Error(`${asked.kind} is no command`);
  const command: Command =
    asked.kind === "gap.resolve"
      ? { ...asked, epoch: asked.epoch === null ? null : BigInt(asked.epoch), sequence: asked.sequence === null ? null : BigInt(asked.sequence) }
      : asked;
  return {
    kind: "command",
    command,
    actor: actor ?? "",
    role: role ?? null,
    signature: signature ?? null,
    from: from ?? null,
    ifVersion: ifVersion ?? null,
    key: null,
    receivedAt,
  };
}

function deliveryOf({ fields, raw }: GroupSignal): Delivery {
  const payload = raw ?? new Uint8Array();
  return {
    topic: fields.topic ?? "",
    payload,
    ...(fields.raw_length === null || fields.raw_length === payload.byteLength ? {} : { fullLength: fields.raw_length }),
    qos: fields.qos ?? 1,
    retained: fields.retained ?? false,
    dup: false,
    protocol: fields.protocol ?? "5",
    contentType: fields.content_type,
    responseTopic: fields.response_topic,
    correlationData: fields.correlation_data === null ? null : Buffer.from(fields.correlation_data, "base64"),
    userProperties: fields.user_properties ?? [],
  };
}
