// What people decide about gaps, sources, events in quarantine, and exceptions.
import { stepOf } from "../authorise/execution-context.ts";
import type { Ref, SourceState } from "../sequence/source-state.ts";
import {
  asked,
  byPerson,
  type CommandAnswer,
  type CommandTools,
  claimed,
  isOther,
  isStale,
  lacksSignature,
  needsSignature,
  type Of,
  refused,
  stale,
  unknown,
} from "./command-answer.ts";
import { reworked } from "./command-step.ts";
import type { Fact } from "./facts.ts";
import { judgeStep } from "./judge-step.ts";
import type { CommandSignal } from "./signal.ts";

export function resolveGap(command: Of<"gap.resolve">, signal: CommandSignal, tools: CommandTools): CommandAnswer {
  const source = tools.world.source(command.source);
  if (source === undefined) return unknown(`source ${command.source}`);
  if (lacksSignature(signal, command.kind)) return needsSignature();
  const open = source.gap?.position ?? source.parked?.position;
  if (open === undefined || (source.gap?.position !== command.gap && source.parked?.position !== command.gap))
    return unknown(`open gap ${command.gap} of ${command.source}`);
  if (isOther(source.version, signal)) return { kind: "stale", version: source.version };
  const freed: SourceState = { ...source, parked: null, reused: 0 };
  if (command.action === "wait") {
    tools.putSource(freed);
  } else if (command.action === "skip") {
    const epoch = source.epoch;
    if (epoch === null) return refused("SEQ_GAP", `Nothing was ever heard of ${source.source}; rebase it instead.`);
    // a parking that is not about missing numbers ends all the same
    if ((command.sequence ?? freed.highest) <= freed.through && (source.parked === null || source.parked.why === "gap"))
      return refused(
        "SEQ_GAP",
        `Nothing of epoch ${epoch} is missing up to ${command.sequence ?? freed.highest}; to begin a newer epoch elsewhere than at 1, rebase it.`,
      );
    tools.putSource(freed);
    tools.giveUp(freed, epoch, freed.through + 1n, command.sequence ?? freed.highest);
  } else {
    const epoch = command.epoch ?? source.epoch;
    const sequence = command.sequence;
    if (epoch === null || sequence === null) return refused("SEQ_GAP", "To rebase a source, say with which epoch and sequence it goes on.");
    const back = source.epoch !== null && (epoch < source.epoch || (epoch === source.epoch && sequence <= source.through));
    if (back) return refused("SEQ_REUSED", `${source.source} is decided through ${source.epoch}.${source.through}; it never goes back.`);
    tools.rebase(freed, epoch, sequence);
  }
  tools.drain(command.source);
  return { kind: "done", created: false, batch: null, warnings: [] };
}

export function succeed(command: Of<"source.succession">, signal: CommandSignal, tools: CommandTools): CommandAnswer {
  const source = tools.world.source(command.source);
  if (source === undefined) return unknown(`source ${command.source}`);
  if (lacksSignature(signal, command.kind)) return needsSignature();
  if (isOther(source.version, signal)) return { kind: "stale", version: source.version };
  tools.succeed(source);
  return { kind: "done", created: false, batch: null, warnings: [] };
}

/** Conflicts of identity are never judged again: two events claim to be one, and the first one stands. */
export const NEVER_AGAIN: ReadonlySet<string> = new Set(["DUP_ID_REUSED", "SEQ_REUSED"]);

export function resolveQuarantine(command: Of<"quarantine.resolve">, signal: CommandSignal, tools: CommandTools): CommandAnswer {
  const entry = tools.world.quarantined(command.event);
  if (entry === undefined) return unknown(`quarantined event ${command.event}`);
  if (lacksSignature(signal, command.kind)) return needsSignature();
  // what changes of an event is its round
  if (isOther(entry.round, signal)) return { kind: "stale", version: entry.round };
  if (command.action === "reject") {
    tools.reject(entry, command.reason);
    return { kind: "done", created: false, batch: null, warnings: [] };
  }
  if (NEVER_AGAIN.has(entry.code)) return refused(entry.code, "Two events claim the same identity; the first stands, and this one can only be rejected.");
  const still = tools.reprocess(entry);
  return still === null ? { kind: "done", created: false, batch: null, warnings: [] } : refused(still.code, still.reason, still.explanation);
}

/** What becomes of an exception: it is let go on, or its step is done again, or aborted. */
export function resolveException(command: Of<"exception.resolve">, signal: CommandSignal, at: Ref, tools: CommandTools): CommandAnswer {
  const { position, ordinal, disposition, linked } = command;
  const { world, machines } = tools;
  const opened = world.exceptionsAt(position);
  const exception = opened.find((one) => one.ordinal === ordinal);
  if (exception === undefined) return unknown(`exception ${ordinal} at position ${position}`);
  const batch = exception.batch === null ? undefined : world.batch(exception.batch);
  if (batch !== undefined && isStale(batch, signal, tools)) return stale(batch, tools);
  if (lacksSignature(signal, command.kind)) return needsSignature();
  if (exception.resolved) return refused("QLT_EXCEPTION_CLOSED", "The exception is disposed of already.");
  if (exception.quarantined) return refused("SYS_OPEN_QUEUE", "The exception is that of an event in quarantine, and ends when a person decides about that.");
  const step = batch === undefined || exception.step === null ? undefined : stepOf(batch, exception.step);
  const others = opened.filter((one) => one !== exception && one.batch === exception.batch && one.step === exception.step);
  const disposed: Fact = {
    kind: "exception.disposed",
    batch: exception.batch,
    step: exception.step,
    attempt: exception.attempt,
    exception: { position, ordinal, code: exception.code },
    disposition,
    linked,
    accepts: disposition === "continue" && step?.attempt === exception.attempt && others.every((one) => one.disposition === "continue"),
  };
  if (disposition === "continue") {
    tools.dispose(exception, disposition, linked);
    tools.bringAbout([disposed]);
    return { kind: "done", created: false, batch: null, warnings: [] };
  }
  if (batch === undefined || step === undefined || step.attempt !== exception.attempt)
    return refused("STA_INVALID_TRANSITION", `The exception is about no step that could be ${disposition === "abort" ? "aborted" : "done again"}.`);
  const judgement =
    disposition === "rework"
      ? reworked(batch, step, linked, signal, at, tools)
      : judgeStep(world, machines, batch, step, "step.abort", asked(signal), claimed(batch, step), [], byPerson(at));
  if (judgement.kind === "refused") return refused(judgement.code, judgement.reason, judgement.explanation);
  tools.dispose(exception, disposition, linked);
  tools.bringAbout([disposed, ...judgement.facts]);
  return { kind: "done", created: false, batch: null, warnings: [] };
}
