// What tests ask of what the service says, over MQTT and over REST. That it came as documented is held by the served documents (validate.ts); these are names for it, wide
// enough for any message and any answer: a test that asks for what is not there gets `undefined` and fails.

/** A verdict, an outcome, a cursor or a mirror; a list, a batch, a gap or a problem. */
export interface Said {
  // every message: the attributes of a CloudEvent, and what it carries
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly causationid: string;
  readonly data: Said;
  // lists, and where they go on
  readonly items: readonly Said[];
  readonly cursor: string | null;
  readonly after: number;
  readonly window: { readonly from: string; readonly to: string; readonly reason: string };
  // the audit trail
  readonly who: { readonly kind: string; readonly name: string };
  readonly what: string;
  readonly entry: string;
  readonly leafHash: string;
  // verdicts
  readonly verdict: string;
  readonly round: number;
  readonly firstRound: string;
  readonly event: { readonly source: string; readonly id: string; readonly type: string; readonly epoch: string; readonly sequence: string };
  readonly context: { readonly batch: string | null };
  readonly status: string;
  readonly final: boolean;
  readonly code: string;
  readonly reason: string;
  readonly remedy: string;
  readonly explanation: {
    readonly permitted: readonly string[];
    readonly guards: readonly unknown[];
    readonly leftOut?: { readonly count: number; readonly from: string; readonly to: string };
  };
  readonly position: number;
  readonly rounds: readonly Said[];
  readonly facts: readonly Said[];
  readonly performedBy?: {
    readonly person: string;
    readonly station: string;
    readonly session: number;
    readonly at: string;
    readonly clock: string;
  } | null;
  // stations and their sessions
  readonly session: number;
  readonly openedAt: string;
  readonly outcomes: readonly Said[];
  readonly locks: readonly Said[];
  readonly verdicts: Readonly<Record<string, number>>;
  // cursors
  readonly epoch: string | null;
  readonly through: string;
  readonly highest: string;
  readonly missing: readonly { readonly epoch: string; readonly from: string; readonly to: string }[];
  readonly parked: boolean;
  readonly version: number;
  // batches, steps, sources, gaps, exceptions
  readonly step: string;
  readonly steps: readonly Said[];
  readonly equipment: string;
  readonly execution: string;
  readonly since: string;
  readonly gap: string;
  readonly events: readonly Said[];
  readonly alarm: string;
  // the registry
  readonly result: string;
  readonly hash: string;
  readonly content: Readonly<Record<string, unknown>>;
  // deliveries as they came
  readonly raw: string;
  readonly rawLength: number;
  readonly topic: string;
  readonly envelope: Said;
  // what else there is
  readonly name: string;
  readonly revision: number;
  readonly number: number;
  readonly kind: string;
  readonly sequence: string;
  readonly generation: number;
  readonly ready: boolean;
  readonly errors: readonly { readonly pointer: string; readonly detail: string }[];
}
