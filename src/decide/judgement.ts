// What judging comes to: facts, or a refusal that explains itself.
import type { Fact } from "./facts.ts";
import type { Check } from "./state-machine.ts";

export interface ContextInWords {
  readonly batch: string | null;
  readonly step: string | null;
  readonly attempt: number | null;
  readonly from: "claim" | "lock" | "none";
}

export interface Explanation {
  readonly state: string | null;
  /** Full type names of what the state would take now. */
  readonly permitted: readonly string[];
  readonly stateMachine: string | null;
  readonly guards: readonly Check[];
}

export interface Accepted {
  readonly kind: "accepted";
  readonly facts: readonly Fact[];
  readonly context: ContextInWords;
  readonly flags: readonly string[];
  /** What is true and yet not as it should be: each opens an exception. */
  readonly exceptions: readonly Doubt[];
  readonly explanation: Explanation | null;
}

export interface Doubt {
  readonly code: string;
  readonly reason: string;
}

export interface Refused {
  readonly kind: "refused";
  readonly by: "state" | "guard";
  readonly code: string;
  readonly notYet: boolean;
  /** What would have to change for another answer. */
  readonly waits: readonly string[];
  readonly reason: string;
  readonly context: ContextInWords;
  readonly explanation: Explanation;
}

export type Judgement = Accepted | Refused;
