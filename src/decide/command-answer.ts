// What commands come to, and what all of them ask.
import type { BatchState, StepState } from "../authorise/execution-context.ts";
import type { Ref, SourceState } from "../sequence/source-state.ts";
import { type BatchView, batchView } from "./batch-view.ts";
import type { ExceptionDisposition, ExceptionState } from "./exception.ts";
import type { Fact } from "./facts.ts";
import type { GuardSignal } from "./guards.ts";
import type { StepAsk } from "./judge-step.ts";
import type { ContextInWords, Explanation, Judgement } from "./judgement.ts";
import type { Machines } from "./machines.ts";
import type { Command, CommandSignal } from "./signal.ts";
import type { World } from "./world.ts";
import type { QuarantineEntry } from "./world-data.ts";

/** What a command comes to. A refusal is as final as an acceptance: commands are never deferred. */
export type CommandAnswer =
  | {
      readonly kind: "done";
      readonly created: boolean;
      readonly batch: BatchView | null;
      readonly warnings: readonly { readonly code: string; readonly reason: string }[];
    }
  | { readonly kind: "refused"; readonly code: string; readonly reason: string; readonly explanation: Explanation | null }
  | { readonly kind: "unknown"; readonly what: string }
  | { readonly kind: "stale"; readonly version: number }
  | { readonly kind: "answered before"; readonly sameBody: boolean; readonly answer: unknown };

/** What a command may bring about; each leaves its trace in the group's settlement. */
export interface CommandTools {
  readonly world: World;
  readonly machines: Machines;
  bringAbout(facts: readonly Fact[]): number;
  exception(code: string, reason: string, batch: string | null, step: string | null, attempt: number | null): void;
  putSource(source: SourceState): void;
  giveUp(source: SourceState, epoch: bigint, first: bigint, last: bigint): void;
  succeed(source: SourceState): void;
  /** The source goes on at `sequence` of `epoch`; what it skips by that is given up. */
  rebase(source: SourceState, epoch: bigint, sequence: bigint): void;
  drain(source: string): void;
  reprocess(entry: QuarantineEntry): Extract<Judgement, { kind: "refused" }> | null;
  reject(entry: QuarantineEntry, reason: string): void;
  dispose(exception: ExceptionState, disposition: ExceptionDisposition, linked: string): void;
}

export type Of<K extends Command["kind"]> = Extract<Command, { kind: K }>;
export type Refusal = Extract<CommandAnswer, { kind: "refused" }>;

export const NEEDS_REASON: ReadonlySet<string> = new Set(["revoke", "cancel", "stop", "abort", "amend", "correct", "rework"]);
/** What nobody does without one, whoever they are. */
const ALWAYS_SIGNED: ReadonlySet<string> = new Set([
  "amend",
  "verify",
  "skip",
  "rework",
  "exception.resolve",
  "lock.takeover",
  "recommend",
  "release",
  "conditional",
  "reject",
]);
/** What a person signs. Machines never sign: what they may do without is for their roles to say; and where nobody signs in there is nobody to sign. */
const SIGNED_BY_PEOPLE: ReadonlySet<string> = new Set(["stop", "abort", "gap.resolve", "source.succession", "quarantine.resolve"]);
export const lacksSignature = ({ actor, signature }: CommandSignal, name: string): boolean =>
  signature === null && (ALWAYS_SIGNED.has(name) || (actor.startsWith("person:") && SIGNED_BY_PEOPLE.has(name)));

export const claimed = ({ batch }: BatchState, { step, attempt }: StepState): ContextInWords => ({ batch, step, attempt, from: "claim" });
export const byPerson = (at: Ref): StepAsk => ({ at, eventId: null, source: null, activity: null, data: {} });

export function settled(judgement: Judgement | Refusal, batch: BatchState, step: StepState | null, tools: CommandTools): CommandAnswer {
  if (judgement.kind === "refused") return refused(judgement.code, judgement.reason, judgement.explanation);
  tools.bringAbout(judgement.facts);
  for (const { code, reason } of judgement.exceptions) tools.exception(code, reason, batch.batch, step?.step ?? null, step?.attempt ?? null);
  return { kind: "done", created: false, batch: batchView(tools.world.batch(batch.batch) ?? batch), warnings: judgement.exceptions };
}

export const asked = (signal: CommandSignal): GuardSignal => ({
  source: null,
  equipment: null,
  revision: null,
  evidence: null,
  receivedAt: signal.receivedAt,
  ...(signal.signature === null ? {} : { signed: true }),
  clock: null,
});

/** Whether the caller has seen another version than the current one. */
export const isOther = (version: number, signal: CommandSignal): boolean => signal.ifVersion !== null && signal.ifVersion !== version;
export const isStale = (batch: BatchState, signal: CommandSignal, tools: CommandTools): boolean => isOther(tools.world.batchVersion(batch.batch), signal);
export const stale = (batch: BatchState, tools: CommandTools): CommandAnswer => ({ kind: "stale", version: tools.world.batchVersion(batch.batch) });
export const unknown = (what: string): CommandAnswer => ({ kind: "unknown", what });
export const refused = (code: string, reason: string, explanation: Explanation | null = null): Refusal => ({ kind: "refused", code, reason, explanation });
export const notApproved = (recipe: string): CommandAnswer => refused("REV_NOT_APPROVED", `Recipe ${recipe} is registered, and nobody has approved it yet.`);
export const needsSignature = (): CommandAnswer => refused("SIG_MISSING", "This act needs an electronic signature.");
export const done = (batch: BatchState, created: boolean): CommandAnswer => ({ kind: "done", created, batch: batchView(batch), warnings: [] });
