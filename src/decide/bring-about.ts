// Brings facts about: each changes the world, has its place in the record, and its outcome its number.
import type { DeviceEvent } from "../decode/event.ts";
import type { Ref } from "../sequence/source-state.ts";
import { consequences } from "./consequences.ts";
import { apply, batchOf, changedBy, type Fact, STANDING_DAY } from "./facts.ts";
import type { Group } from "./group.ts";
import { outcomeOf } from "./outcomes.ts";
import { traceContext } from "./trace-context.ts";

/** What the facts come from: the event, unless a person asked, and what is said of it. */
export interface Origin {
  readonly flags: readonly string[];
  readonly event: DeviceEvent | null;
}

/** The facts of a position and what follows from them, in order: all that are brought about there. Returns how many there are. */
export function bringAbout(group: Group, first: readonly Fact[], ref: Ref, origin: Origin): number {
  let facts = first;
  let count = 0;
  let outcomes = 0;
  const changed = new Set<string>();
  while (facts.length > 0) {
    for (const fact of facts) {
      apply(group.world, fact);
      count += 1;
      putFact(group, fact, ref, count);
      for (const key of changedBy(fact)) group.change(key);
      if (bringOut(group, fact, { ref, ordinal: outcomes + 1 }, origin)) outcomes += 1;
      const name = leavesAsSigned(fact) ? null : batchOf(fact);
      if (name !== null) changed.add(name);
    }
    facts = consequences(group.world, group.machines, facts, ref);
  }
  for (const name of changed) voidDisposition(group, name, ref, origin);
  return count;
}

/** What follows the signatures about a batch's disposition and changes nothing of what was signed. */
const FOLLOWS: ReadonlySet<string> = new Set(["batch.release", "batch.conditional", "batch.reject", "batch.close"]);
const leavesAsSigned = (fact: Fact): boolean =>
  fact.kind === "disposition.signed" ||
  (fact.kind === "batch.moved" && FOLLOWS.has(fact.by)) ||
  (fact.kind === "reported" && fact.type === "batch.recommended");

/**
 * The record of a batch has changed: what was signed about its disposition is not what there is, whatever its state machine. It goes back to what it was before anybody signed. No verdict counts it
 * among its facts: it is not what the event tells of.
 */
export function voidDisposition(group: Group, name: string, ref: Ref, origin: Origin): void {
  const batch = group.world.batch(name);
  if (batch == null || batch.signed === null) return;
  const { stage, before: to } = batch.signed;
  const fact: Fact = { kind: "disposition.voided", batch: name, stage, from: batch.disposition, to };
  apply(group.world, fact);
  const at = (rows: readonly { readonly ref: Ref }[]): number => rows.filter((row) => row.ref === ref).length + 1;
  putFact(group, fact, ref, at(group.rows.facts));
  bringOut(group, fact, { ref, ordinal: at(group.rows.outcomes) }, origin);
}

/** A fact under its place at its position and, where it belongs to a batch, under the batch's next number. */
function putFact({ world, rows, touchedBatches }: Group, fact: Fact, ref: Ref, ordinal: number): void {
  const name = batchOf(fact);
  if (name === null) {
    rows.facts.push({ ref, ordinal, fact, openedOn: STANDING_DAY, number: null });
    return;
  }
  const batch = world.batch(name);
  if (batch === undefined) throw new Error(`a fact of batch ${name}, which is not there`);
  const number = batch.facts + 1;
  world.putBatch({ ...batch, facts: number });
  touchedBatches.add(name);
  rows.facts.push({ ref, ordinal, fact, openedOn: batch.openedOn, number });
}

/** The outcome of a fact, under the next number of its stream; whether it has one. */
function bringOut(
  { world, machines, rows }: Group,
  fact: Fact,
  { ref, ordinal }: { readonly ref: Ref; readonly ordinal: number },
  { flags, event }: Origin,
): boolean {
  const outcome = outcomeOf(world, machines, fact, flags);
  if (outcome === null) return false;
  const { stream, line, openedOn, type, data } = outcome;
  const head = world.stream(stream);
  const sequence = (head?.sequence ?? 0) + 1;
  world.putStream(head === undefined ? { stream, line, sequence, openedOn } : { ...head, sequence });
  rows.outcomes.push({
    stream,
    line,
    openedOn,
    type,
    data,
    ref,
    ordinal,
    sequence,
    eventTime: event?.time ?? null,
    causation: event?.id ?? null,
    correlation: event?.correlationId ?? null,
    traceparent: event === null ? null : traceContext(event),
  });
  return true;
}
