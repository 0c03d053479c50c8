// The group of signals that is being settled: its world, its positions, what it puts on record, and how all that is taken back when a judgement throws.
import { noteGap } from "../sequence/cursor.ts";
import type { Ref, SourceState } from "../sequence/source-state.ts";
import type { Attempt } from "./changes.ts";
import type { CommandAnswer } from "./command-answer.ts";
import type { Machines } from "./machines.ts";
import { cutRows, markRows, noRows, type Rows } from "./rows.ts";
import type { EventInHand, Signal, Tick } from "./signal.ts";
import type { World } from "./world.ts";

/** The answer to a command, and where the command that it answers stands. */
export interface Answered {
  readonly ref: Ref;
  readonly answer: CommandAnswer;
}

/** Why an exception is opened, and what it is about. */
export interface Opened {
  readonly code: string;
  readonly reason: string;
  readonly event?: Ref;
  readonly source?: string;
  readonly batch?: string | null;
  readonly step?: string | null;
  readonly attempt?: number | null;
}

export class Group {
  readonly world: World;
  readonly machines: Machines;
  readonly rows: Rows = noRows();
  readonly answers = new Map<Signal, Answered>();
  readonly touchedSources = new Set<string>();
  readonly touchedBatches = new Set<string>();
  readonly followUps: Tick[] = [];
  /** What came without a signature where everything must be signed, and gets no verdict that says so. */
  readonly unbelieved = new Set<Signal>();
  /** How many deferred events were judged again so far. */
  judgedAgain = 0;
  /** What has changed, and behind which position the deferred events that wait for it are still to be judged again (0: all of them). */
  readonly #changed = new Map<string, Ref>();
  #positions = 0;

  constructor(world: World, machines: Machines) {
    this.world = world;
    this.machines = machines;
  }

  /** How many positions it takes. */
  get positions(): number {
    return this.#positions;
  }

  /** The position given last: the cause of what comes free by it. */
  get last(): Ref {
    return -this.#positions;
  }

  next(): Ref {
    this.#positions += 1;
    return -this.#positions;
  }

  /** The position is not needed after all: nothing was put on record at it, or at any after it. */
  giveBack(ref: Ref): void {
    this.#positions = -ref - 1;
  }

  change(key: string, after: Ref = 0): void {
    const known = this.#changed.get(key);
    this.#changed.set(key, known === undefined || after < known ? after : known);
  }

  get hasChanged(): boolean {
    return this.#changed.size > 0;
  }

  /** What has changed since it was last asked. */
  takeChanged(): readonly (readonly [key: string, after: Ref])[] {
    const changed = [...this.#changed];
    this.#changed.clear();
    return changed;
  }

  /** Runs `judge`; if it throws anything but a wish to read more, whatever it left in the group is taken back and the error is returned. */
  attempt<T>(judge: () => T): Attempt<T> {
    const mark = markRows(this.rows);
    const positions = this.#positions;
    const changed = [...this.#changed];
    const followUps = this.followUps.length;
    const result = this.world.attempt(judge);
    if (!result.ok) {
      cutRows(this.rows, mark);
      this.#positions = positions;
      this.followUps.length = followUps;
      this.#changed.clear();
      for (const [key, after] of changed) this.#changed.set(key, after);
    }
    return result;
  }

  /** A source as the group has left it. */
  sourceNow(source: SourceState): SourceState {
    return this.world.source(source.source) ?? source;
  }

  /** The source of an event that was settled before. */
  sourceOf(inHand: EventInHand): SourceState {
    const name = inHand.claimed.source;
    const source = name === null ? undefined : this.world.source(name);
    if (source === undefined) throw new Error(`the source of a settled event, ${name}, is not registered`);
    return source;
  }

  /** Every change of a source goes through here, so that its gap and the gap's timer stay in step with its cursor. */
  putSource(next: SourceState, ref: Ref): void {
    const before = this.sourceNow(next);
    const noted = noteGap(before, next, ref, (sequence) => next.epoch !== null && this.world.numbers.waitingAt(next, next.epoch, sequence) !== undefined);
    this.world.putSource(noted);
    this.touchedSources.add(next.source);
    if (before.gap !== null && noted.gap === null) this.change(`source:${next.source}`);
  }

  openException(ref: Ref, { code, reason, event, source, batch, step, attempt }: Opened): void {
    const ordinal = this.rows.exceptions.filter((exception) => exception.ref === ref).length + 1;
    this.rows.exceptions.push({
      ref,
      ordinal,
      event: event ?? null,
      code,
      reason,
      source: source ?? null,
      batch: batch ?? null,
      step: step ?? null,
      attempt: attempt ?? null,
    });
    const known = batch == null ? undefined : this.world.batch(batch);
    if (known !== undefined) this.world.putBatch({ ...known, openExceptions: known.openExceptions + 1 });
  }
}
