import { type ArrivalStages, Arrivals } from "./arrivals.ts";
import type { Failure } from "./db/failure.ts";
import type { CommandAnswer } from "./decide/command-answer.ts";
import { unstorable } from "./decide/poison.ts";
import type { Settlement } from "./decide/settle.ts";
import type { Command, CommandSignal, DiagSignal, Signal, Tick } from "./decide/signal.ts";
import { claimsOf } from "./decide/signed.ts";
import type { Verdict } from "./decide/verdict.ts";
import type { Log } from "./ops/log.ts";
import type { SourceWatch } from "./ops/source-watch.ts";
import type { WithSpan } from "./ops/telemetry.ts";
import { sleep, type Time } from "./ops/time.ts";
import { judge, type Routed, route, type Stages } from "./pipeline.ts";
import type { Delivery } from "./receive/delivery.ts";
import { type Held, LeftOuts } from "./receive/left-out.ts";
import { type Quota, Quotas } from "./receive/quota.ts";
import type { Slot } from "./receive/window.ts";

/** How a drive reaches the world outside: each of these is replaced whole where a test lets it fail. */
export interface DriveStages extends Stages, ArrivalStages {
  acknowledge(slots: readonly Slot[]): void;
  /** The branches that have registered sources: topics without their last level. Without it they are known once one of theirs was heard. */
  branches?(): Promise<readonly string[]>;
  /** Milliseconds since the shard was last known to receive; null: never. */
  silentFor(): Promise<number | null>;
  beat(): Promise<void>;
  due(limit: number): Promise<readonly Tick[]>;
  /** Whether deliveries can arrive: connected and subscribed. */
  receiving(): boolean;
  /** Deliveries that came and are not acknowledged. */
  unacknowledged(): number;
}

/** Where a commit has brought the site, and when. */
export interface Head {
  readonly position: number;
  readonly generation: number;
  readonly recordedAt: string;
}

export interface DriveOptions {
  readonly site: string;
  readonly shard: string;
  readonly prefix: string;
  /** What each branch may bring; null: any number. */
  readonly quota: Quota | null;
  readonly stages: DriveStages;
  readonly time: Time;
  readonly log: Log;
  readonly meter: Meter;
  readonly watch: SourceWatch;
  readonly withSpan: WithSpan;
  /** Told after each commit, once everything in it is durable and acknowledged. */
  onCommitted(settlement: Settlement, head: Head): void;
  /** The shard cannot go on: its term is over, or the deployment is at fault. */
  onHalt(why: "fenced" | "deployment", error: unknown): void;
}

/** What the drive counts; names of metrics are in `ops/telemetry.ts`. */
export interface Meter {
  received(branch: string, qos: number): void;
  ignored(why: string): void;
  leftOut(branch: string, count: number): void;
  verdict(verdict: Verdict): void;
  committed(signals: number, seconds: number): void;
  outage(open: boolean): void;
  tick(kind: string): void;
}

export interface CommandRequest {
  readonly command: Command;
  readonly actor: string;
  readonly role: string | null;
  readonly signature: CommandSignal["signature"];
  readonly from: string | null;
  readonly ifVersion: number | null;
  readonly key: CommandSignal["key"];
}

/** A command cannot be answered now: nothing was decided, or nobody can say. */
export class Unavailable extends Error {}

/** A group is what is waiting when the last commit returns, bounded by count and bytes. One event alone is a group of one. */
const GROUP = { signals: 500, bytes: 1024 * 1024 } as const;

/** Longer silence than this counts as an interruption, and moves due times on. */
const INTERRUPTION_MS = 2_500;
const PULSE_MS = 250;
const DUE_LIMIT = 200;
const BACK_OFF = { first: 50, most: 5_000 } as const;

const PROCESS = "process site/{site}/line/{line}/eq/{equipment}/event";

function traceparentIn(signal: Signal | null): string | null {
  if (signal?.kind !== "event") return null;
  const { said } = claimsOf(signal);
  return said.kind === "event" ? said.event.traceparent : said.partial.traceparent;
}

interface Work {
  readonly signal: Signal | null;
  readonly delivery: Delivery | null;
  /** All for which its delivery stands; null: it is one that came, and stands for itself. */
  readonly held: Held | null;
  readonly slots: readonly Slot[];
  readonly bytes: number;
  readonly answer: { resolve(result: { answer: CommandAnswer; position: number; generation: number }): void; reject(error: unknown): void } | null;
}

/** The last of what was left out, standing for all of it. */
const toldTogether = (held: Held): Work => ({ signal: null, delivery: held.last, held, slots: held.slots, bytes: held.last.payload.byteLength, answer: null });

/**
 * Drives a shard: takes what has arrived, lets it run the route, acknowledges what is durable, and goes on. One group at a time; a shard's signals are settled in
 * the order in which they came, ticks and what is left over from the last commit first. When the database is away nothing is acknowledged and nothing is dropped.
 */
export class Drive {
  readonly #options: DriveOptions;
  readonly #first: Work[] = [];
  readonly #queue: Work[] = [];
  readonly #arrivals: Arrivals;
  readonly #quotas: Quotas;
  readonly #leftOut = new LeftOuts();
  readonly #pending = new Set<string>();
  /** Works of the group in hand that are settled, when only the rest of it is still to be tried. */
  readonly #finished = new WeakSet<Work>();
  #wake: (() => void) | null = null;
  #stopping = false;
  #halted = false;
  #running: Promise<void> | null = null;
  #endPulse: (() => void) | null = null;
  #pulsing: Promise<void> | null = null;
  #outage: { since: number; retries: number } | null = null;
  #lastCommit: number | null = null;
  #queuedSince: number | null = null;

  constructor(options: DriveOptions) {
    this.#options = options;
    this.#arrivals = new Arrivals(options);
    this.#quotas = new Quotas(options.quota);
  }

  start(): void {
    if (this.#running !== null) return;
    this.#running = this.#run();
    this.#endPulse = this.#options.time.every(PULSE_MS, () => {
      if (this.#pulsing === null) {
        this.#pulsing = this.#beat().finally(() => {
          this.#pulsing = null;
        });
      }
    });
  }

  /** Finishes the group in hand, and what is queued as long as the database answers; then stops. What is not settled stays with the broker. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#endPulse?.();
    this.#wake?.();
    await this.#pulsing;
    await this.#running;
    for (const work of [...this.#first, ...this.#queue]) work.answer?.reject(new Unavailable("the service is stopping"));
  }

  /** The term is over: nothing more is begun, and what is in hand is refused by its commit. */
  fence(error: unknown): void {
    this.#halt("fenced", error, []);
  }

  receive(delivery: Delivery, slot: Slot | null): void {
    if (this.#halted) return;
    const now = this.#options.time.now();
    const bytes = delivery.payload.byteLength;
    this.#leftOut.heard(now);
    if (this.#quotas.admits(delivery.topic, bytes, now)) {
      this.#queue.push({ signal: null, delivery, held: null, slots: slot === null ? [] : [slot], bytes, answer: null });
      this.#queuedSince ??= now;
    } else {
      this.#leftOut.add(this.#quotas.nameOf(delivery.topic), delivery, slot, this.#options.stages.now(), now);
    }
    this.#wake?.();
  }

  command(request: CommandRequest): Promise<{ readonly answer: CommandAnswer; readonly position: number; readonly generation: number }> {
    if (this.#halted || this.#stopping) return Promise.reject(new Unavailable("the shard is not running"));
    if (this.#outage !== null) return Promise.reject(new Unavailable("the database is away"));
    return new Promise((resolve, reject) => {
      const signal: CommandSignal = { kind: "command", ...request, receivedAt: this.#options.stages.now() };
      this.#queue.push({ signal, delivery: null, held: null, slots: [], bytes: 0, answer: { resolve, reject } });
      this.#queuedSince ??= this.#options.time.now();
      this.#wake?.();
    });
  }

  /** The verdict that a delivery would get now; nothing is written. */
  async dryRun(delivery: Delivery): Promise<Verdict | null> {
    const signal = this.#arrivals.signalOf(delivery, null);
    if (signal === null) return null;
    const settlement = await judge(this.#options.stages, [signal]);
    return settlement.rows.verdicts[0] ?? null;
  }

  /** What readiness and gauges rest on. */
  get condition(): {
    readonly halted: boolean;
    readonly outageSince: number | null;
    readonly queued: number;
    readonly oldestQueuedMs: number;
    readonly lastCommit: number | null;
  } {
    const queued = this.#queue.length + this.#first.length;
    return {
      halted: this.#halted,
      outageSince: this.#outage?.since ?? null,
      queued,
      oldestQueuedMs: queued === 0 || this.#queuedSince === null ? 0 : this.#options.time.now() - this.#queuedSince,
      lastCommit: this.#lastCommit,
    };
  }

  async #run(): Promise<void> {
    await this.#knowBranches();
    while (!this.#halted) {
      const group = this.#take();
      if (group.length === 0) {
        this.#queuedSince = null;
        if (this.#stopping) return;
        await this.#woken();
        continue;
      }
      if (!(await this.#settle(group)) && this.#stopping) return;
    }
  }

  /** Who has a quota of its own. What cannot be read now is read when it is missed. */
  async #knowBranches(): Promise<void> {
    try {
      this.#quotas.know((await this.#options.stages.branches?.()) ?? []);
    } catch (error) {
      this.#options.log.debug({ err: error, site: this.#options.site }, "the registered branches could not be read yet");
    }
  }

  /** Until something comes, or what was left out must be told of. */
  #woken(): Promise<void> {
    const { time, stages } = this.#options;
    return new Promise((resolve) => {
      const dueIn = this.#leftOut.dueIn(time.now(), stages.unacknowledged());
      const callOff = dueIn === null ? null : time.after(dueIn, () => this.#wake?.());
      this.#wake = () => {
        this.#wake = null;
        callOff?.();
        resolve();
      };
    });
  }

  #take(): Work[] {
    const { time, stages } = this.#options;
    const dueIn = this.#leftOut.dueIn(time.now(), stages.unacknowledged());
    // whatever came behind it is acknowledged with it
    if (dueIn !== null && (dueIn <= 0 || this.#stopping)) this.#queue.unshift(...this.#leftOut.take().map(toldTogether));
    const group: Work[] = [];
    let bytes = 0;
    const take = (from: Work[]): void => {
      let n = 0;
      for (const work of from) {
        if (group.length >= GROUP.signals || (group.length > 0 && bytes + work.bytes > GROUP.bytes)) break;
        group.push(work);
        bytes += work.bytes;
        n += 1;
      }
      from.splice(0, n);
    };
    take(this.#first);
    // what is left over comes before any later signal: a group of left-overs stays among itself
    if (this.#first.length === 0) take(this.#queue);
    return group;
  }

  /** Settles a group; whether it is settled. What is everyone's fault is waited out here, with the group in hand. */
  async #settle(group: Work[]): Promise<boolean> {
    const { stages } = this.#options;
    let works = group.flatMap((work) => this.#ready(work));
    for (;;) {
      try {
        const began = this.#options.time.now();
        await this.#options.withSpan(
          PROCESS,
          { "messaging.batch.message_count": works.length },
          works.flatMap((work) => traceparentIn(work.signal) ?? []),
          () => this.#routeAll(works),
        );
        this.#recovered();
        this.#options.meter.committed(works.length, (this.#options.time.now() - began) / 1000);
        return true;
      } catch (error) {
        const failure = stages.failure(error);
        if (this.#halted || failure.kind === "fenced" || failure.kind === "deployment") {
          this.#halt(failure.kind === "deployment" ? "deployment" : "fenced", error, works);
          return false;
        }
        works = this.#dropCommands(
          works.filter((work) => !this.#finished.has(work)),
          failure,
          error,
        );
        await this.#waitOut(error);
        if (this.#halted) {
          this.#halt("fenced", error, works);
          return false;
        }
        if (this.#stopping) {
          this.#queue.unshift(...works);
          return false;
        }
      }
    }
  }

  /** A work with its signal, decoded once; what is no signal is acknowledged as it is. */
  #ready(work: Work): Work[] {
    if (work.delivery === null) return [work];
    return [{ ...work, signal: this.#arrivals.signalOf(work.delivery, work.held) }];
  }

  /** Who is silent and who comes and goes is told by what is believed alone, which is known once it is settled. */
  #watchDiagnosis({ diagnosis, receivedAt }: DiagSignal, believed: boolean): void {
    const { watch, meter, log } = this.#options;
    const { source, state, epoch, sequence } = diagnosis;
    if (!believed) {
      meter.ignored("unsigned");
      log.info({ source, epoch: epoch?.toString(), sequence: sequence?.toString() }, "diagnosis not believed: everything is signed on its branch");
      return;
    }
    const now = Date.parse(receivedAt);
    watch.heard(source, now, null);
    if (state !== null) watch.connection(source, state, now);
  }

  /** Routes works as one group; what cannot be stored is found by halving, and stands alone then. */
  async #routeAll(works: readonly Work[]): Promise<void> {
    const signals = works.flatMap((work) => work.signal ?? []);
    const routed: Routed = await route(this.#options.stages, signals);
    if (routed.kind !== "unstorable") {
      this.#done(works, routed);
      return;
    }
    const [only] = works;
    if (works.length === 1 && only !== undefined) {
      await this.#alone(only, routed.error);
      return;
    }
    const middle = Math.ceil(works.length / 2);
    await this.#routeAll(works.slice(0, middle));
    await this.#routeAll(works.slice(middle));
  }

  /** The one signal that cannot be stored: a delivery is settled as unreadable, a command is refused to its caller; nothing else suffers. */
  async #alone(work: Work, error: unknown): Promise<void> {
    this.#options.log.error({ err: error, site: this.#options.site }, "a signal could not be stored");
    if (work.signal?.kind === "event") {
      const bare = work.held === null ? unstorable(work.signal) : this.#arrivals.bare(work.signal, work.held);
      const routed = await route(this.#options.stages, [bare]);
      if (routed.kind === "unstorable") throw routed.error;
      this.#done([{ ...work, signal: bare }], routed);
      this.#finished.add(work);
      return;
    }
    this.#finished.add(work);
    work.answer?.reject(error);
    if (work.slots.length > 0) this.#options.stages.acknowledge(work.slots);
  }

  /** Everything in the group is durable: acknowledge in order of arrival, answer, hand over. */
  #done(works: readonly Work[], routed: Exclude<Routed, { kind: "unstorable" }>): void {
    const slots = works.flatMap((work) => work.slots);
    if (slots.length > 0) this.#options.stages.acknowledge(slots);
    const { settlement } = routed;
    const base = routed.kind === "committed" ? routed.committed.base : 0;
    const generation = routed.kind === "committed" ? routed.committed.generation : 1;
    for (const work of works) {
      this.#finished.add(work);
      if (work.held !== null) this.#options.meter.leftOut(work.held.last.topic.endsWith("/diag") ? "diag" : "event", work.held.count);
      if (work.signal?.kind === "diag") this.#watchDiagnosis(work.signal, !settlement.unbelieved.has(work.signal));
      if (work.signal?.kind === "tick") this.#pending.delete(JSON.stringify(work.signal.tick));
      if (work.answer === null || work.signal === null) continue;
      const answered = settlement.answers.get(work.signal);
      if (answered === undefined) work.answer.reject(new Error("a command was settled without an answer"));
      else work.answer.resolve({ answer: answered.answer, position: answered.ref < 0 ? base - answered.ref : answered.ref, generation });
    }
    for (const tick of settlement.followUps) this.#enqueueFirst(tick);
    if (routed.kind !== "committed") return;
    this.#lastCommit = this.#options.time.now();
    for (const { delivery, sourceKey } of settlement.rows.signals) if (delivery !== null && sourceKey !== null) this.#quotas.believe(delivery.topic);
    for (const verdict of settlement.rows.verdicts) this.#report(verdict);
    this.#options.onCommitted(settlement, { position: base + settlement.positions, generation, recordedAt: routed.committed.recordedAt });
  }

  #report(verdict: Verdict): void {
    const { log, meter, site } = this.#options;
    meter.verdict(verdict);
    const fields = {
      site,
      source: verdict.source,
      id: verdict.eventId,
      type: verdict.type,
      status: verdict.status,
      code: verdict.code,
      batch: verdict.batch,
      step: verdict.step,
      round: verdict.round,
    };
    if (verdict.status === "accepted" || verdict.status === "duplicate") log.debug(fields, "event settled");
    else if (verdict.status === "deferred") log.debug(fields, "event deferred");
    else log.info(fields, verdict.status === "rejected" ? "event refused" : `event ${verdict.status.replaceAll("_", " ")}`);
  }

  #enqueueFirst(tick: Tick): boolean {
    const key = JSON.stringify(tick);
    if (this.#pending.has(key)) return false;
    this.#pending.add(key);
    this.#first.push({ signal: { kind: "tick", tick, receivedAt: this.#options.stages.now() }, delivery: null, held: null, slots: [], bytes: 0, answer: null });
    this.#options.meter.tick(tick.tick);
    this.#wake?.();
    return true;
  }

  /**
   * Time passes only while the shard receives. After an interruption every due time moves on by it, before anything falls due; and what is due becomes a tick on the
   * same route as everything else.
   */
  async #beat(): Promise<void> {
    const { stages } = this.#options;
    if (!stages.receiving() || this.#outage !== null || this.#halted || this.#stopping) return;
    try {
      // what was counted is silence no more; what the database was away for until it was counted is the next
      for (let silent = await stages.silentFor(); silent !== null && silent > INTERRUPTION_MS; silent = await stages.silentFor()) {
        this.#enqueueFirst({ tick: "interruption", ms: Math.round(silent) });
        await this.#settled("interruption");
        if (this.#halted || this.#stopping) return;
      }
      await stages.beat();
      if (this.#quotas.doubts) await this.#knowBranches();
      for (const tick of await stages.due(DUE_LIMIT)) this.#enqueueFirst(tick);
    } catch (error) {
      this.#options.log.debug({ err: error, site: this.#options.site }, "the pulse missed a beat");
    }
  }

  /** Resolves when no tick of a kind is pending any more. */
  async #settled(kind: Tick["tick"]): Promise<void> {
    while (!this.#halted && !this.#stopping && [...this.#pending].some((key) => key.startsWith(`{"tick":"${kind}"`))) await sleep(this.#options.time, 5);
  }

  /** During an outage callers are told; what they asked is not decided behind their back. */
  #dropCommands(works: Work[], failure: Failure, error: unknown): Work[] {
    if (failure.kind === "moved") return works;
    for (const work of works) work.answer?.reject(new Unavailable("the database is away", { cause: error }));
    return works.filter((work) => work.answer === null);
  }

  async #waitOut(error: unknown): Promise<void> {
    if (this.#outage === null) {
      this.#outage = { since: this.#options.time.now(), retries: 0 };
      this.#options.meter.outage(true);
      this.#options.log.error({ err: error, site: this.#options.site }, "the database is away; nothing is acknowledged until it is back");
    }
    this.#outage.retries += 1;
    const ceiling = Math.min(BACK_OFF.most, BACK_OFF.first * 2 ** Math.min(this.#outage.retries, 10));
    await sleep(this.#options.time, (ceiling / 2) * (1 + this.#options.time.chance()));
  }

  #recovered(): void {
    if (this.#outage === null) return;
    this.#options.log.info(
      { site: this.#options.site, seconds: (this.#options.time.now() - this.#outage.since) / 1000, retries: this.#outage.retries },
      "the database is back",
    );
    this.#options.meter.outage(false);
    this.#outage = null;
  }

  #halt(why: "fenced" | "deployment", error: unknown, works: readonly Work[]): void {
    for (const work of [...works, ...this.#first.splice(0), ...this.#queue.splice(0)])
      work.answer?.reject(new Unavailable("the shard has stopped", { cause: error }));
    if (this.#halted) return;
    this.#halted = true;
    this.#endPulse?.();
    this.#wake?.();
    if (this.#outage !== null) this.#options.meter.outage(false);
    this.#outage = null;
    this.#options.onHalt(why, error);
  }
}
