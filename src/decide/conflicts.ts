// Two events claim to be one, by their id or by their number: the first stands, the other waits for a person.
import type { Ref, SourceState } from "../sequence/source-state.ts";
import { firstRound, giveVerdict } from "./give-verdict.ts";
import type { Group } from "./group.ts";
import { type Arrived, duplicateOf } from "./known-ids.ts";
import { quarantine } from "./quarantine.ts";
import type { Numbered } from "./waiting.ts";

/** Once for each content: `seen` is where the same content was already found in conflict. */
export function settleReusedId(group: Group, source: SourceState, { inHand, hash, digest, ref }: Arrived, seen: Ref | undefined): void {
  if (seen !== undefined) {
    giveVerdict(group, inHand, firstRound(ref), duplicateOf(seen, { status: "quarantined", code: "DUP_ID_REUSED" }));
    return;
  }
  group.world.putConflict(source, hash, digest, ref);
  group.rows.conflicts.push({ sourceKey: source.key, idHash: hash, digest, ref });
  const reason = `Id ${inHand.claimed.id} of ${source.source} was used before with other content.`;
  quarantine(group, source, inHand, firstRound(ref), { code: "DUP_ID_REUSED", by: "order", reason });
}

/** Only a number at or below the cursor says that the counter went back; two in a row park the source. */
export function settleReusedNumber(group: Group, source: SourceState, { inHand, epoch, sequence, ref }: Numbered, wentBack: boolean): void {
  const reason = `Number ${sequence} of epoch ${epoch} of ${source.source} is taken by another event.`;
  quarantine(group, source, inHand, firstRound(ref), { code: "SEQ_REUSED", by: "order", reason });
  if (!wentBack) return;
  const reused = source.reused + 1;
  const parks = reused >= 2 && source.parked === null;
  if (parks)
    group.openException(ref, { code: "SEQ_REUSED", reason: `The counter of ${source.source} went back; the source is parked.`, source: source.source });
  group.putSource({ ...source, reused, parked: parks ? { why: "counter_back", position: ref } : source.parked }, ref);
}
