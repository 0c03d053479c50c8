// One batch, replayed from its outcomes.
import type { Outcome } from "./observed.ts";
import { numberIn, objectIn, textIn } from "./read-data.ts";
import { dispositionMoves, executionMoves, type Move, stepMoves } from "./tables.ts";

/** By which events of its machine an outcome of a batch comes about. */
const BATCH_BY: Readonly<Record<string, readonly string[]>> = {
  "batch.ready": ["batch.release-to-floor"],
  "batch.release-revoked": ["batch.revoke"],
  "batch.started": ["batch.start"],
  "batch.paused": ["batch.pause"],
  "batch.resumed": ["batch.resume"],
  "batch.stopped": ["batch.stop"],
  "batch.aborted": ["batch.abort"],
  "batch.cancelled": ["batch.cancel", "batch.abort"],
  "batch.completed": ["batch.steps-complete"],
  "batch.closed": ["batch.close"],
};

/** By which events of its machine an outcome of a step comes about. */
const STEP_BY: Readonly<Record<string, readonly string[]>> = {
  "step.started": ["step.start", "step.verify-reject"],
  "step.paused": ["step.pause"],
  "step.resumed": ["step.resume"],
  "step.performed": ["step.complete"],
  "step.completed": ["step.complete", "step.verify"],
  "step.skipped": ["step.skip"],
  "step.stopped": ["batch.stopped"],
  "step.aborted": ["step.abort", "batch.aborted"],
  "step.superseded": ["step.rework"],
};

/** Outcomes that tell of something within a step, under the event that its machine has for them. */
const WITHIN: readonly (readonly [RegExp, string])[] = [
  [/^evidence\.recorded$/, "step.evidence"],
  [/^evidence\.corrected$/, "step.correct"],
  [/^(material|label)\.|^check\.performed$|^sample\.taken$/, "step.activity"],
];

const UNBEGUN: ReadonlySet<string> = new Set(["pending", "ready"]);

export class Replayed {
  execution: string | null = null;
  disposition = "";
  /** The state of the latest attempt seen of each step. */
  readonly steps = new Map<string, { readonly attempt: number; readonly state: string }>();
  count = 0;

  /** What is illegal about the next outcome, as a clause; null: nothing. */
  take({ type, body: { data } }: Outcome): string | null {
    this.count += 1;
    if (type === "batch.created") return this.#created(data);
    if (this.execution === null) return "the batch was never created";
    const by = BATCH_BY[type];
    if (by !== undefined) return this.#batchMoves(type, by, data);
    const step = textIn(data, "step");
    if (step === null) return null;
    const attempt = numberIn(data, "attempt") ?? 1;
    const moved = STEP_BY[type];
    if (moved !== undefined) return this.#stepMoves(step, attempt, moved, data);
    const within = WITHIN.find(([pattern]) => pattern.test(type))?.[1];
    return within === undefined ? null : this.#within(step, attempt, within);
  }

  #created(data: Readonly<Record<string, unknown>>): string | null {
    const to = objectIn(data, "to") ?? {};
    if (this.execution !== null) return "the batch was created before";
    this.execution = textIn(to, "batch");
    this.disposition = textIn(to, "disposition") ?? "";
    return this.execution === "planned" && this.disposition === "not_reviewed"
      ? null
      : `a batch begins planned and not reviewed, not ${this.execution} and ${this.disposition}`;
  }

  #batchMoves(type: string, by: readonly string[], data: Readonly<Record<string, unknown>>): string | null {
    const [from, to] = [objectIn(data, "from") ?? {}, objectIn(data, "to") ?? {}];
    const [before, after] = [textIn(from, "batch"), textIn(to, "batch") ?? ""];
    const [under, then] = [textIn(from, "disposition"), textIn(to, "disposition") ?? ""];
    if (before !== this.execution || under !== this.disposition)
      return `it leads from ${before} and ${under}, and the batch was ${this.execution} and ${this.disposition}`;
    const event = by.find((name) => executionMoves(before ?? "", name).some((move) => move.to === after && move.to !== before));
    if (event === undefined) return `nothing leads from ${before} to ${after} by ${by.join(" or ")}`;
    const follows = dispositionMoves(this.disposition, event);
    const stays = then === this.disposition && follows.every(({ guards }) => guards.includes("batch.started@1"));
    if (!stays && !follows.some((move) => move.to === then)) return `its disposition leads from ${under} to ${then} by ${event}`;
    const open = [...this.steps].find(([, { state }]) => state !== "complete" && state !== "skipped");
    if (type === "batch.completed" && open !== undefined) return `step ${open[0]} is ${open[1].state}`;
    this.execution = after;
    this.disposition = then;
    return null;
  }

  #stepMoves(step: string, attempt: number, by: readonly string[], data: Readonly<Record<string, unknown>>): string | null {
    const from = textIn(objectIn(data, "from") ?? {}, "step") ?? "";
    const to = textIn(objectIn(data, "to") ?? {}, "step") ?? "";
    const known = this.steps.get(step);
    const fresh = known === undefined || (attempt === known.attempt + 1 && known.state === "superseded");
    if (!fresh && attempt !== known.attempt) return `attempt ${attempt} of ${step} follows attempt ${known.attempt}, which is ${known.state}`;
    // becoming ready is no outcome
    if (fresh ? !UNBEGUN.has(from) : from !== known.state) return `it leads ${step} from ${from}, and the step was ${fresh ? "not begun" : known.state}`;
    if (!by.some((name) => stepMoves(from, name).some((move) => move.to === to && to !== from && this.#mayHold(move, from))))
      return `nothing leads ${step} from ${from} to ${to} by ${by.join(" or ")} while the batch is ${this.execution}`;
    this.steps.set(step, { attempt, state: to });
    return null;
  }

  #within(step: string, attempt: number, event: string): string | null {
    const known = this.steps.get(step);
    const state = known?.attempt === attempt ? known.state : "pending";
    if (stepMoves(state, event).some((move) => this.#mayHold(move, state))) return null;
    return `step ${step} is ${state} and the batch ${this.execution}`;
  }

  /** Whether the guards may have held, as far as they can be seen from outside. */
  #mayHold({ guards }: Move, state: string): boolean {
    return guards.every((guard) => {
      switch (guard) {
        case "batch.running@1":
          return this.execution === "running";
        case "step.begun@1":
          return !UNBEGUN.has(state);
        case "step.active@1":
          return state === "in_progress";
        default:
          return true;
      }
    });
  }
}
