// Judges what a device or a person asks of a batch.
import { waitsForBatch } from "../authorise/context.ts";
import type { BatchState } from "../authorise/execution-context.ts";
import type { Fact } from "./facts.ts";
import type { GuardSignal } from "./guards.ts";
import { guardsFor } from "./guards-for.ts";
import type { ContextInWords, Judgement } from "./judgement.ts";
import type { Machines } from "./machines.ts";
import { notPermitted } from "./permitted.ts";
import type { World } from "./world.ts";

export function judgeBatch(
  world: World,
  machines: Machines,
  batch: BatchState,
  name: string,
  signal: GuardSignal,
  context: ContextInWords,
  flags: readonly string[],
): Judgement {
  const from = { execution: batch.execution, disposition: batch.disposition };
  const stateMachine = batch.batchMachine;
  const moved = machines.batch(batch).next(from, name, guardsFor(world, batch, null, signal), guardsFor(world, batch, null, null));
  if (moved.kind === "refused") {
    const waits = [waitsForBatch(batch.batch)];
    return notPermitted(moved, { batch: batch.batch, step: null, state: batch.execution, asked: name, stateMachine, context, waits });
  }
  const fact: Fact = { kind: "batch.moved", batch: batch.batch, by: name, from, to: moved.to, at: signal.receivedAt };
  const explanation = { state: batch.execution, permitted: [], stateMachine, guards: moved.checks };
  return { kind: "accepted", facts: [fact], context, flags, exceptions: [], explanation };
}
