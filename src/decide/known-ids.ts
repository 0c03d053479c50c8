// Remembers the ids of events: the first with an id has it for good, what comes again is its duplicate.
import { DIGEST_VERSION } from "../decode/digest.ts";
import type { KnownId, Ref, SourceState, WaitingEvent } from "../sequence/source-state.ts";
import { underNumber } from "./event-identity.ts";
import { type Decided, firstRound, giveVerdict } from "./give-verdict.ts";
import type { Group } from "./group.ts";
import type { EventInHand } from "./signal.ts";

/** An event that has come, with what it is known by. */
export interface Arrived {
  readonly inHand: EventInHand;
  readonly hash: string;
  readonly digest: string;
  readonly ref: Ref;
}

/** `waitsAt`: the number under which it waits, while it only waits. */
export function takeId(group: Group, source: SourceState, arrived: Arrived, waitsAt: KnownId["waitsAt"] = null): void {
  const { hash, digest, ref } = arrived;
  putId(group, source, arrived, waitsAt);
  group.rows.ids.push({ sourceKey: source.key, idHash: hash, digest, ref });
}

function putId({ world }: Group, source: SourceState, { hash, digest, ref }: Arrived, waitsAt: KnownId["waitsAt"]): void {
  const latest = { position: ref, round: 1, status: "deferred", code: null };
  world.putId(source, hash, { position: ref, digest, digestVersion: DIGEST_VERSION, latest, waitsAt });
}

export function settleDuplicate(group: Group, inHand: EventInHand, ref: Ref, known: KnownId): void {
  giveVerdict(group, inHand, firstRound(ref), duplicateOf(known.position, known.latest));
}

/** A copy in a newer epoch is judged in the stead of what waited under the old number. */
export function judgedInsteadOf(group: Group, source: SourceState, copy: WaitingEvent, arrived: Arrived): void {
  group.world.numbers.endWaiting(copy);
  putId(group, source, arrived, null);
}

/** What waited under the old number is the duplicate of what was judged in its stead. */
export function becomesDuplicate(group: Group, source: SourceState, copy: WaitingEvent, { inHand, hash, ref }: Arrived): void {
  const today = group.world.id(source, hash)?.latest ?? { status: "deferred", code: null };
  const round = group.next();
  giveVerdict(group, underNumber(inHand, copy), { ref: round, event: copy.position, round: 2, cause: ref }, duplicateOf(ref, today));
}

export function duplicateOf(first: Ref, today: { readonly status: string; readonly code: string | null }): Decided {
  return {
    status: "duplicate",
    code: "DUP_EXACT",
    by: null,
    reason: `The same event had arrived before and is ${today.status.replaceAll("_", " ")}; nothing was done again.`,
    first,
    explanation: { today: { status: today.status, code: today.code } },
  };
}
