import type { BatchState } from "../authorise/execution-context.ts";
import { type GuardContext, GUARDS } from "./guards.ts";
import { compile, type Definition, type StateMachine } from "./state-machine.ts";

/** Compiled state machines, by the hash that a batch is bound to. */
export interface Machines {
  batch(batch: BatchState): StateMachine<BatchPlaceValue, GuardContext>;
  step(batch: BatchState): StateMachine<string, GuardContext>;
}

export interface BatchPlaceValue {
  readonly execution: string;
  readonly disposition: string;
}

