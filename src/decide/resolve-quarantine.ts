// Settles a quarantined event as a person decides: judged again, or rejected.
import { olderThanLast } from "../sequence/monotonic.ts";
import type { Ref } from "../sequence/source-state.ts";
import { voidDisposition } from "./bring-about.ts";
import type { ExceptionDisposition, ExceptionState } from "./exception.ts";
import { giveVerdict, type Round } from "./give-verdict.ts";
import type { Group } from "./group.ts";
import { judgeEvent } from "./judge.ts";
import type { Refused } from "./judgement.ts";
import { accept, observe } from "./settle-judgement.ts";
import type { QuarantineEntry } from "./world-data.ts";

/** Judges a quarantined event again, now. What is still refused writes nothing. */
export function reprocess(group: Group, entry: QuarantineEntry, cause: Ref): Refused | null {
  const { event: inHand } = entry;
  if (inHand.said.kind !== "event") throw new Error("an unreadable event is never quarantined for its content");
  const { event } = inHand.said;
  const source = group.sourceOf(inHand);
  const at = nextRound(group, entry, cause);
  if (olderThanLast(source, event)) {
    resolve(group, entry, at.ref, "reprocess");
    observe(group, inHand, at);
    return null;
  }
  const judgement = judgeEvent(group.world, group.machines, source, event, inHand.receivedAt, at.ref, entry.judgedIn);
  if (judgement.kind === "refused") {
    group.giveBack(at.ref);
    return judgement;
  }
  resolve(group, entry, at.ref, "reprocess");
  accept(group, source, inHand, event, at, judgement);
  return null;
}

export function reject(group: Group, entry: QuarantineEntry, reason: string, cause: Ref): void {
  const at = nextRound(group, entry, cause);
  resolve(group, entry, at.ref, "reject");
  giveVerdict(group, entry.event, at, { status: "rejected", code: entry.code, by: "service", reason: `Rejected by a person: ${reason}` });
}

const nextRound = (group: Group, entry: QuarantineEntry, cause: Ref): Round => ({
  ref: group.next(),
  event: entry.position,
  round: entry.round + 1,
  cause,
});

function resolve(group: Group, entry: QuarantineEntry, ref: Ref, resolution: "reprocess" | "reject"): void {
  const { world, rows } = group;
  world.endQuarantine(entry);
  rows.quarantineResolved.push({ event: entry.position, ref, resolution });
  rows.exceptionsResolved.push({ event: entry.position, ref });
  const batch = entry.batch === null ? undefined : world.batch(entry.batch);
  if (batch === undefined) return;
  world.putBatch({ ...batch, openQuarantine: Math.max(0, batch.openQuarantine - 1), openExceptions: Math.max(0, batch.openExceptions - 1) });
  group.change(`batch:${batch.batch}`);
  // what a person decided about it is on record now, whichever way; what it brings about itself comes behind
  if (resolution === "reject") voidDisposition(group, batch.batch, ref, { flags: [], event: null });
}

/** An exception is disposed of: nothing of it is open any more. */
export function dispose({ world, rows }: Group, { position, ordinal }: ExceptionState, disposition: ExceptionDisposition, linked: string, ref: Ref): void {
  rows.exceptionsDisposed.push({ position, ordinal, ref, disposition, linked });
  world.putExceptions(
    position,
    world.exceptionsAt(position).map((one) => (one.ordinal === ordinal ? { ...one, resolved: true, disposition } : one)),
  );
}
