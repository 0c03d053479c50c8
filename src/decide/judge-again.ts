// Judges deferred events again, when what they wait for has changed or their patience has ended.
import { byAge } from "../sequence/age.ts";
import { olderThanLast } from "../sequence/monotonic.ts";
import type { Ref } from "../sequence/source-state.ts";
import { endDeferral, waitFor, waitsBehind } from "./deferral.ts";
import type { Round } from "./give-verdict.ts";
import type { Group } from "./group.ts";
import { judgeEvent } from "./judge.ts";
import { poisonDeferral } from "./poison.ts";
import { accept, observe, refuse } from "./settle-judgement.ts";
import type { Deferral } from "./world-data.ts";

/** How many deferred events are judged again in one commit; the rest follow in the next. */
const AGAIN_LIMIT = 500;

/** Judges again what waited for something that has changed: oldest first, until nothing more comes free. `judge`: how each is judged. */
export function judgeAgain(group: Group, judge: (group: Group, open: Deferral, cause: Ref) => void = judgeDeferral): void {
  while (group.hasChanged) {
    const changed = group.takeChanged();
    let reached: Ref = 0;
    for (const position of waitingFor(group, changed)) {
      if (group.judgedAgain >= AGAIN_LIMIT) {
        goOnLater(group, changed, reached);
        return;
      }
      group.judgedAgain += 1;
      if (position > 0) reached = position;
      const open = group.world.deferral(position);
      if (open === undefined) continue;
      judge(group, open, group.last);
      if (group.hasChanged) {
        // something came free: what is older may now move too, so begin again from the oldest
        for (const [key, after] of changed) group.change(key, after);
        break;
      }
    }
  }
}

type Changed = ReturnType<Group["takeChanged"]>;

function waitingFor({ world }: Group, changed: Changed): readonly Ref[] {
  const positions = new Set<Ref>();
  for (const [key, after] of changed) for (const position of world.waitingFor(key)) if (after === 0 || byAge(position, after) > 0) positions.add(position);
  return [...positions].sort(byAge);
}

/** Goes on behind what was judged here; were it to begin with the oldest again, it would never end while those stay open. */
function goOnLater(group: Group, changed: Changed, reached: Ref): void {
  for (const [key, after] of changed) {
    const behind = reached > after ? reached : after;
    group.followUps.push({ tick: "again", waitsFor: [key], ...(behind > 0 ? { after: behind } : {}) });
  }
}

/** Judges a deferred event again; where that throws, that event alone is quarantined. `patienceOver`: for the last time. */
export function judgeDeferral(group: Group, open: Deferral, cause: Ref, patienceOver = false): void {
  const judged = group.attempt(() => rejudge(group, open, cause, patienceOver));
  if (!judged.ok) poisonDeferral(group, open, cause, judged.error);
}

/** What still fails only *not yet* writes nothing. */
function rejudge(group: Group, open: Deferral, cause: Ref, patienceOver: boolean): void {
  const { event: inHand } = open;
  if (inHand.said.kind !== "event") return;
  const { event } = inHand.said;
  const source = group.sourceOf(inHand);
  if (!patienceOver && waitsBehind(group.world, source, event, open.position) !== undefined) return;
  const ref = group.next();
  const at: Round = { ref, event: open.position, round: open.round + 1, cause };
  if (olderThanLast(source, event)) {
    endDeferral(group, open);
    observe(group, inHand, at);
    return;
  }
  const judgement = judgeEvent(group.world, group.machines, source, event, inHand.receivedAt, ref, { batch: open.batch, step: open.step, attempt: null });
  if (judgement.kind === "refused" && judgement.notYet && !patienceOver) {
    group.giveBack(ref);
    waitFor(group, open, judgement);
    return;
  }
  endDeferral(group, open);
  if (judgement.kind === "accepted") accept(group, source, inHand, event, at, judgement);
  else refuse(group, source, inHand, event, at, judgement);
}
