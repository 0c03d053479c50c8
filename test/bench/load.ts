import { type Asked, start } from "./answering.ts";
import { type Delivery, plan } from "./plan.ts";
import { now } from "./wire.ts";

// The load: the generator and the subscriber, and what was planned beside them.

/** How many deliveries are under way at once, where as many are decided as can be. */
export const UNDER_WAY = 4_000;
const LOOK_MS = 50;

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Load {
  readonly generator: Asked;
  readonly subscriber: Asked;
  readonly #plan: Generator<Delivery, never>;
  /** What is planned from `#first` on. */
  #planned: Delivery[] = [];
  #first = 0;

  private constructor(generator: Asked, subscriber: Asked, seed: number) {
    this.generator = generator;
    this.subscriber = subscriber;
    this.#plan = plan(seed);
  }

  static async start(port: number, seed: number, hears: "answers" | "events"): Promise<Load> {
    const subscriber = await start("./subscriber.js", [String(port), hears]);
    const generator = await start("./generator.js", [String(port), String(seed)]);
    return new Load(generator, subscriber, seed);
  }

  /** Makes the next so many deliveries ready to be sent, and gives them; what was ready and not sent comes first. Those before are forgotten. */
  async prepare(count: number): Promise<readonly Delivery[]> {
    const { released } = await this.generator.ask<{ readonly released: number }>("counts");
    this.#first += released;
    this.#planned = this.#planned.slice(released);
    while (this.#planned.length < Math.ceil(count)) this.#planned.push(this.#plan.next().value);
    await this.generator.ask("encode", { count: this.#planned.length });
    return this.#planned;
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

  /** Sends so many a second from now on; gives when the first was meant to be sent. */
  async open(rate: number): Promise<number> {
    const { began } = await this.generator.ask<{ readonly began: number }>("open", { rate });
    return began;
  }

  /** Waits until everything that was sent is answered; gives what is not after so long without a single answer. */
  async drained(patienceMs = 30_000): Promise<readonly Delivery[]> {
    await this.generator.ask("stop");
    let last = { missing: Number.POSITIVE_INFINITY, at: now() };
    for (;;) {
      const { released, refused } = await this.generator.ask<{ readonly released: number; readonly refused: number }>("counts");
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
