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
 * The quotas of one shard. A branch with registered sources has its own, one for each of its topics; all others have one together, since whoever sends on branches that nobody registered can
 * name any number of them.
 */
export class Quotas {
  readonly #quota: Quota | null;
  readonly #known = new Set<string>();
  readonly #buckets = new Map<string, Bucket>();
  readonly #strangers: Bucket | null;
  #doubts = false;

  constructor(quota: Quota | null) {
    this.#quota = quota;
    this.#strangers = quota === null ? null : new Bucket(quota);
  }

  /** Whether a stranger was left out since branches were last made known: it may have been registered meanwhile. */
  get doubts(): boolean {
    return this.#doubts;
  }

  /** Branches with registered sources: topics without their last level. */
  know(branches: Iterable<string>): void {
    for (const branch of branches) this.#known.add(branch);
    this.#doubts = false;
  }

  /** A registered source has sent something on it. */
  believe(topic: string): void {
    this.#known.add(branchOf(topic));
  }

  /** Whether a delivery is within its quota. */
  admits(topic: string, bytes: number, now: number): boolean {
    if (this.#quota === null || this.#strangers === null) return true;
    if (!this.#known.has(branchOf(topic))) {
      if (this.#strangers.take(weightOf(bytes), now)) return true;
      this.#doubts = true;
      return false;
    }
    let bucket = this.#buckets.get(topic);
    if (bucket === undefined) {
      bucket = new Bucket(this.#quota);
      this.#buckets.set(topic, bucket);
    }
    return bucket.take(weightOf(bytes), now);
  }

  /** Under which name what is left out of a topic is told together: its own, or one for all strangers. */
  nameOf(topic: string): string {
    const branch = branchOf(topic);
    return this.#known.has(branch) ? topic : topic.slice(branch.length);
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

  /** Whether it is open; so much is taken from it then. */
  take(weight: number, now: number): boolean {
    const since = this.#at === null ? 0 : Math.max(0, now - this.#at);
    this.#at = Math.max(now, this.#at ?? now);
    this.#level = Math.min(this.#quota.burst, this.#level + (since / 1000) * this.#quota.perSecond);
    if (this.#closed ? this.#level < this.#reopens : this.#level < 1) {
      this.#closed = true;
      return false;
    }
    this.#closed = false;
    this.#level -= weight;
    return true;
  }
}
