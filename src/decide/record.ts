// Puts signals on record, each at its position.
import type { Ref, SourceState } from "../sequence/source-state.ts";
import { digestOf } from "./event-identity.ts";
import type { Group } from "./group.ts";
import type { SignalRow } from "./rows.ts";
import type { CommandSignal, DiagSignal, EventSignal, TickSignal } from "./signal.ts";

export function recordEvent(group: Group, ref: Ref, signal: EventSignal, source: SourceState | undefined): void {
  const { claimed } = signal.inHand;
  group.rows.signals.push({
    ref,
    kind: "event",
    sourceKey: source?.key ?? null,
    source: claimed.source,
    eventId: claimed.id,
    type: claimed.type,
    epoch: claimed.epoch,
    sequence: claimed.sequence,
    digest: digestOf(signal.inHand),
    delivery: signal.delivery,
    receivedAt: signal.inHand.receivedAt,
    actor: null,
    body: besideDelivery(signal),
  });
}

/** What is known of a delivery beyond its bytes; what there is nothing of is absent, and null: nothing. */
function besideDelivery({ provenance, signed, leftOut, askedOfBranch }: EventSignal): SignalRow["body"] {
  if (provenance === undefined && signed === undefined && leftOut === undefined && askedOfBranch === undefined) return null;
  return {
    ...(provenance === undefined ? {} : { provenance }),
    ...(signed === undefined ? {} : { signed }),
    ...(leftOut === undefined ? {} : { leftOut }),
    ...(askedOfBranch === undefined ? {} : { askedOfBranch }),
  };
}

export function recordDiagnosis(group: Group, ref: Ref, { diagnosis, delivery, receivedAt }: DiagSignal, source: SourceState): void {
  const { epoch, sequence } = diagnosis;
  group.rows.signals.push({ ...rowOf("diag", ref, receivedAt), sourceKey: source.key, source: source.source, epoch, sequence, delivery });
}

export function recordCommand(group: Group, ref: Ref, signal: CommandSignal): void {
  group.rows.signals.push(rowOf("command", ref, signal.receivedAt, signal.actor, bodyOf(signal)));
}

export function recordTick(group: Group, ref: Ref, { tick, receivedAt }: TickSignal): void {
  group.rows.signals.push(rowOf("tick", ref, receivedAt, null, { ...tick }));
}

/** The row of what is no event. */
const rowOf = (kind: SignalRow["kind"], ref: Ref, receivedAt: string, actor: string | null = null, body: SignalRow["body"] = null): SignalRow => ({
  ref,
  kind,
  sourceKey: null,
  source: null,
  eventId: null,
  type: null,
  epoch: null,
  sequence: null,
  digest: null,
  delivery: null,
  receivedAt,
  actor,
  body,
});

/** As it goes on record: numbers of a source as text, and without what is not said. */
function bodyOf({ command, ifVersion, from, role, signature }: CommandSignal): Readonly<Record<string, unknown>> {
  const asked =
    command.kind === "gap.resolve" ? { ...command, epoch: command.epoch?.toString() ?? null, sequence: command.sequence?.toString() ?? null } : command;
  const said = { from, role, signature };
  return { ...asked, ifVersion, ...Object.fromEntries(Object.entries(said).filter(([, value]) => value !== null)) };
}
