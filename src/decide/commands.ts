import type { Ref } from "../sequence/source-state.ts";
import type { CommandAnswer, CommandTools } from "./command-answer.ts";
import { commandBatch, createBatch, updateBatch } from "./command-batch.ts";
import { resolveException, resolveGap, resolveQuarantine, succeed } from "./command-resolve.ts";
import { commandStep } from "./command-step.ts";
import { takeOver } from "./command-take-over.ts";
import type { CommandSignal } from "./signal.ts";

export function judgeCommand(signal: CommandSignal, at: Ref, tools: CommandTools): CommandAnswer {
  const { command } = signal;
  switch (command.kind) {
    case "batch.create":
      return createBatch(command, signal.receivedAt, tools);
    case "batch.update":
      return updateBatch(command, signal, tools);
    case "batch.command":
      return commandBatch(command, signal, tools);
    case "step.command":
      return commandStep(command, signal, at, tools);
    case "gap.resolve":
      return resolveGap(command, signal, tools);
    case "source.succession":
      return succeed(command, signal, tools);
    case "quarantine.resolve":
      return resolveQuarantine(command, signal, tools);
    case "exception.resolve":
      return resolveException(command, signal, at, tools);
    case "lock.takeover":
      return takeOver(command, signal, tools);
  }
}
