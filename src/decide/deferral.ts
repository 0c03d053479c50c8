// Defers an event that is not yet permitted: it is settled, and open until what it waits for comes or its patience ends.
import { recipeStep } from "../authorise/execution-context.ts";
import type { DeviceEvent } from "../decode/event.ts";
import { EVENT_TYPES } from "../decode/event-types.ts";
import { durationMs } from "../registry/duration.ts";
import { byAge } from "../sequence/age.ts";
import type { Ref, SourceState } from "../sequence/source-state.ts";
import { giveVerdict, type Round } from "./give-verdict.ts";
import type { Group } from "./group.ts";
import type { ContextInWords, Explanation, Refused } from "./judgement.ts";
import type { EventInHand } from "./signal.ts";
import { movesStep } from "./type-names.ts";
import type { Verdict } from "./verdict.ts";
import type { World } from "./world.ts";
import type { Deferral } from "./world-data.ts";

/** Patience where neither type nor step names one, from the first judgement. */
const DEFAULT_PATIENCE_MS = 30_000;

/** How long an event of a type is waited for in its context, in milliseconds; zero: *not yet* is no at once. */
export function patienceMs(world: World, { type }: DeviceEvent, context: Pick<ContextInWords, "batch" | "step">): number {
  if (EVENT_TYPES[type].patience === "none") return 0;
  const batch = context.batch === null ? undefined : world.batch(context.batch);
  const step = batch === undefined || context.step === null ? undefined : recipeStep(batch, context.step);
  return step?.patience === undefined ? DEFAULT_PATIENCE_MS : durationMs(step.patience);
}

/** What it lacks may still come. */
export function deferUntil(group: Group, source: SourceState, inHand: EventInHand, event: DeviceEvent, at: Round, refused: Refused): void {
  defer(group, source, inHand, event, at, { ...refused, behind: null });
}

/** An open deferred event comes before it. */
export function deferBehind(group: Group, source: SourceState, inHand: EventInHand, event: DeviceEvent, at: Round, open: Deferral): void {
  const { batch, step, attempt } = event;
  const first = open.event.claimed.id ?? `the event at ${open.position}`;
  defer(group, source, inHand, event, at, {
    code: open.code,
    by: "order",
    reason: `The event waits behind ${first}, which moves the same step.`,
    waits: [`batch:${batch}`],
    behind: open.position,
    context: { batch, step, attempt, from: "claim" },
    explanation: null,
  });
}

interface Until {
  readonly code: string;
  readonly by: Verdict["refusedBy"];
  readonly reason: string;
  readonly waits: readonly string[];
  readonly behind: Ref | null;
  readonly context: ContextInWords;
  readonly explanation: Explanation | null;
}

function defer(group: Group, source: SourceState, inHand: EventInHand, event: DeviceEvent, at: Round, until: Until): void {
  const { world } = group;
  const { code, by, reason, behind, context, explanation } = until;
  const batch = context.batch ?? event.batch;
  const step = context.step ?? event.step;
  // a batch that is not known yet is waited for by its name; so is a known one, since whoever changes it must see who waits
  const waits = [...new Set(until.waits)];
  world.putDeferral({
    position: at.event,
    version: 0,
    round: at.round,
    sourceKey: source.key,
    code,
    batch,
    step,
    moves: movesStep(event.type),
    behind,
    waits,
    event: inHand,
  });
  for (const key of waits) world.raise(key);
  countOpen(world, batch);
  giveVerdict(group, inHand, at, { status: "deferred", code, by, reason, context, explanation, patienceMs: patienceMs(world, event, context) });
}

/** What it first waited for has come, and it lacks something else now: it waits for that too. Nothing is said about it. */
export function waitFor({ world }: Group, open: Deferral, refused: Refused): void {
  const more = refused.waits.filter((key) => !open.waits.includes(key));
  if (more.length === 0) return;
  const batch = open.batch ?? refused.context.batch;
  world.putDeferral({ ...open, batch, step: open.step ?? refused.context.step, waits: [...open.waits, ...more] });
  for (const key of more) world.raise(key);
  if (open.batch === null) countOpen(world, batch);
}

function countOpen(world: World, name: string | null): void {
  const batch = name === null ? undefined : world.batch(name);
  if (batch !== undefined) world.putBatch({ ...batch, openDeferrals: batch.openDeferrals + 1 });
}

export function endDeferral(group: Group, open: Deferral): void {
  group.world.endDeferral(open);
  if (open.batch === null) return;
  const batch = group.world.batch(open.batch);
  if (batch !== undefined) group.world.putBatch({ ...batch, openDeferrals: Math.max(0, batch.openDeferrals - 1) });
  // what waits behind it may move now
  group.change(`batch:${open.batch}`);
}

/** An open deferred event of the same source that moves the same step and comes before this one. A pause waits only behind a start. */
export function waitsBehind(world: World, source: SourceState, event: DeviceEvent, self: Ref): Deferral | undefined {
  const pauses = event.type === "step.pause";
  if ((!movesStep(event.type) && !pauses) || event.batch === null || event.step === null) return undefined;
  for (const position of world.waitingFor(`batch:${event.batch}`)) {
    if (position === self) continue;
    const open = world.deferral(position);
    if (open === undefined || open.sourceKey !== source.key || open.step !== event.step || !open.moves || !precedes(source, open, event, self)) continue;
    if (pauses && (open.event.said.kind !== "event" || open.event.said.event.type !== "step.start")) continue;
    return open;
  }
  return undefined;
}

/** By its number, since what came early may have arrived first; where the source does not number, by arrival, whatever numbers its events carry. */
function precedes(source: SourceState, open: Deferral, event: DeviceEvent, self: Ref): boolean {
  if (!source.numbering) return byAge(open.position, self) < 0;
  const before = open.event.claimed;
  return numberIn(before.epoch) < numberIn(event.epoch) || (before.epoch === event.epoch && numberIn(before.sequence) < numberIn(event.sequence));
}

/** What was judged of a source that numbers has its number; the type does not know it. */
const numberIn = (number: bigint | null): bigint => number ?? 0n;
