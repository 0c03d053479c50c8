// A person takes over equipment that a batch or one of its steps holds.
import { type BatchState, type ContextLock, stepOf } from "../authorise/execution-context.ts";
import { asked, type CommandAnswer, type CommandTools, lacksSignature, needsSignature, type Of, unknown } from "./command-answer.ts";
import type { Fact } from "./facts.ts";
import { guardsFor } from "./guards-for.ts";
import { takenOver } from "./locks.ts";
import type { CommandSignal } from "./signal.ts";

/**
 * The equipment is free then, and whoever takes it next has a higher token. What held it is told so by an outcome, and has an exception to be disposed of. A step that worked with it is paused, where
 * its state machine has that, and takes it again when it is resumed.
 */
export function takeOver(command: Of<"lock.takeover">, signal: CommandSignal, tools: CommandTools): CommandAnswer {
  if (lacksSignature(signal, command.kind)) return needsSignature();
  const { world } = tools;
  const held = world.equipment(command.equipment)?.locks ?? [];
  const lock = held.find(({ token }) => token === command.token);
  const batch = lock === undefined ? undefined : world.batch(lock.batch);
  if (lock === undefined || batch === undefined) return unknown(`open lock ${command.token} of ${command.equipment}`);
  const gone = takenOver(held, lock);
  const engaged = gone.filter(({ kind }) => kind === "engagement");
  tools.bringAbout([
    ...gone.map((one): Fact => ({ kind: "lock.freed", lock: one })),
    ...engaged.flatMap((one) => paused(batch, one, signal, tools)),
    ...gone.map((one) => told(one, signal.actor)),
  ]);
  for (const { equipment, step, attempt } of engaged.length > 0 ? engaged : [lock]) {
    const of = step === null ? `batch ${batch.batch}` : `step ${step} of batch ${batch.batch}`;
    tools.exception("LCK_TAKEN_OVER", `${equipment} was taken over from ${of}.`, batch.batch, step, attempt);
  }
  return { kind: "done", created: false, batch: null, warnings: [] };
}

function paused(batch: BatchState, { step: name }: ContextLock, signal: CommandSignal, { world, machines }: CommandTools): Fact[] {
  const step = name === null ? undefined : stepOf(batch, name);
  if (step === undefined) return [];
  const by = "step.pause";
  const next = machines.step(batch).next(step.state, by, guardsFor(world, batch, step, asked(signal)));
  if (next.kind === "refused") return [];
  const { state: from, attempt } = step;
  return [{ kind: "step.moved", batch: batch.batch, step: step.step, attempt, by, from, to: next.to, at: signal.receivedAt, clock: null }];
}

const told = ({ equipment, kind, batch, step, attempt, role, token }: ContextLock, actor: string): Fact => ({
  kind: "reported",
  type: "context.taken-over",
  batch,
  step,
  attempt,
  equipment,
  data: { lock: kind, role, token, actor },
});
