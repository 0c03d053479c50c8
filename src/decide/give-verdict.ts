// Puts on record what was decided about an event: one verdict for each of its rounds.
import type { Refusal } from "../decode/event.ts";
import type { Ref } from "../sequence/source-state.ts";
import type { Group } from "./group.ts";
import type { ContextInWords } from "./judgement.ts";
import type { EventInHand } from "./signal.ts";
import { nextFor, type Status, type Verdict } from "./verdict.ts";

/** Where a round of an event stands: its own position, and that of the first. */
export interface Round {
  readonly ref: Ref;
  readonly event: Ref;
  readonly round: number;
  readonly cause?: Ref;
  readonly ahead?: boolean;
}

export const firstRound = (ref: Ref): Round => ({ ref, event: ref, round: 1 });

export interface Decided {
  readonly status: Status;
  readonly code: string | null;
  readonly by: Verdict["refusedBy"];
  readonly reason: string;
  readonly flags?: readonly string[];
  readonly facts?: number;
  readonly first?: Ref;
  readonly context?: ContextInWords | undefined;
  readonly explanation?: Verdict["explanation"] | undefined;
  readonly patienceMs?: number;
}

export function giveVerdict(group: Group, inHand: EventInHand, at: Round, decided: Decided): void {
  const { claimed } = inHand;
  const { status, code } = decided;
  const { next, remedy } = nextFor(status, code);
  group.rows.verdicts.push({
    ref: at.ref,
    event: at.event,
    round: at.round,
    status,
    code,
    refusedBy: decided.by,
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
    performedBy: inHand.performedBy,
  });
  if (decided.patienceMs !== undefined) group.rows.patience.push({ event: at.event, ms: decided.patienceMs });
  rememberLatest(group, inHand, at, status, code);
}

/** What could not be read is rejected for its form alone. */
export function rejectForm(group: Group, inHand: EventInHand, at: Round, { code, reason }: Pick<Refusal, "code" | "reason">): void {
  giveVerdict(group, inHand, at, { status: "rejected", code, by: "form", reason });
}

/** A duplicate later in the same group is told what has become of the first until then. */
function rememberLatest({ world }: Group, inHand: EventInHand, at: Round, status: Status, code: string | null): void {
  const { claimed } = inHand;
  const source = claimed.source === null ? undefined : world.source(claimed.source);
  const hash = claimed.hash;
  if (source === undefined || hash === null) return;
  const known = world.knownId(source, hash);
  if (known?.position === at.event) world.putId(source, hash, { ...known, latest: { position: at.ref, round: at.round, status, code } });
}
