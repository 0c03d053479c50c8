// The refusal of what a state or its guards do not permit.
import type { ContextInWords, Refused } from "./judgement.ts";
import { reasonFor } from "./reasons.ts";
import type { Check, Next } from "./state-machine.ts";
import { inFull } from "./type-names.ts";

/** Who asked what of which state. */
export interface Move {
  readonly batch: string;
  readonly step: string | null;
  readonly state: string;
  readonly asked: string;
  readonly stateMachine: string;
  readonly context: ContextInWords;
  /** What would have to change for another answer. */
  readonly waits: readonly string[];
}

export function notPermitted(next: Extract<Next<string>, { kind: "refused" }>, move: Move): Refused {
  const { batch, step, state, asked, stateMachine, context, waits } = move;
  return {
    kind: "refused",
    by: next.checks.length === 0 ? "state" : "guard",
    code: next.code,
    notYet: next.notYet,
    waits,
    reason: reasonFor(next.code, { batch, step, state, asked, checks: next.checks }),
    context,
    explanation: { state, permitted: inFull(next.permitted), stateMachine, guards: orState(next.checks, next.code, next.permitted, state) },
  };
}

/** A pair that the state does not list has no guard to blame: the state itself is what failed. */
function orState(checks: readonly Check[], code: string, permitted: readonly string[], state: string): readonly Check[] {
  if (checks.length > 0) return checks;
  return [{ guard: "state.permits@1", ok: false, code, notYet: false, expected: permitted.join(", ") || "nothing", actual: state }];
}
