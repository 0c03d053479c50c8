// Commands about a step.
import { type BatchState, type StepState, stepOf } from "../authorise/execution-context.ts";
import type { Ref } from "../sequence/source-state.ts";
import {
  asked,
  byPerson,
  type CommandAnswer,
  type CommandTools,
  claimed,
  done,
  isStale,
  lacksSignature,
  NEEDS_REASON,
  needsSignature,
  type Of,
  type Refusal,
  refused,
  settled,
  stale,
  unknown,
} from "./command-answer.ts";
import { judgeStep } from "./judge-step.ts";
import type { Judgement } from "./judgement.ts";
import { dependentsOf, inTheWay, redo, reopened } from "./rework.ts";
import type { CommandSignal } from "./signal.ts";

export function commandStep(command: Of<"step.command">, signal: CommandSignal, at: Ref, tools: CommandTools): CommandAnswer {
  const batch = tools.world.batch(command.batch);
  if (batch === undefined) return unknown(`batch ${command.batch}`);
  const step = stepOf(batch, command.step);
  if (step === undefined) return unknown(`step ${command.step} of batch ${command.batch}`);
  if (isStale(batch, signal, tools)) return stale(batch, tools);
  if (lacksSignature(signal, command.command)) return needsSignature();
  if (NEEDS_REASON.has(command.command) && command.reason === null)
    return refused("SIG_REASON_MISSING", `To ${command.command} ${command.command === "rework" ? "a step" : "evidence"}, give a reason.`);
  if (command.command === "comment") {
    tools.bringAbout([
      {
        kind: "reported",
        type: "step.commented",
        batch: batch.batch,
        step: step.step,
        attempt: step.attempt,
        equipment: null,
        data: { comment: command.comment, actor: signal.actor },
      },
    ]);
    return done(batch, false);
  }
  if (command.command === "rework") return settled(reworked(batch, step, command.linked, signal, at, tools), batch, step, tools);
  const judgement = judgeStep(
    tools.world,
    tools.machines,
    batch,
    step,
    `step.${command.command}`,
    { ...asked(signal), evidence: command.evidence },
    claimed(batch, step),
    [],
    {
      ...byPerson(at),
      data: { ...command.evidence, actor: signal.actor, ...(command.reason === null ? {} : { reason: command.reason }) },
    },
  );
  return settled(judgement, batch, step, tools);
}

/** What it comes to that a step is done again; a refusal that does not rest on its state explains nothing. */
export function reworked(
  batch: BatchState,
  step: StepState,
  linked: string | undefined,
  signal: CommandSignal,
  at: Ref,
  { world, machines }: CommandTools,
): Judgement | Refusal {
  if (linked === undefined)
    return refused("STP_REWORK_NOT_AUTHORISED", `The recipe provides for no rework of step ${step.step}; name the deviation that it is done under.`);
  if (batch.execution !== "running" && batch.execution !== "paused")
    return refused("CTX_BATCH_NOT_RUNNING", `Batch ${batch.batch} is ${batch.execution}; a step is done again while its batch is being executed.`);
  const dependents = dependentsOf(batch, step.step);
  const open = inTheWay(dependents);
  if (open.length > 0)
    return refused("STP_OPEN", `What comes after step ${step.step} is going on (${open.map((one) => `${one.step}: ${one.state}`).join(", ")}).`);
  const judgement = judgeStep(world, machines, batch, step, "step.rework", asked(signal), claimed(batch, step), [], byPerson(at));
  if (judgement.kind === "refused") return judgement;
  return {
    ...judgement,
    facts: [...judgement.facts, reopened(batch, step, "ready", linked), ...redo(world, machines, batch, dependents, asked(signal), linked)],
  };
}
