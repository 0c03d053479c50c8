/**
 * What devices, the MES and readers saw from outside, and nothing that the service says of itself in its logs. Times are milliseconds on one clock, in the observer's process (or the
 * simulation's); they only order what the observer itself saw. Everything else is compared by content.
 */
export interface History {
  readonly site: string;
  /** In the order in which devices published. */
  readonly sent: readonly Sent[];
  /** In the order in which the subscriber that stands for MES, integrators and devices heard it: outcomes, verdicts, cursors and batch mirrors, repeats included. */
  readonly heard: readonly Heard[];
  /** In the order in which the observer between service and broker saw them. Empty where nobody stood there. */
  readonly acknowledged: readonly Acknowledged[];
  readonly reads: readonly Read[];
  readonly locks: readonly LockOperation[];
  /** What the service answers over REST once everything has healed and settled; null when it never did. */
  readonly end: End | null;
  /** The observer's exception from the rule: what the fault plan did that no service can survive without loss, such as a broker that forgot its sessions. */
  readonly brokerForgot: readonly { readonly at: number }[];
  /** Recorded restores: what came after the backup is gone, and the generation rises. */
  readonly restores: readonly { readonly at: number; readonly generation: number }[];
  /** When the subscriber connected anew: the broker then tells again what it retains, so that what is retained is only compared between two of these. */
  readonly reconnected?: readonly { readonly at: number }[];
  /** Numbers that a person gave up, by skipping a gap or by rebasing a source; both ends belong to it. */
  readonly skipped?: readonly { readonly source: string; readonly epoch: string; readonly from: string; readonly to: string }[];
  /** Sources whose device was replaced: they count anew, so that nothing is concluded from their numbers. */
  readonly replaced?: readonly string[];
}

/** One publish of one device. A repeat of the same event is a `Sent` of its own. */
export interface Sent {
  readonly at: number;
  readonly source: string;
  readonly id: string;
  readonly epoch: string;
  readonly sequence: string;
  readonly type: string;
  /** Equal for equal content, numbering and tracing left out, so that a conflict (same id or number, other content) is told from a repeat. */
  readonly content: string;
  /** When the broker acknowledged it to the device; null: never. */
  readonly acknowledgedAt: number | null;
}

/** A message as a subscriber heard it: `body` is the CloudEvent, null for a cleared mirror. */
export interface Heard {
  readonly at: number;
  readonly topic: string;
  readonly retained: boolean;
  readonly body: {
    readonly id: string;
    readonly type: string;
    readonly source: string;
    readonly sequence?: string;
    readonly causationid?: string;
    readonly data: Readonly<Record<string, unknown>>;
  } | null;
}

/** A PUBACK of the service for one delivery. `durable`: an independent reader found the verdict (or the record that it changes nothing) before the PUBACK was let through. */
export interface Acknowledged {
  readonly at: number;
  readonly source: string;
  readonly id: string;
  readonly durable: boolean;
}

/** A read over REST of one outcome stream or of the verdicts, from its beginning. */
export interface Read {
  readonly began: number;
  readonly ended: number;
  readonly of: "outcomes" | "verdicts";
  /** The outcome stream; null for verdicts. */
  readonly stream: string | null;
  /** CloudEvent ids, in the order in which they were given. */
  readonly ids: readonly string[];
}

/**
 * An operation on the context lock of one equipment, as its caller saw it; `ended` null: the answer never came, so it may or may not have taken effect, at any later
 * time. A batch holds an equipment or does not; how many of its steps work with it is not told apart. What was refused for another reason than the lock (a step
 * that is not ready, a batch that is paused) says nothing about it, and is no operation.
 */
export interface LockOperation {
  readonly began: number;
  readonly ended: number | null;
  readonly equipment: string;
  readonly asks: { readonly kind: "take"; readonly batch: string } | { readonly kind: "free"; readonly batch: string } | { readonly kind: "read" };
  /** take and free: whether it was done; read: who held it. */
  readonly answer: { readonly done: boolean } | { readonly holder: string | null } | null;
}

export interface End {
  /** `data` of every verdict round of the site, oldest position first. */
  readonly verdicts: readonly Readonly<Record<string, unknown>>[];
  /** Every outcome as a CloudEvent, by position and ordinal. */
  readonly outcomes: readonly NonNullable<Heard["body"]>[];
  /** The batch record of every batch. */
  readonly batches: readonly Readonly<Record<string, unknown>>[];
}

/** `invariant` is a name out of `INVARIANTS`, `what` one sentence with the ids that it is about. */
export interface Finding {
  readonly invariant: Invariant;
  readonly what: string;
  readonly at: number | null;
}

/** The invariants of the programme, by what a user would call their violation. */
export const INVARIANTS = {
  lost: "every event that the broker acknowledged to a device, and did not lose itself, has a verdict in the end",
  doubled: "no event acts twice: one accepted verdict, one outcome of each kind that it causes",
  misordered: "what a source reports is decided in its order, except what acted ahead or was judged again and says so; skipped numbers are explicit",
  illegal: "every state change is permitted from the state before it",
  holes: "of each outcome stream the first publications are in sequence, from 1, without holes; repeats repeat what was said",
  regressed: "a retained cursor or mirror that is newer is never followed by an older one on one connection",
  prefix: "every read is a prefix of every later read, and of the end",
  stale: "a read that began after something was heard contains it",
  locks: "the context locks behave as one register for each equipment",
  early_ack: "nothing is acknowledged before it is durable",
  conflict: "the same identity with other content changes no state, and leaves a conflict",
  disagree: "what was published is what REST shows",
  fenced: "terms never go back in the order of commits",
  signed: "what is signed is what is on record; in the end everything is signed, and where only what is signed is shown, nothing else was shown",
  stuck: "after the last fault everything settles",
} as const;
export type Invariant = keyof typeof INVARIANTS;
