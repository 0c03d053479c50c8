// Puts into quarantine what tells of something done and is not permitted, or contradicts itself: a person decides.
import type { Given } from "../sequence/cursor.ts";
import type { SourceState } from "../sequence/source-state.ts";
import { voidDisposition } from "./bring-about.ts";
import { giveVerdict, type Round, rejectForm } from "./give-verdict.ts";
import type { Group } from "./group.ts";
import type { ContextInWords, Explanation } from "./judgement.ts";
import type { EventInHand } from "./signal.ts";

/** Why: a refusal, or what came before any judgement. */
interface Because {
  readonly code: string;
  readonly by: "order" | "state" | "guard" | "service";
  readonly reason: string;
  readonly context?: ContextInWords;
  readonly explanation?: Explanation;
}

export function quarantine(group: Group, source: SourceState, inHand: EventInHand, at: Round, because: Because): void {
  const { code, by, reason, context, explanation } = because;
  const { claimed } = inHand;
  const name = context?.batch ?? claimed.batch;
  const batch = name === null ? undefined : group.world.batch(name);
  const about = { source: source.source, batch: batch?.batch ?? null };
  group.rows.quarantined.push({ event: at.event, ref: at.ref, round: at.round, code, ...about });
  group.openException(at.ref, { code, reason, event: at.event, ...about, step: context?.step ?? claimed.step, attempt: context?.attempt ?? null });
  if (batch !== undefined) {
    const now = group.world.batch(batch.batch) ?? batch;
    group.world.putBatch({ ...now, openQuarantine: now.openQuarantine + 1 });
    voidDisposition(group, batch.batch, at.ref, { flags: [], event: inHand.said.kind === "event" ? inHand.said.event : null });
  }
  giveVerdict(group, inHand, at, { status: "quarantined", code, by, reason, context, explanation });
}

/** What comes too late is for a person to decide, if it can be read; its form alone rejects it otherwise. */
export function settleLate(group: Group, source: SourceState, inHand: EventInHand, at: Round, code: "SEQ_SKIPPED" | "SEQ_EPOCH_OLD", given: Given): void {
  if (inHand.said.kind === "refused") {
    rejectForm(group, inHand, at, inHand.said.refusal);
    return;
  }
  const reason =
    code === "SEQ_EPOCH_OLD"
      ? `Epoch ${given.epoch} of ${source.source} has ended; ${source.epoch === null ? "its successor has yet to begin" : `epoch ${source.epoch} is current`}.`
      : `Number ${given.sequence} of epoch ${given.epoch} of ${source.source} had been given up.`;
  quarantine(group, source, inHand, at, { code, by: "order", reason });
}
