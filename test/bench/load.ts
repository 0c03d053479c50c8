import { type Asked, start } from "./answering.ts";
import { CELLS, type Delivery, plan, type Sending } from "./plan.ts";
import { now } from "./wire.ts";

// The load: the generator and the subscriber, and what was planned beside them.

/** How many deliveries are under way at once, where as many are decided as can be. */
export const UNDER_WAY = 4_000;
const LOOK_MS = 50;

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** So many a second, from a moment on: the first of them, by its place in what is prepared, was meant to be sent then. */
export interface Opened {
  readonly began: number;
  readonly rate: number;
  readonly first: number;
}

/** The whole plant, as one site. */
export const whole = (seed: number): Sending => ({ seed, cells: CELLS, sites: 1 });

/** How many deliveries of each kind. */
export type Tally = Readonly<Record<Delivery["kind"], number>>;

export class Load {
  readonly generator: Asked;
  readonly subscriber: Asked;
  readonly #plan: Generator<Delivery, never>;
  /** What is planned from `#first` on. */
  #planned: Delivery[] = [];
  #first = 0;
  #sentBefore: Tally = { event: 0, early: 0, duplicate: 0, conflict: 0, illegal: 0, flood: 0 };

  private constructor(generator: Asked, subscriber: Asked, sending: Sending) {
    this.generator = generator;
    this.subscriber = subscriber;
    this.#plan = plan(sending);
  }

  static async start(port: number, sending: Sending, hears: "answers" | "events"): Promise<Load> {
    const subscriber = await start("./subscriber.js", [String(port), hears]);
    const generator = await start("./generator.js", [String(port), JSON.stringify(sending)]);
    return new Load(generator, subscriber, sending);
  }

  /** Makes the next so many deliveries ready to be sent, and gives them; what was ready and not sent comes first. Those before are forgotten. */
  async prepare(count: number): Promise<readonly Delivery[]> {
    const { released } = await this.#counts();
    this.#sentBefore = await this.sent();
    this.#first += released;
    this.#planned = this.#planned.slice(released);
    while (this.#planned.length < Math.ceil(count)) this.#planned.push(this.#plan.next().value);
    await this.generator.ask("encode", { count: this.#planned.length });
    return this.#planned;
  }

  #counts(): Promise<{ readonly released: number; readonly sent: number; readonly acknowledged: number; readonly refused: number }> {
    return this.generator.ask("counts");
  }

  /** How many deliveries of each kind are sent, or due, since the start. */
  async sent(): Promise<Tally> {
    const { released } = await this.#counts();
    const tally = { ...this.#sentBefore };
    for (const { kind } of this.#planned.slice(0, released)) tally[kind] += 1;
    return tally;
  }

  /** Sends so many of what was prepared as fast as the broker takes them; resolves when it has. */
  async sendAtOnce(count: number): Promise<void> {
    await this.generator.ask("upTo", { count });
    for (;;) {
      const { released, acknowledged, refused } = await this.#counts();
      if (refused > 0) throw new Error(`the broker refused ${refused} messages`);
      if (acknowledged >= released) return;
      await sleep(LOOK_MS);
    }
  }

  /** How many messages the subscriber has had. */
  async heard(): Promise<number> {
    const { outcomes, verdicts } = await this.subscriber.ask<{ readonly outcomes: number; readonly verdicts: number }>("progress");
    return outcomes + verdicts;
  }

  /** How far the subscriber has come in what was prepared: the deliveries up to the last that was answered. */
  async decided(): Promise<number> {
    const { highest } = await this.subscriber.ask<{ readonly highest: number }>("progress");
    return highest + 1 - this.#first;
  }

  /** How many are sent or due, and not decided. */
  async underWay(): Promise<number> {
    const { released } = await this.#counts();
    return released - (await this.decided());
  }

  /** Has as many under way as are always at hand, as long as `goesOn` says; whether they lasted. */
  async flood(goesOn: () => boolean): Promise<boolean> {
    for (;;) {
      const decided = await this.decided();
      await this.generator.ask("upTo", { count: decided + UNDER_WAY });
      if (!goesOn()) return true;
      if (decided + UNDER_WAY > this.#planned.length) return false;
      await sleep(LOOK_MS);
    }
  }

  /** Sends so many a second from now on. */
  async open(rate: number): Promise<Opened> {
    const { released } = await this.#counts();
    const { began } = await this.generator.ask<{ readonly began: number }>("open", { rate });
    return { began, rate, first: released };
  }

  /** Waits until everything that was sent is answered; gives what is not after so long without a single answer. */
  async drained(patienceMs = 30_000): Promise<readonly Delivery[]> {
    await this.generator.ask("stop");
    let last = { missing: Number.POSITIVE_INFINITY, at: now() };
    for (;;) {
      const { released, refused } = await this.#counts();
      if (refused > 0) throw new Error(`the broker refused ${refused} messages`);
      const { outcomes, refusals } = await this.arrivals();
      const waits = ({ n, kind }: Delivery): boolean => {
        const [outcome, refusal] = [outcomes[n - this.#first], refusals[n - this.#first]];
        return kind === "illegal" ? !outcome && !refusal : (kind === "event" || kind === "early") && !outcome;
      };
      const unanswered = this.#planned.slice(0, released).filter(waits);
      if (unanswered.length === 0 || now() - last.at > patienceMs) return unanswered;
      if (unanswered.length < last.missing) last = { missing: unanswered.length, at: now() };
      await sleep(200);
    }
  }

  /** When the events that were prepared were answered, each at its place. */
  arrivals(): Promise<{ readonly outcomes: Float64Array; readonly refusals: Float64Array }> {
    return this.subscriber.ask("arrivals", { from: this.#first, to: this.#first + this.#planned.length });
  }

  /** How long the outcomes of accepted events took that were to be sent from one moment to another of a time that `open` began, from the moment at which each was to be sent. Milliseconds. */
  async waits({ began, rate, first }: Opened, from: number, to: number): Promise<Float64Array> {
    const { outcomes } = await this.arrivals();
    const took: number[] = [];
    const dueAt = (i: number): number => began + ((i - first) / rate) * 1_000;
    for (let i = first; i < this.#planned.length && dueAt(i) < to; i += 1) {
      const kind = this.#planned[i]?.kind;
      const came = outcomes[i];
      if (dueAt(i) >= from && (kind === "event" || kind === "early") && came !== undefined && came > 0) took.push(came - dueAt(i));
    }
    return Float64Array.from(took);
  }

  get pids(): { readonly generator: number; readonly subscriber: number } {
    return { generator: this.generator.pid, subscriber: this.subscriber.pid };
  }

  get planned(): readonly Delivery[] {
    return this.#planned;
  }

  async end(): Promise<void> {
    await this.generator.end();
    await this.subscriber.end();
  }
}
