// How much a branch may bring before more of it is left out: a token bucket for each, filled by time. Knows no clock; whoever asks says what time it is.

export interface Quota {
  /** Deliveries a second that a branch may bring for good. */
  readonly perSecond: number;
  /** Deliveries that it may bring at once. */
  readonly burst: number;
}

/** A delivery weighs one for every so many bytes that it begins, so that the record is bounded in bytes as well. */
const UNIT_BYTES = 4 * 1024;
const weightOf = (bytes: number): number => Math.max(1, Math.ceil(bytes / UNIT_BYTES));

/** `site/s/line/l/eq/e` of `site/s/line/l/eq/e/event`: what its equipment says and what is said of its connection are believed or not together. */
const branchOf = (topic: string): string => topic.slice(0, Math.max(0, topic.lastIndexOf("/")));

/**
 * The quotas of one shard. A branch from which something was believed has its own, one for each of its topics. All others have one together, and it is what went on record of them that is
 * taken from it: whoever sends on branches that nobody has registered can name any number of them, and a registered one may bring everything it kept before its first event is settled.
 */
export class Quotas {
  readonly #quota: Quota | null;
  readonly #believed: Set<string>;
  readonly #buckets = new Map<string, Bucket>();
  readonly #strangers: Bucket | null;

  /** @param known branches that have registered sources */
  constructor(quota: Quota | null, known: Iterable<string> = []) {
    this.#quota = quota;
    this.#believed = new Set(known);
    this.#strangers = quota === null ? null : new Bucket(quota);
  }

  /** Whether a delivery is within its quota. */
  admits(topic: string, bytes: number, now: number): boolean {
    if (this.#quota === null || this.#strangers === null) return true;
    if (!this.#believed.has(branchOf(topic))) return this.#strangers.open(now);
    let bucket = this.#buckets.get(topic);
    if (bucket === undefined) {
      bucket = new Bucket(this.#quota);
      this.#buckets.set(topic, bucket);
    }
    if (!bucket.open(now)) return false;
    bucket.take(weightOf(bytes));
    return true;
  }

  /** Under which name what is left out of a topic is told together: its own, or one for all strangers. */
  nameOf(topic: string): string {
    const branch = branchOf(topic);
    return this.#believed.has(branch) ? topic : topic.slice(branch.length);
  }

  /** A delivery was put on record; believed: a registered source sent it. */
  settled(topic: string, bytes: number, believed: boolean, now: number): void {
    const branch = branchOf(topic);
    if (believed) this.#believed.add(branch);
    else if (this.#strangers !== null && !this.#believed.has(branch) && this.#strangers.open(now)) this.#strangers.take(weightOf(bytes));
  }
}

/**
 * Once it is empty it stays closed until a second's worth is back: what is let through then comes in one run, and a source that numbers its events has one gap a second instead of one
 * between any two of them. A delivery that weighs more than is left is let through, and makes the next wait for longer.
 */
class Bucket {
  readonly #quota: Quota;
  readonly #reopens: number;
  #level: number;
  #at: number | null = null;
  #closed = false;

  constructor(quota: Quota) {
    this.#quota = quota;
    this.#level = quota.burst;
    this.#reopens = Math.min(quota.burst, quota.perSecond);
  }

  open(now: number): boolean {
    const since = this.#at === null ? 0 : Math.max(0, now - this.#at);
    this.#at = Math.max(now, this.#at ?? now);
    this.#level = Math.min(this.#quota.burst, this.#level + (since / 1000) * this.#quota.perSecond);
    if (this.#closed ? this.#level < this.#reopens : this.#level < 1) {
      this.#closed = true;
      return false;
    }
    this.#closed = false;
    return true;
  }

  take(weight: number): void {
    this.#level -= weight;
  }
}
