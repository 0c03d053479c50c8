import { recipeStep } from "../authorise/execution-context.ts";
import { DIGEST_VERSION } from "../decode/digest.ts";
import type { DeviceEvent } from "../decode/event.ts";
import { EVENT_TYPES } from "../decode/event-types.ts";
import { durationMs } from "../registry/duration.ts";
import { byAge } from "../sequence/age.ts";
import { advance, endEpoch, type Given, giveUp, noteGap, takeNumber } from "../sequence/cursor.ts";
import { idHash } from "../sequence/identity.ts";
import { place } from "../sequence/place.ts";
import { settleAs, type TakesNumber } from "../sequence/settle-as.ts";
import { cursorOf, type KnownId, type Ref, type SourceState, WAITING, type WaitingEvent } from "../sequence/source-state.ts";
import { type CommandAnswer, judgeCommand } from "./commands.ts";
import { consequences } from "./consequences.ts";
import { isHistory } from "./device-time.ts";
import { apply, batchOf, changedBy, type Fact, STANDING_DAY } from "./facts.ts";
import { judgeEvent } from "./judge.ts";
import type { Judgement } from "./judgement.ts";
import type { Machines } from "./machines.ts";
import { outcomeOf } from "./outcomes.ts";
import { cutRows, markRows, noRows, type Rows } from "./rows.ts";
import type { CommandSignal, DiagSignal, EventInHand, EventSignal, Signal, Tick, TickSignal } from "./signal.ts";
import { movesStep } from "./type-names.ts";
import { nextFor, type Status, type Verdict } from "./verdict.ts";
import { World } from "./world.ts";
import type { Deferral, QuarantineEntry, WorldData } from "./world-data.ts";

/** The answer to a command, and where the command that it answers stands. */
export interface Answered {
  readonly ref: Ref;
  readonly answer: CommandAnswer;
}

/** What one group comes to: what was assumed and changed, what goes on record, and what is told to whoever waits for an answer. */
export interface Settlement {
  readonly world: World;
  readonly rows: Rows;
  /** How many positions it takes. */
  readonly positions: number;
  /** By the group's signal: the answer to a command. */
  readonly answers: ReadonlyMap<Signal, Answered>;
  /** Sources whose cursor or connection changed, batches that changed: their mirrors are published anew. */
  readonly touchedSources: ReadonlySet<string>;
  readonly touchedBatches: ReadonlySet<string>;
  /** Work that goes on in the next commit, before any later signal. */
  readonly followUps: readonly Tick[];
}

/** How many deferred events are judged again in one commit; the rest follow in the next. */
const AGAIN_LIMIT = 500;

/**
 * Settles a group of signals against the world as it was read. Pure: the same world and signals give the same settlement. Throws only NotRead, when the judge
 * needs more of the world than was read.
 */
export function settle(data: WorldData, machines: Machines, signals: readonly Signal[]): Settlement {
  const group = new Group(new World(data), machines);
  for (const signal of signals) group.settle(signal);
  return group.settlement();
}

class Group {
  readonly #world: World;
  readonly #machines: Machines;
  readonly #rows: Rows = noRows();
  readonly #answers = new Map<Signal, Answered>();
  readonly #touchedSources = new Set<string>();
  readonly #touchedBatches = new Set<string>();
  readonly #followUps: Tick[] = [];
  /** What has changed, and behind which position the deferred events that wait for it are still to be judged again (0: all of them). */
  readonly #changed = new Map<string, Ref>();
  #positions = 0;
  #again = 0;

  constructor(world: World, machines: Machines) {
    this.#world = world;
    this.#machines = machines;
  }

  settlement(): Settlement {
    return {
      world: this.#world,
      rows: this.#rows,
      positions: this.#positions,
      answers: this.#answers,
      touchedSources: this.#touchedSources,
      touchedBatches: this.#touchedBatches,
      followUps: this.#followUps,
    };
  }

  settle(signal: Signal): void {
    switch (signal.kind) {
      case "event":
        this.#event(signal);
        break;
      case "diag":
        this.#diag(signal);
        break;
      case "command":
        this.#command(signal);
        break;
      case "tick":
        this.#tick(signal);
        break;
    }
    this.#judgeAgain();
  }

  // ---- events

  #event(signal: EventSignal): void {
    const judged = this.#attempt(() => this.#place(signal));
    if (judged.ok) return;
    this.#poison(signal, judged.error);
  }

  #place(signal: EventSignal): void {
    const { inHand } = signal;
    const claimed = identityOf(inHand);
    const ref = this.#next();
    if (signal.delivery.retained) {
      this.#record(signal, ref, null);
      this.#verdict(
        inHand,
        { ref, event: ref, round: 1 },
        { status: "observed", code: "ENV_RETAINED", by: "form", reason: "A retained copy is never a fact; it was only looked at." },
      );
      return;
    }
    const source = claimed.source === null ? undefined : this.#world.source(claimed.source);
    if (claimed.source === null || source === undefined || source.revoked) {
      this.#record(signal, ref, source?.key ?? null);
      this.#notBelieved(inHand, ref, source);
      return;
    }
    const hash = idHash(claimed);
    const { epoch, sequence } = claimed;
    if (hash === null || (source.numbering && (epoch === null || sequence === null))) {
      this.#record(signal, ref, source.key);
      const refusal =
        inHand.said.kind === "refused"
          ? inHand.said.refusal
          : { code: "ENV_MISSING_FIELD", reason: "The source numbers its events, and this one has no epoch and sequence." };
      this.#verdict(inHand, { ref, event: ref, round: 1 }, { status: "rejected", code: refusal.code, by: "form", reason: refusal.reason });
      return;
    }
    this.#record(signal, ref, source.key);
    if (!source.numbering || epoch === null || sequence === null) this.#unnumbered(inHand, ref, source, hash);
    else this.#numbered(inHand, ref, source, hash, epoch, sequence);
  }

  /** The delivery is not believed: it takes neither number nor id, so the same event may come again. */
  #notBelieved(inHand: EventInHand, ref: Ref, source: SourceState | undefined): void {
    const at = { ref, event: ref, round: 1 };
    if (inHand.said.kind === "refused" && identityOf(inHand).source === null) {
      const { code, reason } = inHand.said.refusal;
      this.#verdict(inHand, at, { status: "rejected", code, by: "form", reason });
    } else if (source === undefined) {
      this.#verdict(inHand, at, {
        status: "rejected",
        code: "IDN_UNKNOWN_PUBLISHER",
        by: "speaker",
        reason: `No source ${identityOf(inHand).source} is registered.`,
      });
    } else {
      this.#verdict(inHand, at, { status: "rejected", code: "IDN_REVOKED", by: "speaker", reason: `The registration of ${source.source} is revoked.` });
    }
  }

  #unnumbered(inHand: EventInHand, ref: Ref, source: SourceState, hash: string): void {
    const digest = digestOf(inHand);
    const known = this.#world.id(source, hash);
    if (known === undefined) {
      this.#takeId(source, hash, digest, ref, null);
      this.#judge(source, inHand, { ref, event: ref, round: 1 }, hash);
    } else if (known.digest === digest) {
      this.#duplicate(inHand, ref, known);
    } else {
      this.#reusedId(inHand, ref, source, hash, digest, this.#world.conflict(source, hash, digest));
    }
  }

  #numbered(inHand: EventInHand, ref: Ref, source: SourceState, hash: string, epoch: bigint, sequence: bigint): void {
    const digest = digestOf(inHand);
    const known = this.#world.id(source, hash);
    const at = place(cursorOf(source), { epoch, sequence });
    const waitsAt = known?.waitsAt ?? null;
    const settled = settleAs({
      source,
      place: at,
      epoch,
      typeWaits: this.#typeWaits(source, inHand, epoch),
      digest,
      known,
      knownConflict: known === undefined || known.digest === digest ? undefined : this.#world.conflict(source, hash, digest),
      numberTaken: at.kind === "passed" && this.#world.numbers.taken(source, epoch, sequence) !== undefined,
      waitingThere: at.kind === "next" || at.kind === "early" ? this.#world.numbers.waitingAt(source, epoch, sequence) : undefined,
      waitingCopy: waitsAt === null ? undefined : this.#world.numbers.waitingAt(source, waitsAt.epoch, waitsAt.sequence),
    });
    const given: Given = { epoch, sequence, ref };
    switch (settled.as) {
      case "judged": {
        if (settled.copy === null) this.#takeId(source, hash, digest, ref, null);
        else this.#judgedInsteadOf(source, settled.copy, hash, digest, ref);
        const began = this.#take(source, given, inHand);
        this.#judge(began, inHand, { ref, event: ref, round: 1 }, hash);
        if (settled.copy !== null) this.#becomesDuplicate(source, settled.copy, inHand, hash, ref);
        this.#drain(source.source, ref);
        return;
      }
      case "judged ahead":
        this.#ahead(source, inHand, given, hash, digest);
        return;
      case "waiting":
        this.#wait(source, inHand, given, hash, digest);
        return;
      case "duplicate":
        this.#duplicate(inHand, ref, settled.of);
        this.#numberOnly(source, given, settled.takes, hash, digest, inHand);
        return;
      case "conflict again":
        this.#verdict(inHand, { ref, event: ref, round: 1 }, duplicateOf(settled.of, { status: "quarantined", code: "DUP_ID_REUSED" }));
        this.#numberOnly(source, given, settled.takes, hash, digest, inHand);
        return;
      case "conflict":
        if (settled.code === "DUP_ID_REUSED") {
          this.#reusedId(inHand, ref, source, hash, digest, undefined);
          this.#numberOnly(source, given, settled.takes, hash, digest, inHand);
        } else {
          this.#takeId(source, hash, digest, ref, null);
          this.#reusedNumber(source, inHand, given, at.kind === "passed");
        }
        return;
      case "late":
        this.#takeId(source, hash, digest, ref, null);
        this.#late(source, inHand, { ref, event: ref, round: 1 }, settled.code, given);
        return;
    }
  }

  /** The number goes with this settlement; a newer epoch begins with number 1 or a birth. Returns the source as it stands then. */
  #take(source: SourceState, given: Given, inHand: EventInHand, cause: Ref = given.ref): SourceState {
    const newer = source.epoch === null || given.epoch > source.epoch;
    if (newer && (source.epoch !== null || source.waitingCount > 0)) this.#endEpoch(source, { ...given, ref: cause });
    const before = this.#world.source(source.source) ?? source;
    const birth = inHand.said.kind === "event" && inHand.said.event.type === "source.birth";
    if (newer && birth && given.sequence > 1n) {
      this.#rows.skipped.push({
        sourceKey: source.key,
        incarnation: source.incarnation,
        epoch: given.epoch,
        first: 1n,
        last: given.sequence - 1n,
        reason: "baseline",
        ref: cause,
      });
    }
    const next = takeNumber(before, given);
    this.#number(source, given);
    this.#putSource(next, cause);
    return next;
  }

  #number(source: SourceState, given: Given): void {
    this.#world.numbers.take(source, given.epoch, given.sequence, given.ref);
    this.#rows.numbers.push({ sourceKey: source.key, incarnation: source.incarnation, epoch: given.epoch, sequence: given.sequence, ref: given.ref });
  }

  /** The older epoch is over: what is missing of it is given up, with an exception; what waits stays open for the gap limit. */
  #endEpoch(source: SourceState, given: Given): void {
    const waiting = this.#world.numbers.allWaiting(source);
    const ended = endEpoch(source, waiting, given);
    for (const range of ended.givenUp) {
      this.#rows.skipped.push({
        sourceKey: source.key,
        incarnation: source.incarnation,
        epoch: source.epoch ?? 0n,
        ...range,
        reason: "epoch_ended",
        ref: given.ref,
      });
    }
    if (ended.givenUp.length > 0) {
      const lost = ended.givenUp.map((r) => (r.first === r.last ? `${r.first}` : `${r.first} to ${r.last}`)).join(", ");
      this.#exception(given.ref, null, "SEQ_SKIPPED", `Epoch ${source.epoch} of ${source.source} ended with ${lost} missing.`, source.source, null, null, null);
    }
    if (ended.expire)
      this.#rows.waitingExpires.push({ sourceKey: source.key, incarnation: source.incarnation, epoch: ended.expire.epoch, through: ended.expire.through });
    this.#world.putSource(ended.source);
  }

  /** Acts at once, once, if permitted now; its number is taken in its turn. Otherwise it waits like the rest. */
  #ahead(source: SourceState, inHand: EventInHand, given: Given, hash: string, digest: string): void {
    if (inHand.said.kind === "refused") {
      this.#wait(source, inHand, given, hash, digest);
      return;
    }
    const { event } = inHand.said;
    if (event.type === "source.birth" && (source.epoch === null || given.epoch > source.epoch)) {
      this.#takeId(source, hash, digest, given.ref, null);
      const began = this.#take(source, given, inHand);
      this.#judge(began, inHand, { ref: given.ref, event: given.ref, round: 1, ahead: true }, hash);
      this.#drain(source.source, given.ref);
      return;
    }
    const older = this.#olderThanLast(source, event);
    const judgement = older ? null : judgeEvent(this.#world, this.#machines, source, event, inHand.receivedAt, given.ref);
    if (judgement?.kind === "refused" || !this.#roomAhead(source)) {
      this.#wait(source, inHand, given, hash, digest);
      return;
    }
    this.#takeId(source, hash, digest, given.ref, null);
    this.#putWaiting(source, { ...inHand, bytes: 0 }, given, hash, digest, true);
    if (judgement === null) this.#observed(inHand, { ref: given.ref, event: given.ref, round: 1, ahead: true });
    else this.#accept(source, inHand, { ref: given.ref, event: given.ref, round: 1, ahead: true }, judgement);
    if (event.type === "source.lost") this.#lost(source.source, event, given);
  }

  #wait(source: SourceState, inHand: EventInHand, given: Given, hash: string, digest: string): void {
    const at = { ref: given.ref, event: given.ref, round: 1 };
    if (!this.#roomToWait(source, inHand.bytes)) {
      this.#verdict(inHand, at, {
        status: "rejected",
        code: "SEQ_WAITING_FULL",
        by: "order",
        reason: `${source.source} has too many early events waiting; this one was not kept.`,
      });
      if (source.parked === null) this.#putSource({ ...source, parked: { why: "waiting_full", position: given.ref } }, given.ref);
      return;
    }
    this.#takeId(source, hash, digest, given.ref, { epoch: given.epoch, sequence: given.sequence });
    this.#putWaiting(source, inHand, given, hash, digest, false);
    const why = source.parked?.why;
    const still = why === "poison" || why === "counter_back";
    const code = still ? (why === "poison" ? "SYS_POISON" : "SEQ_REUSED") : "SEQ_GAP";
    const reason = still
      ? `${source.source} is parked; a person decides how it goes on.`
      : `Number ${given.sequence} of ${source.source} is early; it waits for what is missing before it.`;
    this.#verdict(inHand, at, { status: "deferred", code, by: "order", reason });
  }

  #putWaiting(source: SourceState, inHand: EventInHand, given: Given, hash: string, digest: string, ahead: boolean): void {
    const now = this.#world.source(source.source) ?? source;
    const waiting = {
      sourceKey: source.key,
      incarnation: source.incarnation,
      epoch: given.epoch,
      sequence: given.sequence,
      position: given.ref,
      idHash: hash,
      digest,
      bytes: inHand.bytes,
      ahead,
    };
    this.#world.numbers.putWaiting({ ...waiting, event: inHand });
    const highest = now.epoch === given.epoch && given.sequence > now.highest ? given.sequence : now.highest;
    this.#putSource({ ...now, highest, waitingCount: now.waitingCount + 1, waitingBytes: now.waitingBytes + inHand.bytes }, given.ref);
  }

  #roomToWait(source: SourceState, bytes: number): boolean {
    const now = this.#world.source(source.source) ?? source;
    const deferred = this.#world.deferred(now);
    return (
      now.waitingCount + deferred.count < WAITING.perSource &&
      now.waitingBytes + deferred.bytes + bytes <= WAITING.bytesPerSource &&
      this.#world.waitingBytesOfShard + bytes <= WAITING.bytesPerShard
    );
  }

  /** What has acted needs room for its number alone, and has it also when the room for waiting is used up: what restricts, and a declared loss, must get through. */
  #roomAhead(source: SourceState): boolean {
    const now = this.#world.source(source.source) ?? source;
    return now.waitingCount + this.#world.deferred(now).count < WAITING.perSource + WAITING.aheadPerSource;
  }

  /** A delivery without an effect of its own may still take its number, at once or in its turn. */
  #numberOnly(source: SourceState, given: Given, takes: TakesNumber, hash: string, digest: string, inHand: EventInHand): void {
    if (takes === "no") return;
    if (takes === "in turn") {
      if (this.#roomToWait(source, 0)) this.#putWaiting(source, { ...inHand, bytes: 0 }, given, hash, digest, true);
      return;
    }
    this.#take(source, given, inHand);
    this.#drain(source.source, given.ref);
  }

  #reusedId(inHand: EventInHand, ref: Ref, source: SourceState, hash: string, digest: string, seen: Ref | undefined): void {
    const at = { ref, event: ref, round: 1 };
    if (seen !== undefined) {
      this.#verdict(inHand, at, duplicateOf(seen, { status: "quarantined", code: "DUP_ID_REUSED" }));
      return;
    }
    this.#world.putConflict(source, hash, digest, ref);
    this.#rows.conflicts.push({ sourceKey: source.key, idHash: hash, digest, ref });
    this.#quarantine(source, inHand, at, "DUP_ID_REUSED", "order", `Id ${identityOf(inHand).id} of ${source.source} was used before with other content.`);
  }

  /** Only a number at or below the cursor says that the counter went back. */
  #reusedNumber(source: SourceState, inHand: EventInHand, given: Given, wentBack: boolean): void {
    this.#quarantine(
      source,
      inHand,
      { ref: given.ref, event: given.ref, round: 1 },
      "SEQ_REUSED",
      "order",
      `Number ${given.sequence} of epoch ${given.epoch} of ${source.source} is taken by another event.`,
    );
    if (!wentBack) return;
    const reused = source.reused + 1;
    const parks = reused >= 2 && source.parked === null;
    if (parks)
      this.#exception(given.ref, null, "SEQ_REUSED", `The counter of ${source.source} went back; the source is parked.`, source.source, null, null, null);
    this.#putSource({ ...source, reused, parked: parks ? { why: "counter_back", position: given.ref } : source.parked }, given.ref);
  }

  /** A copy in a newer epoch is judged in the stead of what waited under the old number. */
  #judgedInsteadOf(source: SourceState, copy: WaitingEvent, hash: string, digest: string, ref: Ref): void {
    this.#endWaiting(copy);
    this.#world.putId(source, hash, {
      position: ref,
      digest,
      digestVersion: DIGEST_VERSION,
      latest: { position: ref, round: 1, status: "deferred", code: null },
      waitsAt: null,
    });
  }

  /** What waited under the old number is the duplicate of what was judged in its stead. */
  #becomesDuplicate(source: SourceState, copy: WaitingEvent, inHand: EventInHand, hash: string, ref: Ref): void {
    const today = this.#world.id(source, hash)?.latest ?? { status: "deferred", code: null };
    const round = this.#next();
    this.#verdict(underNumber(inHand, copy), { ref: round, event: copy.position, round: 2, cause: ref }, duplicateOf(ref, today));
  }

  /** Judges what has come next, a slice at a time. */
  #drain(sourceName: string, cause: Ref, beginsNewer = false): void {
    for (let n = 0; n < WAITING.slice; n += 1) {
      const source = this.#world.source(sourceName);
      if (source === undefined || source.parked?.why === "poison" || source.parked?.why === "counter_back") return;
      if (source.epoch === null) {
        if (!beginsNewer || !this.#beginNewer(source, cause)) return;
        continue;
      }
      if (this.#world.numbers.beyondWindow(source, source.epoch, source.through + 1n)) break;
      const step = advance(source, (sequence) => this.#nextWaiting(source, sequence));
      if (step.kind === "still") {
        if (!beginsNewer || !this.#beginNewer(source, cause)) return;
        continue;
      }
      if (step.kind === "skipped") {
        this.#putSource(step.source, cause);
        continue;
      }
      const { waiting } = step;
      this.#endWaiting(waiting);
      const given: Given = { epoch: waiting.epoch, sequence: waiting.sequence, ref: waiting.position };
      this.#number(source, given);
      this.#putSource(step.source, cause);
      const inHand = waiting.event;
      if (waiting.ahead || inHand === null) continue;
      const ref = this.#next();
      const judged = this.#attempt(() => this.#judge(step.source, inHand, { ref, event: waiting.position, round: 2, cause }, waiting.idHash));
      if (!judged.ok) this.#poisonKnown(step.source, inHand, { ref, event: waiting.position, round: 2, cause }, judged.error);
    }
    this.#followUps.push({ tick: "drain", source: sourceName });
  }

  /** While a source stood still, a newer epoch may have begun to wait: with its number 1, or with a birth. It begins now. */
  #beginNewer(source: SourceState, cause: Ref): boolean {
    if (source.waitingCount === 0) return false;
    const newer = this.#world.numbers.allWaiting(source).filter((w) => source.epoch === null || w.epoch > source.epoch);
    for (const epoch of [...new Set(newer.map((w) => w.epoch))].sort((a, b) => (a < b ? -1 : 1))) {
      const first = this.#world.numbers
        .waitingAfter(source, epoch, 0n)
        .find(({ sequence, event }) => sequence === 1n || (event?.said.kind === "event" && event.said.event.type === "source.birth"));
      if (first?.event == null) continue;
      const { event: inHand, ...waiting } = first;
      this.#endWaiting(waiting);
      const at = { ...source, waitingCount: source.waitingCount - 1, waitingBytes: source.waitingBytes - waiting.bytes };
      this.#world.putSource(at);
      const began = this.#take(at, { epoch, sequence: waiting.sequence, ref: waiting.position }, inHand, cause);
      if (waiting.ahead) return true;
      const ref = this.#next();
      const round: Round = { ref, event: waiting.position, round: 2, cause };
      const judged = this.#attempt(() => this.#judge(began, inHand, round, waiting.idHash));
      if (!judged.ok) this.#poisonKnown(began, inHand, round, judged.error);
      return true;
    }
    return false;
  }

  #nextWaiting(source: SourceState, sequence: bigint) {
    return source.epoch === null || source.waitingCount === 0 ? undefined : this.#world.numbers.waitingNext(source, source.epoch, sequence);
  }

  #endWaiting(waiting: WaitingEvent): void {
    this.#world.numbers.endWaiting(waiting);
  }

  /** What restricts acts at once behind a gap, since it concerns the present; a record of what was restricted long ago restricts nothing now, and waits its turn. */
  #typeWaits(source: SourceState, inHand: EventInHand, epoch: bigint): boolean {
    if (inHand.said.kind === "refused") return true;
    const { event } = inHand.said;
    if (event.type === "source.birth") return (source.epoch !== null && epoch <= source.epoch) || source.parked?.why === "poison";
    // a loss in an epoch that has not begun gives nothing up yet
    if (event.type === "source.lost") return epoch !== source.epoch;
    const type = EVENT_TYPES[event.type];
    return (type.waits && type.ordering !== "monotonic") || isHistory(event, inHand.receivedAt);
  }

  /** Whether a pause or stop of the same source, numbered later, has acted already: what was numbered before it is overtaken and lifts nothing. */
  #overtaken(source: SourceState, event: DeviceEvent): boolean {
    const overtakes = OVERTAKES[event.type];
    if (overtakes === undefined || source.waitingCount === 0 || event.epoch === null || event.sequence === null) return false;
    return this.#world.numbers.waitingAfter(source, event.epoch, event.sequence).some(({ ahead, event: later }) => {
      if (!ahead || later?.said.kind !== "event") return false;
      const acted = later.said.event;
      return (
        overtakes.has(acted.type) && (acted.batch ?? event.batch) === event.batch && (acted.step === null || event.step === null || acted.step === event.step)
      );
    });
  }

  /** Of a type whose order is monotonic only what is newer than the last of its type counts. */
  #olderThanLast(source: SourceState, event: DeviceEvent): boolean {
    const last = source.monotonic[event.type];
    if (EVENT_TYPES[event.type].ordering !== "monotonic" || last === undefined || event.epoch === null || event.sequence === null) return false;
    const [epoch, sequence] = last;
    return event.epoch < BigInt(epoch) || (event.epoch === BigInt(epoch) && event.sequence < BigInt(sequence));
  }

  /** Judges an event in its turn and settles it: accepted, deferred, rejected or quarantined. */
  #judge(source: SourceState, inHand: EventInHand, at: Round, hash: string | null): void {
    if (inHand.said.kind === "refused") {
      const { code, reason } = inHand.said.refusal;
      this.#verdict(inHand, at, { status: "rejected", code, by: "form", reason });
      return;
    }
    const { event } = inHand.said;
    if (this.#olderThanLast(source, event)) {
      this.#observed(inHand, at);
      return;
    }
    if (this.#overtaken(source, event)) {
      this.#observed(inHand, at);
      return;
    }
    const behind = this.#behind(source, event, at.event);
    if (behind !== undefined) {
      this.#defer(
        source,
        inHand,
        at,
        behind.code,
        `The event waits behind ${describe(behind)}, which moves the same step.`,
        [`batch:${event.batch}`],
        behind.position,
        null,
        hash,
      );
      return;
    }
    const judgement = judgeEvent(this.#world, this.#machines, source, event, inHand.receivedAt, at.ref);
    if (judgement.kind === "accepted") {
      this.#accept(source, inHand, at, judgement);
      if (event.type === "source.lost") this.#lost(source.source, event, { epoch: event.epoch ?? 0n, sequence: event.sequence ?? 0n, ref: at.ref });
    } else if (judgement.notYet && this.#patience(event, judgement) > 0 && this.#roomToWait(source, inHand.bytes)) {
      this.#defer(source, inHand, at, judgement.code, judgement.reason, judgement.waits, null, judgement, hash);
    } else {
      this.#refuse(source, inHand, at, judgement);
    }
  }

  /** An open deferred event of the same source that moves the same step. A pause waits only behind a start. */
  #behind(source: SourceState, event: DeviceEvent, self: Ref): Deferral | undefined {
    const pauses = event.type === "step.pause";
    if ((!movesStep(event.type) && !pauses) || event.batch === null || event.step === null) return undefined;
    for (const position of this.#world.waitingFor(`batch:${event.batch}`)) {
      if (position === self) continue;
      const open = this.#world.deferral(position);
      if (open === undefined || open.sourceKey !== source.key || open.step !== event.step || !open.moves || !precedes(open, event, self)) continue;
      if (pauses && (open.event.said.kind !== "event" || open.event.said.event.type !== "step.start")) continue;
      return open;
    }
    return undefined;
  }

  #patience(event: DeviceEvent, judgement: Extract<Judgement, { kind: "refused" }>): number {
    if (EVENT_TYPES[event.type].patience === "none") return 0;
    const batch = judgement.context.batch === null ? undefined : this.#world.batch(judgement.context.batch);
    const step = batch === undefined || judgement.context.step === null ? undefined : recipeStep(batch, judgement.context.step);
    return step?.patience === undefined ? DEFAULT_PATIENCE_MS : durationMs(step.patience);
  }

  #accept(source: SourceState, inHand: EventInHand, at: Round, judgement: Extract<Judgement, { kind: "accepted" }>): void {
    const exception = judgement.exceptions[0];
    const flags = [...judgement.flags, ...judgement.exceptions.map(({ code }) => code)];
    const facts = this.#bringAbout(judgement.facts, at.ref, { flags, inHand });
    for (const { code, reason } of judgement.exceptions) {
      this.#exception(at.ref, at.event, code, reason, source.source, judgement.context.batch, judgement.context.step, judgement.context.attempt);
    }
    if (inHand.said.kind === "event") this.#rememberMonotonic(source.source, inHand.said.event, at.ref);
    this.#verdict(inHand, at, {
      status: exception === undefined ? "accepted" : "accepted_with_exception",
      code: exception?.code ?? null,
      by: null,
      reason: exception?.reason ?? "Accepted.",
      flags,
      facts,
      context: judgement.context,
      explanation: judgement.explanation,
    });
  }

  #observed(inHand: EventInHand, at: Round): void {
    this.#verdict(inHand, at, {
      status: "observed",
      code: "TIM_STALE",
      by: "order",
      reason: "A newer report of the same type was already accepted; this one was only looked at.",
    });
  }

  #rememberMonotonic(sourceName: string, event: DeviceEvent, ref: Ref): void {
    const source = this.#world.source(sourceName);
    if (source === undefined || EVENT_TYPES[event.type].ordering !== "monotonic" || event.epoch === null || event.sequence === null) return;
    this.#putSource({ ...source, monotonic: { ...source.monotonic, [event.type]: [event.epoch.toString(), event.sequence.toString()] } }, ref);
  }

  #defer(
    source: SourceState,
    inHand: EventInHand,
    at: Round,
    code: string,
    reason: string,
    waits: readonly string[],
    behind: Ref | null,
    judgement: Extract<Judgement, { kind: "refused" }> | null,
    hash: string | null,
  ): void {
    if (inHand.said.kind !== "event") return;
    const { event } = inHand.said;
    const batch = judgement?.context.batch ?? event.batch;
    const step = judgement?.context.step ?? event.step;
    // a batch that is not known yet is waited for by its name; so is a known one, since whoever changes it must see who waits
    const keys = [...new Set(waits)];
    this.#world.putDeferral({
      position: at.event,
      version: 0,
      round: at.round,
      sourceKey: source.key,
      code,
      batch,
      step,
      moves: movesStep(event.type),
      behind,
      waits: keys,
      event: inHand,
    });
    for (const key of keys) this.#world.raise(key);
    const known = batch === null ? undefined : this.#world.batch(batch);
    if (known !== undefined) this.#world.putBatch({ ...known, openDeferrals: known.openDeferrals + 1 });
    this.#verdict(inHand, at, {
      status: "deferred",
      code,
      by: judgement?.by ?? "order",
      reason,
      context: judgement?.context ?? { batch, step, attempt: event.attempt, from: "claim" },
      explanation: judgement?.explanation ?? null,
      patienceMs: judgement === null ? this.#patienceBehind(event) : this.#patience(event, judgement),
    });
    this.#latest(source, hash, at, "deferred", code);
  }

  #patienceBehind(event: DeviceEvent): number {
    const batch = event.batch === null ? undefined : this.#world.batch(event.batch);
    const step = batch === undefined || event.step === null ? undefined : recipeStep(batch, event.step);
    return step?.patience === undefined ? DEFAULT_PATIENCE_MS : durationMs(step.patience);
  }

  /** For good: a request is rejected, since the sender has not acted; a report is quarantined, since something was done. */
  #refuse(source: SourceState, inHand: EventInHand, at: Round, judgement: Extract<Judgement, { kind: "refused" }>): void {
    if (inHand.said.kind !== "event") return;
    const { event } = inHand.said;
    if (EVENT_TYPES[event.type].mood === "request" && !event.occurred) {
      this.#verdict(inHand, at, {
        status: "rejected",
        code: judgement.code,
        by: judgement.by,
        reason: judgement.reason,
        context: judgement.context,
        explanation: judgement.explanation,
      });
      return;
    }
    this.#quarantine(source, inHand, at, judgement.code, judgement.by, judgement.reason, judgement);
  }

  #quarantine(
    source: SourceState,
    inHand: EventInHand,
    at: Round,
    code: string,
    by: "order" | "state" | "guard" | "service",
    reason: string,
    judgement?: Extract<Judgement, { kind: "refused" }>,
  ): void {
    const claimed = identityOf(inHand);
    const batchName = judgement?.context.batch ?? claimed.batch;
    const batch = batchName === null ? undefined : this.#world.batch(batchName);
    this.#rows.quarantined.push({ event: at.event, ref: at.ref, round: at.round, code, source: source.source, batch: batch?.batch ?? null });
    this.#exception(
      at.ref,
      at.event,
      code,
      reason,
      source.source,
      batch?.batch ?? null,
      judgement?.context.step ?? claimed.step,
      judgement?.context.attempt ?? null,
    );
    if (batch !== undefined) {
      const now = this.#world.batch(batch.batch) ?? batch;
      this.#world.putBatch({ ...now, openQuarantine: now.openQuarantine + 1 });
    }
    this.#verdict(inHand, at, {
      status: "quarantined",
      code,
      by,
      reason,
      ...(judgement === undefined ? {} : { context: judgement.context, explanation: judgement.explanation }),
    });
  }

  #duplicate(inHand: EventInHand, ref: Ref, known: KnownId): void {
    this.#verdict(inHand, { ref, event: ref, round: 1 }, duplicateOf(known.position, known.latest));
  }

  /** A declared loss: the numbers are given up at once, and the source goes on behind them. */
  #lost(sourceName: string, event: DeviceEvent, given: Given): void {
    const source = this.#world.source(sourceName);
    if (source === undefined) return;
    const data: Readonly<Record<string, unknown>> = { ...event.data };
    const from = BigInt(String(data["from"]));
    const to = BigInt(String(data["to"]));
    this.#giveUp(source, given.epoch, from, to < given.sequence ? to : given.sequence - 1n, "lost", given.ref);
    this.#drain(sourceName, given.ref);
  }

  #giveUp(source: SourceState, epoch: bigint, first: bigint, last: bigint, reason: "lost" | "resolved", ref: Ref): void {
    const waiting = this.#world.numbers.allWaiting(source);
    const given = giveUp(source, waiting, epoch, first, last);
    for (const range of given.ranges) this.#rows.skipped.push({ sourceKey: source.key, incarnation: source.incarnation, epoch, ...range, reason, ref });
    if (given.ranges.length > 0) {
      const what = given.ranges.map((r) => (r.first === r.last ? `${r.first}` : `${r.first} to ${r.last}`)).join(", ");
      this.#exception(ref, null, "SEQ_SKIPPED", `Numbers ${what} of epoch ${epoch} of ${source.source} were given up.`, source.source, null, null, null);
    }
    this.#putSource(given.source, ref);
  }

  // ---- judged again

  /** Judges again what waited for something that has changed: oldest first, until nothing more comes free. */
  #judgeAgain(): void {
    while (this.#changed.size > 0) {
      const keys = [...this.#changed];
      this.#changed.clear();
      const positions = new Set<Ref>();
      for (const [key, after] of keys)
        for (const position of this.#world.waitingFor(key)) if (after === 0 || byAge(position, after) > 0) positions.add(position);
      let reached: Ref = 0;
      for (const position of [...positions].sort(byAge)) {
        if (this.#again >= AGAIN_LIMIT) {
          // goes on behind what was judged here; were it to begin with the oldest again, it would never end while those stay open
          for (const [key, after] of keys) {
            const behind = reached > after ? reached : after;
            this.#followUps.push({ tick: "again", waitsFor: [key], ...(behind > 0 ? { after: behind } : {}) });
          }
          return;
        }
        this.#again += 1;
        if (position > 0) reached = position;
        const open = this.#world.deferral(position);
        if (open === undefined) continue;
        const judged = this.#attempt(() => this.#rejudge(open, false, this.#lastCause()));
        if (!judged.ok) this.#poisonDeferral(open, judged.error);
        if (this.#changed.size > 0) {
          // something came free: what is older may now move too, so begin again from the oldest
          for (const [key, after] of keys) this.#change(key, after);
          break;
        }
      }
    }
  }

  #change(key: string, after: Ref = 0): void {
    const known = this.#changed.get(key);
    this.#changed.set(key, known === undefined || after < known ? after : known);
  }

  #rejudge(open: Deferral, patienceOver: boolean, cause: Ref): boolean {
    if (open.event.said.kind !== "event") return false;
    const { event } = open.event.said;
    const source = this.#sourceOf(open);
    if (!patienceOver && this.#behind(source, event, open.position) !== undefined) return false;
    const mark = this.#positions;
    const ref = this.#next();
    const at: Round = { ref, event: open.position, round: open.round + 1, cause };
    if (this.#olderThanLast(source, event)) {
      this.#endDeferral(open);
      this.#observed(open.event, at);
      return true;
    }
    const judgement = judgeEvent(this.#world, this.#machines, source, event, open.event.receivedAt, ref);
    if (judgement.kind === "refused" && judgement.notYet && !patienceOver) {
      this.#positions = mark;
      this.#waitsOn(open, judgement);
      return false;
    }
    this.#endDeferral(open);
    if (judgement.kind === "accepted") this.#accept(source, open.event, at, judgement);
    else this.#refuse(source, open.event, at, judgement);
    return true;
  }

  /** What it first waited for has come, and it lacks something else now: it waits for that too. Nothing is said about it. */
  #waitsOn(open: Deferral, judgement: Extract<Judgement, { kind: "refused" }>): void {
    const more = judgement.waits.filter((key) => !open.waits.includes(key));
    if (more.length === 0) return;
    const batch = open.batch ?? judgement.context.batch;
    this.#world.putDeferral({ ...open, batch, step: open.step ?? judgement.context.step, waits: [...open.waits, ...more] });
    for (const key of more) this.#world.raise(key);
    const known = batch === null || open.batch !== null ? undefined : this.#world.batch(batch);
    if (known !== undefined) this.#world.putBatch({ ...known, openDeferrals: known.openDeferrals + 1 });
  }

  #endDeferral(open: Deferral): void {
    this.#world.endDeferral(open);
    const batch = open.batch === null ? undefined : this.#world.batch(open.batch);
    if (batch !== undefined) this.#world.putBatch({ ...batch, openDeferrals: Math.max(0, batch.openDeferrals - 1) });
    // what waits behind it may move now
    if (open.batch !== null) this.#change(`batch:${open.batch}`);
  }

  #sourceOf(open: { readonly event: EventInHand }): SourceState {
    const name = identityOf(open.event).source;
    const source = name === null ? undefined : this.#world.source(name);
    if (source === undefined) throw new Error(`the source of a settled event, ${name}, is not registered`);
    return source;
  }

  #lastCause(): Ref {
    return -this.#positions;
  }

  // ---- facts

  /** Applies facts and what follows from them, in order; each has its place in the record and its outcome its number. Returns how many there are. */
  #bringAbout(first: readonly Fact[], ref: Ref, by: { readonly flags: readonly string[]; readonly inHand: EventInHand | null }): number {
    let facts = first;
    let count = 0;
    let outcomes = this.#rows.outcomes.filter((o) => o.ref === ref).length;
    while (facts.length > 0) {
      for (const fact of facts) {
        apply(this.#world, fact);
        const batchName = batchOf(fact);
        let number: number | null = null;
        let openedOn = STANDING_DAY;
        if (batchName !== null) {
          const batch = this.#world.batch(batchName);
          if (batch === undefined) throw new Error(`a fact of batch ${batchName}, which is not there`);
          number = batch.facts + 1;
          openedOn = batch.openedOn;
          this.#world.putBatch({ ...batch, facts: number });
          this.#touchedBatches.add(batchName);
        }
        count += 1;
        this.#rows.facts.push({ ref, ordinal: count, fact, openedOn, number });
        for (const key of changedBy(fact)) this.#change(key);
        const outcome = outcomeOf(this.#world, this.#machines, fact, by.flags);
        if (outcome === null) continue;
        const stream = this.#world.stream(outcome.stream) ?? { stream: outcome.stream, line: outcome.line, sequence: 0, openedOn: outcome.openedOn };
        const sequence = stream.sequence + 1;
        this.#world.putStream({ ...stream, sequence });
        outcomes += 1;
        const said = by.inHand?.said;
        const event = said?.kind === "event" ? said.event : null;
        this.#rows.outcomes.push({
          ...outcome,
          ref,
          ordinal: outcomes,
          sequence,
          eventTime: event?.time ?? null,
          causation: event?.id ?? null,
          correlation: event?.correlationId ?? null,
          traceparent: event?.traceparent ?? null,
        });
      }
      facts = consequences(this.#world, this.#machines, facts, ref);
    }
    return count;
  }

  // ---- commands

  #command(signal: CommandSignal): void {
    const key = signal.key;
    const prior = key === null ? undefined : this.#world.answer(key.key);
    if (key !== null && prior !== undefined) {
      const sameBody = prior.bodyDigest === key.bodyDigest && prior.request === key.request;
      this.#answers.set(signal, { ref: prior.position, answer: { kind: "answered before", sameBody, answer: prior.answer } });
      return;
    }
    const ref = this.#next();
    const judged = this.#attempt(() =>
      judgeCommand(signal, ref, {
        world: this.#world,
        machines: this.#machines,
        bringAbout: (facts) => this.#bringAbout(facts, ref, { flags: [], inHand: null }),
        exception: (code, reason, batch, step, attempt) => this.#exception(ref, null, code, reason, null, batch, step, attempt),
        putSource: (source) => this.#putSource(source, ref),
        giveUp: (source, epoch, first, last) => this.#giveUp(source, epoch, first, last, "resolved", ref),
        succeed: (source) => this.#succeed(source, ref),
        rebase: (source, epoch, sequence) => this.#rebase(source, epoch, sequence, ref),
        drain: (source) => this.#drain(source, ref, true),
        reprocess: (entry) => this.#reprocess(entry, ref),
        reject: (entry, reason) => this.#reject(entry, reason, ref),
      }),
    );
    // one command that makes the judge throw is refused by itself; the rest of the group goes on
    const answer: CommandAnswer = judged.ok
      ? judged.value
      : { kind: "refused", code: "SYS_POISON", reason: `The service failed on this command alone: ${messageOf(judged.error)}.`, explanation: null };
    this.#rows.signals.push({ ...NO_EVENT, ref, kind: "command", receivedAt: signal.receivedAt, actor: signal.actor, body: commandBody(signal) });
    this.#answers.set(signal, { ref, answer });
    if (key !== null) this.#rows.answers.push({ ...key, answer, ref });
    if (key !== null) this.#world.putAnswer(key.key, { request: key.request, bodyDigest: key.bodyDigest, answer, position: ref });
  }

  /** A replaced device counts anew: what its predecessor left missing is given up, what waits stays open for the gap limit. */
  #succeed(source: SourceState, ref: Ref): void {
    if (source.epoch !== null) {
      const ended = endEpoch(source, this.#world.numbers.allWaiting(source), { epoch: source.epoch + 1n, sequence: 1n, ref });
      for (const range of ended.givenUp)
        this.#rows.skipped.push({ sourceKey: source.key, incarnation: source.incarnation, epoch: source.epoch, ...range, reason: "succession", ref });
    }
    if (source.waitingCount > 0) this.#rows.waitingExpires.push({ sourceKey: source.key, incarnation: source.incarnation + 1, epoch: 0n, through: 0n });
    this.#putSource(
      {
        ...source,
        incarnation: source.incarnation + 1,
        epoch: null,
        through: 0n,
        highest: 0n,
        gap: null,
        parked: null,
        reused: 0,
        waitingCount: 0,
        waitingBytes: 0,
        skippedAhead: [],
        monotonic: {},
      },
      ref,
    );
  }

  #rebase(source: SourceState, epoch: bigint, sequence: bigint, ref: Ref): void {
    if (epoch === source.epoch) {
      this.#putSource(source, ref);
      this.#giveUp(source, epoch, source.through + 1n, sequence - 1n, "resolved", ref);
      return;
    }
    this.#endEpoch(source, { epoch, sequence: sequence - 1n, ref });
    const begun = this.#world.source(source.source) ?? source;
    if (sequence > 1n)
      this.#rows.skipped.push({ sourceKey: source.key, incarnation: source.incarnation, epoch, first: 1n, last: sequence - 1n, reason: "baseline", ref });
    const through = sequence - 1n;
    this.#putSource({ ...begun, through, highest: begun.highest > through ? begun.highest : through }, ref);
  }

  /** Judges a quarantined event again, now. What is still refused writes nothing. */
  #reprocess(entry: QuarantineEntry, cause: Ref): Extract<Judgement, { kind: "refused" }> | null {
    if (entry.event.said.kind !== "event") throw new Error("an unreadable event is never quarantined for its content");
    const { event } = entry.event.said;
    const source = this.#sourceOf(entry);
    const positions = this.#positions;
    const ref = this.#next();
    if (this.#olderThanLast(source, event)) {
      this.#resolve(entry, ref, "reprocess");
      this.#observed(entry.event, { ref, event: entry.position, round: entry.round + 1, cause });
      return null;
    }
    const judgement = judgeEvent(this.#world, this.#machines, source, event, entry.event.receivedAt, ref);
    if (judgement.kind === "refused") {
      this.#positions = positions;
      return judgement;
    }
    this.#resolve(entry, ref, "reprocess");
    this.#accept(source, entry.event, { ref, event: entry.position, round: entry.round + 1, cause }, judgement);
    return null;
  }

  #reject(entry: QuarantineEntry, reason: string, cause: Ref): void {
    const ref = this.#next();
    this.#resolve(entry, ref, "reject");
    this.#verdict(
      entry.event,
      { ref, event: entry.position, round: entry.round + 1, cause },
      { status: "rejected", code: entry.code, by: "service", reason: `Rejected by a person: ${reason}` },
    );
  }

  #resolve(entry: QuarantineEntry, ref: Ref, resolution: "reprocess" | "reject"): void {
    this.#world.endQuarantine(entry);
    this.#rows.quarantineResolved.push({ event: entry.position, ref, resolution });
    this.#rows.exceptionsResolved.push({ event: entry.position, ref });
    const batch = entry.batch === null ? undefined : this.#world.batch(entry.batch);
    if (batch !== undefined) {
      this.#world.putBatch({ ...batch, openQuarantine: Math.max(0, batch.openQuarantine - 1), openExceptions: Math.max(0, batch.openExceptions - 1) });
      this.#change(`batch:${batch.batch}`);
    }
  }

  // ---- ticks and diagnoses

  #tick(signal: TickSignal): void {
    const { tick } = signal;
    const positions = this.#positions;
    const ref = this.#next();
    const due = this.#due(signal, tick, ref);
    if (!due) {
      this.#positions = positions;
      return;
    }
    this.#rows.signals.push({ ...NO_EVENT, ref, kind: "tick", receivedAt: signal.receivedAt, body: { ...tick } });
  }

  /** Whether the tick still has something to do; if so, does it. */
  #due(signal: TickSignal, tick: Tick, ref: Ref): boolean {
    switch (tick.tick) {
      case "patience": {
        const open = this.#world.deferral(tick.event);
        if (open === undefined) return false;
        const judged = this.#attempt(() => this.#rejudge(open, true, ref));
        if (!judged.ok) this.#poisonDeferral(open, judged.error);
        return true;
      }
      case "gap": {
        const source = this.#world.source(tick.source);
        // a gap that this group has moved has its time anew, though the due time that was read is over
        if (source?.gap?.timer !== "kept" || source.gapDueAt === null || source.parked !== null || Date.parse(source.gapDueAt) > Date.parse(signal.receivedAt))
          return false;
        this.#exception(ref, null, "SEQ_GAP_TIMEOUT", `Numbers of ${source.source} stayed missing; the source is parked.`, source.source, null, null, null);
        this.#putSource({ ...source, parked: { why: "gap", position: ref } }, ref);
        return true;
      }
      case "expiry":
        return this.#expire(tick, ref);
      case "drain": {
        const source = this.#world.source(tick.source);
        if (source === undefined || source.parked?.why === "poison" || source.parked?.why === "counter_back") return false;
        const before = this.#positions;
        const numbers = this.#rows.numbers.length;
        const followUps = this.#followUps.length;
        this.#drain(tick.source, ref, true);
        return (
          this.#positions > before || this.#rows.numbers.length > numbers || this.#followUps.length > followUps || this.#world.source(tick.source) !== source
        );
      }
      case "again":
        for (const key of tick.waitsFor) this.#change(key, tick.after ?? 0);
        return true;
      case "interruption":
        this.#rows.interruptionMs += tick.ms;
        return true;
    }
  }

  /** A waiting event whose epoch ended and that no copy replaced: a person decides. */
  #expire(tick: Extract<Tick, { tick: "expiry" }>, ref: Ref): boolean {
    const source = this.#world.source(tick.source);
    if (source === undefined) return false;
    const waiting = this.#world.numbers.waitingNext({ ...source, incarnation: tick.incarnation }, BigInt(tick.epoch), BigInt(tick.sequence));
    if (waiting === undefined) return false;
    this.#endWaiting(waiting);
    this.#number({ ...source, incarnation: tick.incarnation }, { epoch: waiting.epoch, sequence: waiting.sequence, ref: waiting.position });
    this.#putSource(source, ref);
    if (waiting.ahead || waiting.event === null) return true;
    const round = this.#next();
    const code = source.epoch !== null && waiting.epoch === source.epoch ? "SEQ_SKIPPED" : "SEQ_EPOCH_OLD";
    const at: Round = { ref: round, event: waiting.position, round: 2, cause: ref };
    this.#late(source, waiting.event, at, code, { epoch: waiting.epoch, sequence: waiting.sequence, ref });
    return true;
  }

  /** What comes too late is for a person to decide, if it can be read; its form alone rejects it otherwise. */
  #late(source: SourceState, inHand: EventInHand, at: Round, code: "SEQ_SKIPPED" | "SEQ_EPOCH_OLD", given: Given): void {
    if (inHand.said.kind === "refused") {
      const { code: form, reason } = inHand.said.refusal;
      this.#verdict(inHand, at, { status: "rejected", code: form, by: "form", reason });
    } else {
      this.#quarantine(source, inHand, at, code, "order", lateReason(code, source, given));
    }
  }

  #diag(signal: DiagSignal): void {
    const { diagnosis } = signal;
    const source = this.#world.source(diagnosis.source);
    if (source === undefined || source.revoked || signal.delivery.retained) return;
    const connection = diagnosis.state ?? source.connection;
    const reveals = diagnosis.epoch !== null && diagnosis.sequence !== null && diagnosis.epoch === source.epoch && diagnosis.sequence > source.highest;
    if (connection === source.connection && !reveals) return;
    const ref = this.#next();
    this.#putSource({ ...source, connection, highest: reveals ? (diagnosis.sequence ?? source.highest) : source.highest }, ref);
    this.#rows.signals.push({
      ...NO_EVENT,
      ref,
      kind: "diag",
      sourceKey: source.key,
      source: source.source,
      epoch: diagnosis.epoch,
      sequence: diagnosis.sequence,
      delivery: signal.delivery,
      receivedAt: signal.receivedAt,
    });
  }

  // ---- failures of the judge

  /** The judge threw at this event alone: it is quarantined, has its number, and its source stands still until a person resolves it. */
  #poison(signal: EventSignal, error: unknown): void {
    const claimed = identityOf(signal.inHand);
    const source = claimed.source === null ? undefined : this.#world.source(claimed.source);
    const hash = idHash(claimed);
    if (source === undefined || hash === null) throw error;
    const ref = this.#next();
    this.#record(signal, ref, source.key);
    const known = this.#world.id(source, hash);
    const digest = digestOf(signal.inHand);
    const copy =
      known?.waitsAt == null || known.digest !== digest ? undefined : this.#world.numbers.waitingAt(source, known.waitsAt.epoch, known.waitsAt.sequence);
    if (known !== undefined && copy === undefined) {
      this.#duplicate(signal.inHand, ref, known);
      return;
    }
    if (copy === undefined) this.#takeId(source, hash, digest, ref, null);
    else this.#judgedInsteadOf(source, copy, hash, digest, ref);
    const given = claimed.epoch === null || claimed.sequence === null ? null : { epoch: claimed.epoch, sequence: claimed.sequence, ref };
    let stands = source;
    if (source.numbering && given !== null) {
      const at = place(cursorOf(source), given);
      if (at.kind === "next") stands = this.#take(source, given, signal.inHand);
      else if (at.kind === "early" && this.#world.numbers.waitingAt(source, given.epoch, given.sequence) === undefined) {
        this.#putWaiting(source, signal.inHand, given, hash, digest, true);
        stands = this.#world.source(source.source) ?? source;
      }
    }
    this.#poisonKnown(stands, signal.inHand, { ref, event: ref, round: 1 }, error);
    if (copy !== undefined) this.#becomesDuplicate(source, copy, signal.inHand, hash, ref);
  }

  #poisonKnown(source: SourceState, inHand: EventInHand, at: Round, error: unknown): void {
    this.#quarantine(source, inHand, at, "SYS_POISON", "service", `The service failed on this event alone: ${messageOf(error)}.`);
    const now = this.#world.source(source.source) ?? source;
    if (now.numbering) this.#putSource({ ...now, parked: { why: "poison", position: at.ref } }, at.ref);
  }

  /** If judging again throws, that event alone is quarantined; its source had its number long ago and goes on. */
  #poisonDeferral(open: Deferral, error: unknown): void {
    const source = this.#sourceOf(open);
    const cause = this.#lastCause();
    const ref = this.#next();
    this.#endDeferral(open);
    this.#quarantine(
      source,
      open.event,
      { ref, event: open.position, round: open.round + 1, cause },
      "SYS_POISON",
      "service",
      `The service failed on this event alone: ${messageOf(error)}.`,
    );
  }

  #attempt<T>(judge: () => T): { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown } {
    const mark = markRows(this.#rows);
    const positions = this.#positions;
    const changed = [...this.#changed];
    const followUps = this.#followUps.length;
    const result = this.#world.attempt(judge);
    if (!result.ok) {
      cutRows(this.#rows, mark);
      this.#positions = positions;
      this.#followUps.length = followUps;
      this.#changed.clear();
      for (const [key, after] of changed) this.#changed.set(key, after);
    }
    return result;
  }

  // ---- the record

  #next(): Ref {
    this.#positions += 1;
    return -this.#positions;
  }

  #record(signal: EventSignal, ref: Ref, sourceKey: string | null): void {
    const claimed = identityOf(signal.inHand);
    this.#rows.signals.push({
      ref,
      kind: "event",
      sourceKey,
      source: claimed.source,
      eventId: claimed.id,
      type: claimed.type,
      epoch: claimed.epoch,
      sequence: claimed.sequence,
      digest: digestOf(signal.inHand),
      delivery: signal.delivery,
      receivedAt: signal.inHand.receivedAt,
      actor: null,
      body: null,
    });
  }

  #takeId(source: SourceState, hash: string, digest: string, ref: Ref, waitsAt: KnownId["waitsAt"]): void {
    this.#world.putId(source, hash, {
      position: ref,
      digest,
      digestVersion: DIGEST_VERSION,
      latest: { position: ref, round: 1, status: "deferred", code: null },
      waitsAt,
    });
    this.#rows.ids.push({ sourceKey: source.key, idHash: hash, digest, ref });
  }

  #latest(source: SourceState, hash: string | null, at: Round, status: string, code: string | null): void {
    const known = hash === null ? undefined : this.#world.knownId(source, hash);
    if (hash !== null && known !== undefined && known.position === at.event)
      this.#world.putId(source, hash, { ...known, latest: { position: at.ref, round: at.round, status, code } });
  }

  #putSource(next: SourceState, ref: Ref): void {
    const before = this.#world.source(next.source) ?? next;
    const noted = noteGap(before, next, ref, (sequence) => next.epoch !== null && this.#world.numbers.waitingAt(next, next.epoch, sequence) !== undefined);
    this.#world.putSource(noted);
    this.#touchedSources.add(next.source);
    if (before.gap !== null && noted.gap === null) this.#change(`source:${next.source}`);
  }

  #exception(
    ref: Ref,
    event: Ref | null,
    code: string,
    reason: string,
    source: string | null,
    batch: string | null,
    step: string | null,
    attempt: number | null,
  ): void {
    const ordinal = this.#rows.exceptions.filter((e) => e.ref === ref).length + 1;
    this.#rows.exceptions.push({ ref, ordinal, event, code, reason, source, batch, step, attempt });
    const known = batch === null ? undefined : this.#world.batch(batch);
    if (known !== undefined) this.#world.putBatch({ ...known, openExceptions: known.openExceptions + 1 });
  }

  #verdict(inHand: EventInHand, at: Round, decided: Decided): void {
    const claimed = identityOf(inHand);
    const status = decided.status;
    const { next, remedy } = nextFor(status, decided.code);
    const verdict: Verdict = {
      ref: at.ref,
      event: at.event,
      round: at.round,
      status,
      code: decided.code,
      refusedBy: status === "accepted" || status === "accepted_with_exception" || status === "duplicate" ? null : decided.by,
      reason: decided.reason,
      next,
      remedy,
      branch: inHand.branch,
      line: claimed.line ?? inHand.branch.line,
      equipment: claimed.equipment ?? inHand.branch.equipment,
      source: claimed.source,
      eventId: claimed.id,
      type: claimed.type,
      epoch: claimed.epoch,
      sequence: claimed.sequence,
      batch: decided.context?.batch ?? claimed.batch,
      step: decided.context?.step ?? claimed.step,
      attempt: decided.context?.attempt ?? claimed.attempt,
      contextFrom: decided.context?.from ?? (claimed.batch === null ? "none" : "claim"),
      correlation: claimed.correlation,
      traceparent: claimed.traceparent,
      first: decided.first ?? null,
      cause: at.cause ?? null,
      ahead: at.ahead ?? false,
      flags: decided.flags ?? [],
      facts: decided.facts ?? 0,
      explanation: decided.explanation ?? null,
      eventTime: claimed.time,
    };
    this.#rows.verdicts.push(verdict);
    if (decided.patienceMs !== undefined) this.#rows.patience.push({ event: at.event, ms: decided.patienceMs });
    if (claimed.source !== null) {
      const source = this.#world.source(claimed.source);
      if (source !== undefined) this.#latest(source, idHash(claimed), at, status, decided.code);
    }
  }
}

/** Patience where neither type nor step names one, from the first judgement. */
const DEFAULT_PATIENCE_MS = 30_000;

const STEP_STOPS: ReadonlySet<string> = new Set(["step.pause", "step.abort", "batch.pause", "batch.stop", "batch.abort"]);
const BATCH_STOPS: ReadonlySet<string> = new Set(["batch.pause", "batch.stop", "batch.abort"]);

/** What overtakes an event of a type, when it acted ahead. */
const OVERTAKES: Readonly<Partial<Record<string, ReadonlySet<string>>>> = {
  "step.pause": STEP_STOPS,
  "step.resume": STEP_STOPS,
  "batch.pause": BATCH_STOPS,
  "batch.resume": BATCH_STOPS,
};

interface Round {
  readonly ref: Ref;
  readonly event: Ref;
  readonly round: number;
  readonly cause?: Ref;
  readonly ahead?: boolean;
}

interface Decided {
  readonly status: Status;
  readonly code: string | null;
  readonly by: Verdict["refusedBy"];
  readonly reason: string;
  readonly flags?: readonly string[];
  readonly facts?: number;
  readonly first?: Ref;
  readonly context?: Extract<Judgement, { kind: "refused" }>["context"];
  readonly explanation?: Verdict["explanation"];
  readonly patienceMs?: number;
}

function duplicateOf(first: Ref, today: { readonly status: string; readonly code: string | null }): Decided {
  return {
    status: "duplicate",
    code: "DUP_EXACT",
    by: null,
    reason: `The same event had arrived before and is ${today.status.replaceAll("_", " ")}; nothing was done again.`,
    first,
    explanation: { today: { status: today.status, code: today.code } },
  };
}

function lateReason(code: string, source: SourceState, given: Given): string {
  return code === "SEQ_EPOCH_OLD"
    ? `Epoch ${given.epoch} of ${source.source} has ended; epoch ${source.epoch} is current.`
    : `Number ${given.sequence} of epoch ${given.epoch} of ${source.source} had been given up.`;
}

/** Whether a deferred event of the same source comes before this one: by its number, since what came early may have arrived first; without numbers by arrival. */
function precedes(open: Deferral, event: DeviceEvent, self: Ref): boolean {
  const before = identityOf(open.event);
  if (before.epoch === null || before.sequence === null || event.epoch === null || event.sequence === null) return byAge(open.position, self) < 0;
  return before.epoch < event.epoch || (before.epoch === event.epoch && before.sequence < event.sequence);
}

const describe = (open: Deferral): string => identityOf(open.event).id ?? `the event at ${open.position}`;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).replace(/\.$/, "").slice(0, 200);

const NO_EVENT = {
  sourceKey: null,
  source: null,
  eventId: null,
  type: null,
  epoch: null,
  sequence: null,
  digest: null,
  delivery: null,
  actor: null,
  body: null,
} as const;

function commandBody(signal: CommandSignal): Readonly<Record<string, unknown>> {
  return JSON.parse(JSON.stringify({ ...signal.command, ifVersion: signal.ifVersion }, (_, value) => (typeof value === "bigint" ? value.toString() : value)));
}

/** The same event under the number that it had before. */
function underNumber(inHand: EventInHand, { epoch, sequence }: { readonly epoch: bigint; readonly sequence: bigint }): EventInHand {
  const { said } = inHand;
  if (said.kind === "event") return { ...inHand, said: { ...said, event: { ...said.event, epoch, sequence } } };
  return { ...inHand, said: { ...said, partial: { ...said.partial, epoch, sequence } } };
}

interface Identity {
  readonly source: string | null;
  readonly line: string | null;
  readonly equipment: string | null;
  readonly id: string | null;
  readonly type: string | null;
  readonly time: string | null;
  readonly epoch: bigint | null;
  readonly sequence: bigint | null;
  readonly batch: string | null;
  readonly step: string | null;
  readonly attempt: number | null;
  readonly correlation: string | null;
  readonly traceparent: string | null;
}

/** What an event says of itself, as far as it could be read. */
export function identityOf(inHand: EventInHand): Identity {
  if (inHand.said.kind === "event") {
    const { event } = inHand.said;
    return {
      source: event.source,
      line: event.address.line,
      equipment: event.address.equipment,
      id: event.id,
      type: `signalbox.${event.type}.v1`,
      time: event.time,
      epoch: event.epoch,
      sequence: event.sequence,
      batch: event.batch,
      step: event.step,
      attempt: event.attempt,
      correlation: event.correlationId,
      traceparent: event.traceparent,
    };
  }
  const { partial } = inHand.said;
  return {
    source: partial.source,
    line: partial.address?.line ?? null,
    equipment: partial.address?.equipment ?? null,
    id: partial.id,
    type: partial.type,
    time: partial.time,
    epoch: partial.epoch,
    sequence: partial.sequence,
    batch: partial.batch,
    step: partial.step,
    attempt: null,
    correlation: partial.correlationId,
    traceparent: partial.traceparent,
  };
}

export function digestOf(inHand: EventInHand): string {
  return Buffer.from(inHand.said.kind === "event" ? inHand.said.event.digest : inHand.said.partial.digest).toString("hex");
}
