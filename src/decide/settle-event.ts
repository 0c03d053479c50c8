// Settles an event that has come: what it is settled as, by its identity and its place, is the table in the design's section 3.
import type { Provenance } from "../decode/provenance.ts";
import { olderThanLast } from "../sequence/monotonic.ts";
import { type Place, place } from "../sequence/place.ts";
import { type SettledAs, settleAs, type TakesNumber } from "../sequence/settle-as.ts";
import { cursorOf, type Ref, type SourceState } from "../sequence/source-state.ts";
import { settleReusedId, settleReusedNumber } from "./conflicts.ts";
import { digestOf } from "./event-identity.ts";
import { firstRound, giveVerdict, type Round, rejectForm } from "./give-verdict.ts";
import type { Group } from "./group.ts";
import { judgeEvent } from "./judge.ts";
import { type Arrived, becomesDuplicate, judgedInsteadOf, settleDuplicate, takeId } from "./known-ids.ts";
import { takeInTurn } from "./move-cursor.ts";
import { waitsItsTurn } from "./out-of-turn.ts";
import { withPerformer } from "./performing.ts";
import { poisonArrival } from "./poison.ts";
import { settleLate } from "./quarantine.ts";
import { recordEvent } from "./record.ts";
import { accept, observe } from "./settle-judgement.ts";
import { settleLeftOut } from "./settle-left-out.ts";
import type { EventInHand, EventSignal } from "./signal.ts";
import { type Heard, hear } from "./signed.ts";
import { declareLost, drain, judgeInTurn } from "./turn.ts";
import { keepNumber, type Numbered, roomAhead, roomToWait, wait } from "./waiting.ts";

export function settleEvent(group: Group, signal: EventSignal): void {
  const heard = hear(group.world, signal);
  const judged = group.attempt(() => settleArrival(group, heard));
  if (!judged.ok) poisonArrival(group, heard.signal, judged.error);
}

function settleArrival(group: Group, { signal, unbelieved }: Heard): void {
  const { inHand: came, delivery } = signal;
  const { claimed } = came;
  const ref = group.next();
  if (signal.leftOut !== undefined) {
    settleLeftOut(group, signal, signal.leftOut, ref, unbelieved === null);
    return;
  }
  if (delivery.retained) {
    recordEvent(group, ref, signal, undefined);
    giveVerdict(group, came, firstRound(ref), {
      status: "observed",
      code: "ENV_RETAINED",
      by: "form",
      reason: "A retained copy is never a fact; it was only looked at.",
    });
    return;
  }
  const source = claimed.source === null ? undefined : group.world.source(claimed.source);
  recordEvent(group, ref, signal, source);
  const { provenance } = signal;
  if (provenance?.refused !== undefined) {
    giveVerdict(group, came, firstRound(ref), { status: "rejected", code: provenance.refused, by: "speaker", reason: inWords(provenance) });
    return;
  }
  if (unbelieved !== null && source?.revoked !== true) {
    giveVerdict(group, came, firstRound(ref), { status: "rejected", by: "speaker", ...unbelieved });
    return;
  }
  if (source === undefined || source.revoked) {
    settleUnbelieved(group, came, ref, source);
    return;
  }
  const inHand = withPerformer(group, source, came, ref);
  const { hash } = claimed;
  const { epoch, sequence } = claimed;
  if (hash === null || (source.numbering && (epoch === null || sequence === null))) {
    const refusal = { code: "ENV_MISSING_FIELD", reason: "The source numbers its events, and this one has no epoch and sequence." };
    rejectForm(group, inHand, firstRound(ref), inHand.said.kind === "refused" ? inHand.said.refusal : refusal);
    return;
  }
  const digest = digestOf(inHand);
  if (!source.numbering || epoch === null || sequence === null) settleUnnumbered(group, source, { inHand, hash, digest, ref });
  else settleNumbered(group, source, { inHand, hash, digest, ref, epoch, sequence });
}

/** Why an event's provenance has it not believed. */
function inWords({ party, stamp, refused }: Provenance): string {
  if (refused === "PROVENANCE_STAMP_MISSING") return "The broker's stamp of who sent it is missing.";
  if (refused === "PROVENANCE_STAMP_DUPLICATE") return "The broker's stamp of who sent it came more than once.";
  return `The broker says that ${String(stamp)} sent it; the branch is ${party}'s.`;
}

/** The delivery is not believed: it takes neither number nor id, so the same event may come again. */
function settleUnbelieved(group: Group, inHand: EventInHand, ref: Ref, source: SourceState | undefined): void {
  const at = firstRound(ref);
  const claimed = inHand.claimed.source;
  if (inHand.said.kind === "refused" && claimed === null) {
    rejectForm(group, inHand, at, inHand.said.refusal);
  } else if (source === undefined) {
    giveVerdict(group, inHand, at, { status: "rejected", code: "IDN_UNKNOWN_PUBLISHER", by: "speaker", reason: `No source ${claimed} is registered.` });
  } else {
    giveVerdict(group, inHand, at, { status: "rejected", code: "IDN_REVOKED", by: "speaker", reason: `The registration of ${source.source} is revoked.` });
  }
}

/** A source registered without numbers has the id alone: arrival is its order. */
function settleUnnumbered(group: Group, source: SourceState, arrived: Arrived): void {
  const { inHand, hash, digest, ref } = arrived;
  const known = group.world.id(source, hash);
  if (known === undefined) {
    takeId(group, source, arrived);
    judgeInTurn(group, source, inHand, firstRound(ref));
  } else if (known.digest === digest) {
    settleDuplicate(group, inHand, ref, known);
  } else {
    settleReusedId(group, source, arrived, group.world.conflict(source, hash, digest));
  }
}

function settleNumbered(group: Group, source: SourceState, arrived: Numbered): void {
  const { inHand, ref } = arrived;
  const at = place(cursorOf(source), arrived);
  const settled = settledAs(group, source, arrived, at);
  switch (settled.as) {
    case "judged": {
      const { copy } = settled;
      if (copy === null) takeId(group, source, arrived);
      else judgedInsteadOf(group, source, copy, arrived);
      const began = takeInTurn(group, source, arrived);
      judgeInTurn(group, began, inHand, firstRound(ref));
      if (copy !== null) becomesDuplicate(group, source, copy, arrived);
      drain(group, source.source, ref);
      return;
    }
    case "judged ahead":
      judgeAhead(group, source, arrived);
      return;
    case "waiting":
      wait(group, source, arrived);
      return;
    case "duplicate":
      settleDuplicate(group, inHand, ref, settled.of);
      takeNumberAlone(group, source, arrived, settled.takes);
      return;
    case "conflict again":
      settleReusedId(group, source, arrived, settled.of);
      takeNumberAlone(group, source, arrived, settled.takes);
      return;
    case "conflict":
      if (settled.code === "DUP_ID_REUSED") {
        settleReusedId(group, source, arrived, undefined);
        takeNumberAlone(group, source, arrived, settled.takes);
      } else {
        takeId(group, source, arrived);
        settleReusedNumber(group, source, arrived, at.kind === "passed");
      }
      return;
    case "late":
      takeId(group, source, arrived);
      settleLate(group, source, inHand, firstRound(ref), settled.code, arrived);
      return;
  }
}

function settledAs({ world }: Group, source: SourceState, { inHand, hash, digest, epoch, sequence }: Numbered, at: Place): SettledAs {
  const known = world.id(source, hash);
  const waitsAt = known?.waitsAt ?? null;
  return settleAs({
    source,
    place: at,
    epoch,
    typeWaits: waitsItsTurn(source, inHand, epoch),
    digest,
    known,
    // what nothing depends on is not looked for
    knownConflict: known === undefined ? undefined : world.conflict(source, hash, digest),
    numberTaken: known === undefined && at.kind === "passed" && world.numbers.taken(source, epoch, sequence) !== undefined,
    waitingThere: world.numbers.waitingAt(source, epoch, sequence),
    waitingCopy: waitsAt === null ? undefined : world.numbers.waitingAt(source, waitsAt.epoch, waitsAt.sequence),
  });
}

/** Acts at once, once, if permitted now; its number is taken in its turn. Otherwise it waits like the rest. */
function judgeAhead(group: Group, source: SourceState, arrived: Numbered): void {
  const { inHand, ref } = arrived;
  if (inHand.said.kind === "refused") {
    wait(group, source, arrived);
    return;
  }
  const { event } = inHand.said;
  const at: Round = { ...firstRound(ref), ahead: true };
  if (event.type === "source.birth") {
    takeId(group, source, arrived);
    const began = takeInTurn(group, source, arrived);
    judgeInTurn(group, began, inHand, at);
    drain(group, source.source, ref);
    return;
  }
  const judgement = olderThanLast(source, event) ? null : judgeEvent(group.world, group.machines, source, event, inHand.receivedAt, ref);
  if (judgement?.kind === "refused" || !roomAhead(group, source)) {
    wait(group, source, arrived);
    return;
  }
  takeId(group, source, arrived);
  keepNumber(group, source, arrived);
  if (judgement === null) observe(group, inHand, at);
  else accept(group, source, inHand, event, at, judgement);
  if (event.type === "source.lost") declareLost(group, source, event, arrived);
}

/** A delivery without an effect of its own may still take its number, at once or in its turn. */
function takeNumberAlone(group: Group, source: SourceState, arrived: Numbered, takes: TakesNumber): void {
  if (takes === "no") return;
  if (takes === "in turn") {
    if (roomToWait(group, source, 0)) keepNumber(group, source, arrived);
    return;
  }
  takeInTurn(group, source, arrived);
  drain(group, source.source, arrived.ref);
}
