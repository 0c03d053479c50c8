// What would be decided otherwise under a recipe or a state machine that is not in force: each decision is made once more in the very world in which it was made
// (docs/decisions/0010-replay.md).
import { type BatchState, recipeStep, stepOf } from "../authorise/execution-context.ts";
import type { Answered } from "../decide/group.ts";
import { Group } from "../decide/group.ts";
import { GUARDS } from "../decide/guards.ts";
import { judgeAgain, judgeDeferral } from "../decide/judge-again.ts";
import type { Machines } from "../decide/machines.ts";
import type { FactRow } from "../decide/rows.ts";
import { type Settlement, settlementOf, settleSignal } from "../decide/settle.ts";
import type { Signal } from "../decide/signal.ts";
import { compile } from "../decide/state-machine.ts";
import type { Verdict } from "../decide/verdict.ts";
import { World } from "../decide/world.ts";
import type { WorldData } from "../decide/world-data.ts";
import { parametersFor } from "../registry/limits.ts";
import type { Recipe } from "../registry/recipe.ts";
import type { Ref } from "../sequence/source-state.ts";

export interface Candidates {
  /** Each in the place of every revision of the recipe of its name. */
  readonly recipes: readonly Recipe[];
  /** Each in the place of every revision of the state machine of its name. */
  readonly machines: readonly { readonly name: string }[];
}

/** What a decision comes to. */
export interface Decision {
  readonly status: string;
  readonly code: string | null;
  readonly reason: string | null;
  /** What it brings about: moves, evidence within or outside its limits, locks. */
  readonly facts: readonly string[];
}

export interface Changed {
  readonly position: number;
  /** null: a command. */
  readonly event: { readonly source: string | null; readonly id: string | null; readonly type: string | null } | null;
  readonly command: string | null;
  readonly round: number | null;
  readonly batch: string | null;
  readonly step: string | null;
  /** null: nothing was decided there, or would be. */
  readonly recorded: Decision | null;
  readonly candidate: Decision | null;
}

type Told = Omit<Changed, "position" | "recorded" | "candidate"> & { readonly ref: Ref; readonly decision: Decision };

/** Thrown to take back what was tried. */
class TakenBack extends Error {}

/** The batches of a world, bound to the candidates while something is tried. */
class SeenBatches extends Map<string, BatchState | null> {
  swapped = false;
  readonly #batches: WorldData["batches"];
  readonly #swap: (batch: BatchState) => BatchState;

  constructor(batches: WorldData["batches"], swap: (batch: BatchState) => BatchState) {
    super();
    this.#batches = batches;
    this.#swap = swap;
  }

  override get(name: string): BatchState | null | undefined {
    const batch = this.#batches.get(name);
    return batch != null && this.swapped ? this.#swap(batch) : batch;
  }
}

export class Beside {
  readonly #recipes: ReadonlyMap<string, Recipe>;
  readonly #machines: Machines;

  constructor(candidates: Candidates, pinned: Machines) {
    this.#recipes = new Map(candidates.recipes.map((recipe) => [recipe.recipe, recipe]));
    this.#machines = machinesWith(candidates, pinned, (recipe) => this.#inPlaceOf(recipe));
  }

  /** Settles a group as `settle` does; before each decision it is made under the candidates, and taken back. `changed` hears where the two are not the same. */
  settle(
    data: WorldData,
    machines: Machines,
    signals: readonly Signal[],
    changed: (changed: Omit<Changed, "position"> & { readonly ref: Ref }) => void,
  ): Settlement {
    const seen = new SeenBatches(data.batches, (batch) => this.#swapped(batch));
    const group = new Group(new World({ ...data, batches: seen }), machines);
    const decide = (how: (of: Group) => void, signal: Signal | null): void => {
      const would = this.#try(group, seen, how, signal);
      const mark = { verdicts: group.rows.verdicts.length, facts: group.rows.facts.length };
      how(group);
      const was = toldBy(group, mark, signal, signal === null ? undefined : group.answers.get(signal));
      for (const one of differing(was, would)) changed(one);
    };
    for (const signal of signals) {
      decide((of) => settleSignal(of, signal), signal);
      judgeAgain(group, (_, open, cause) => decide((of) => judgeDeferral(of, open, cause), null));
    }
    return settlementOf(group);
  }

  #try(group: Group, seen: SeenBatches, how: (of: Group) => void, signal: Signal | null): readonly Told[] {
    const beside = new Group(group.world, this.#machines);
    // it stands where the group stands
    beside.giveBack(group.last - 1);
    seen.swapped = true;
    const tried = group.world.attempt(() => {
      for (const batch of [...group.world.assumed.batches.values()]) group.world.putBatch(this.#swapped(batch));
      how(beside);
      throw new TakenBack();
    });
    seen.swapped = false;
    if (!tried.ok && !(tried.error instanceof TakenBack)) throw tried.error;
    return toldBy(beside, { verdicts: 0, facts: 0 }, signal, signal === null ? undefined : beside.answers.get(signal));
  }

  #swapped(batch: BatchState): BatchState {
    const recipe = this.#inPlaceOf(batch.recipe);
    if (recipe === undefined) return batch;
    const parameters = parametersFor(recipe, batch.quantity);
    // what has begun works with what it took when it began: the world is that of the record
    const steps = recipe.steps.map((step) => {
      const equipment = stepOf(batch, step.step)?.startedAt == null ? step.equipment : recipeStep(batch, step.step)?.equipment;
      return equipment === step.equipment ? step : { ...step, equipment: equipment ?? [] };
    });
    return { ...batch, recipe: { ...recipe, steps }, parameters: parameters.kind === "outside" ? batch.parameters : parameters.parameters };
  }

  /** The candidate under the revision in whose place it stands: who names that revision is not refused for it. */
  #inPlaceOf({ recipe, revision }: Recipe): Recipe | undefined {
    const candidate = this.#recipes.get(recipe);
    return candidate === undefined ? undefined : { ...candidate, revision };
  }
}

function machinesWith({ machines: contents }: Candidates, pinned: Machines, inPlaceOf: (recipe: Recipe) => Recipe | undefined): Machines {
  const nameOf = (machine: string): string => machine.slice(0, machine.lastIndexOf("@"));
  const batches = new Map<string, ReturnType<Machines["batch"]>>();
  const steps = new Map<string, ReturnType<Machines["step"]>>();
  for (const content of contents) {
    if (content.name.startsWith("batch/")) batches.set(content.name, compile(content, GUARDS));
    else steps.set(content.name, compile(content, GUARDS));
  }
  return {
    batch: (batch: BatchState) => batches.get(nameOf(batch.batchMachine)) ?? pinned.batch(batch),
    step: (batch: BatchState) => steps.get(nameOf(batch.stepMachine)) ?? pinned.step(batch),
    recipe: (definition) => {
      const recipe = pinned.recipe(definition);
      return inPlaceOf(recipe) ?? recipe;
    },
  };
}

function toldBy(
  { rows }: Group,
  mark: { readonly verdicts: number; readonly facts: number },
  signal: Signal | null,
  answered: Answered | undefined,
): readonly Told[] {
  const facts = rows.facts.slice(mark.facts);
  const told = rows.verdicts.slice(mark.verdicts).map((verdict) => toldVerdict(verdict, facts));
  if (signal?.kind !== "command" || answered === undefined) return told;
  const { ref, answer } = answered;
  const named = { batch: null, step: null, ...signal.command };
  const refusal = answer.kind === "refused" ? answer : { code: null, reason: null };
  const decision = { status: answer.kind, code: refusal.code, reason: refusal.reason, facts: inWords(facts, ref) };
  return [{ ref, event: null, command: named.kind, round: null, batch: named.batch, step: named.step, decision }, ...told];
}

function toldVerdict(verdict: Verdict, facts: readonly FactRow[]): Told {
  const { ref, round, status, code, reason, source, eventId: id, type, batch, step } = verdict;
  return { ref, event: { source, id, type }, command: null, round, batch, step, decision: { status, code, reason, facts: inWords(facts, ref) } };
}

const inWords = (facts: readonly FactRow[], ref: Ref): readonly string[] => facts.filter((row) => row.ref === ref).map(({ fact }) => factInWords(fact));

function factInWords(fact: FactRow["fact"]): string {
  switch (fact.kind) {
    case "batch.created":
      return `batch ${fact.batch.batch} created`;
    case "batch.moved":
      return `batch ${fact.batch} ${fact.to.execution}, ${fact.to.disposition}`;
    case "exception.disposed":
      return `exception ${fact.exception.code}: ${fact.disposition}`;
    case "disposition.signed":
      return `batch ${fact.batch} ${fact.stage} by signature`;
    case "disposition.voided":
      return `batch ${fact.batch} ${fact.to}: what was signed is void`;
    case "batch.updated":
      return `batch ${fact.batch} updated`;
    case "batch.amended":
      return `batch ${fact.batch} amended to ${fact.recipe.recipe}@${fact.recipe.revision}`;
    case "step.moved":
      return `step ${fact.step} ${fact.to}`;
    case "step.reopened":
      return `step ${fact.step} ${fact.state} again`;
    case "evidence.recorded":
      return `evidence ${fact.item.evidence}${fact.item.within === null ? "" : fact.item.within ? " within its limits" : " outside its limits"}`;
    case "lock.taken":
    case "lock.freed":
      return `${fact.lock.equipment} ${fact.kind === "lock.taken" ? "taken" : "freed"}`;
    case "equipment.stated":
      return `${fact.equipment} ${fact.to}`;
    case "reported":
      return fact.type;
  }
}

/** Where two lists of decisions on the same signal are not the same. */
function differing(was: readonly Told[], would: readonly Told[]): readonly (Omit<Changed, "position"> & { readonly ref: Ref })[] {
  const keyOf = ({ ref, event, round }: Told): string => (event === null ? "command" : `${event.source} ${event.id} ${round} ${round === 1 ? ref : ""}`);
  const before = new Map(was.map((told) => [keyOf(told), told]));
  const after = new Map(would.map((told) => [keyOf(told), told]));
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((key) => {
    const recorded = before.get(key);
    const candidate = after.get(key);
    const told = recorded ?? candidate;
    if (told === undefined || (recorded !== undefined && candidate !== undefined && sameDecision(recorded.decision, candidate.decision))) return [];
    const { decision: _, ...rest } = told;
    return [{ ...rest, recorded: recorded?.decision ?? null, candidate: candidate?.decision ?? null }];
  });
}

const sameDecision = (a: Decision, b: Decision): boolean => a.status === b.status && a.code === b.code && a.facts.join("\n") === b.facts.join("\n");
