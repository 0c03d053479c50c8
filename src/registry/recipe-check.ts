import { Decimal } from "decimal.js";
import { parseDuration } from "./duration.ts";
import { parametersFor, parseTolerance } from "./limits.ts";
import type { Recipe, RecipeStep } from "./recipe.ts";

/** Something about a recipe that keeps its batches from completing (`error`), or that its author should know (`warning`). */
export interface RecipeProblem {
  readonly severity: "error" | "warning";
  /** JSON pointer into the recipe. */
  readonly pointer: string;
  readonly problem: string;
}

/** Checks that a recipe of the right shape can be completed. `machines`: names of the registered state machines, with revision. */
export function checkRecipe(recipe: Recipe, machines: ReadonlySet<string>): readonly RecipeProblem[] {
  const problems: RecipeProblem[] = [];
  const say = (pointer: string, problem: string, severity: RecipeProblem["severity"] = "error"): void => void problems.push({ severity, pointer, problem });

  if (!isPositive(recipe.quantity.value)) say("/quantity/value", "A recipe makes a quantity above zero.");
  for (const [kind, name] of Object.entries(recipe.stateMachines)) {
    if (!machines.has(name)) say(`/stateMachines/${kind}`, `The state machine ${name} is not registered.`);
    if (!name.startsWith(`${kind}/`)) say(`/stateMachines/${kind}`, `${name} is no state machine for a ${kind}.`);
  }
  for (const [name, parameter] of Object.entries(recipe.parameters)) {
    const at = `/parameters/${name}`;
    if (parameter.min !== undefined && parameter.max !== undefined && new Decimal(parameter.min).gt(parameter.max))
      say(`${at}/min`, `The range of ${name} is empty: ${parameter.min} to ${parameter.max}.`);
    else if (parametersFor({ quantity: recipe.quantity, parameters: { [name]: { ...parameter, scaled: false } } }, recipe.quantity.value).kind === "outside")
      say(`${at}/default`, `The default of ${name}, ${parameter.default}, lies outside its own range.`);
  }

  const ids = new Map<string, number>();
  for (const [i, step] of recipe.steps.entries()) {
    if (ids.has(step.step)) say(`/steps/${i}/step`, `There are two steps ${step.step}.`);
    else ids.set(step.step, i);
  }
  const classes = new Map<string, { readonly class: string; readonly locked: string }>();
  for (const [i, step] of recipe.steps.entries()) checkStep(recipe, step, `/steps/${i}`, ids, classes, say);
  for (const cycle of cycles(recipe)) say(`/steps/${ids.get(cycle) ?? 0}/after`, `Step ${cycle} waits for itself, so none of them ever starts.`);
  warnOfSharing(recipe, say);
  return problems;
}

type Say = (pointer: string, problem: string, severity?: RecipeProblem["severity"]) => void;

function checkStep(
  recipe: Recipe,
  step: RecipeStep,
  at: string,
  ids: ReadonlyMap<string, number>,
  classes: Map<string, { readonly class: string; readonly locked: string }>,
  say: Say,
): void {
  for (const [i, before] of (step.after ?? []).entries())
    if (!ids.has(before)) say(`${at}/after/${i}`, `Step ${step.step} comes after ${before}, which there is not.`);
  if (step.patience !== undefined && parseDuration(step.patience) === null) say(`${at}/patience`, `"${step.patience}" is no ISO 8601 duration.`);
  const { min, max } = step.duration ?? {};
  for (const [name, text] of Object.entries({ min, max }))
    if (text !== undefined && parseDuration(text) === null) say(`${at}/duration/${name}`, `"${text}" is no ISO 8601 duration.`);
  const [shortest, longest] = [min === undefined ? 0 : (parseDuration(min) ?? 0), max === undefined ? null : parseDuration(max)];
  if (longest !== null && shortest > longest)
    say(`${at}/duration`, `Step ${step.step} takes at least ${min} and at most ${max}: it can never complete in time.`);

  const roles = new Set<string>();
  for (const [i, need] of (step.equipment ?? []).entries()) {
    if (roles.has(need.role)) say(`${at}/equipment/${i}/role`, `Step ${step.step} names the role ${need.role} twice.`);
    roles.add(need.role);
    const known = classes.get(need.role);
    if (known !== undefined && known.class !== need.class)
      say(`${at}/equipment/${i}/class`, `Role ${need.role} is of class ${known.class} in one step and ${need.class} in another.`);
    else if (known !== undefined && known.locked !== need.locked)
      say(`${at}/equipment/${i}/locked`, `Role ${need.role} is locked for the ${known.locked} in one step and for the ${need.locked} in another.`);
    else classes.set(need.role, { class: need.class, locked: need.locked });
  }

  const slots = new Set<string>();
  for (const [i, slot] of (step.evidence ?? []).entries()) {
    const here = `${at}/evidence/${i}`;
    if (slots.has(slot.evidence)) say(`${here}/evidence`, `Step ${step.step} names the evidence ${slot.evidence} twice.`);
    slots.add(slot.evidence);
    if (slot.kind === "measurement" && slot.unit === undefined) say(`${here}/unit`, `A measurement has a unit, and ${slot.evidence} has none.`);
    if (slot.match !== undefined && slot.kind !== "scan") say(`${here}/match`, "Only a scan is matched.");
    if (slot.equipment !== undefined && !roles.has(slot.equipment)) say(`${here}/equipment`, `Step ${step.step} has no role ${slot.equipment}.`);
    if (slot.limits === undefined) continue;
    if (slot.kind !== "measurement" && slot.kind !== "count") say(`${here}/limits`, `A ${slot.kind} has no limits.`);
    const { low, high, parameter, tolerance } = slot.limits;
    if (low !== undefined && high !== undefined && new Decimal(low).gt(high)) say(`${here}/limits`, `No value lies between ${low} and ${high}.`);
    if (parameter === undefined) continue;
    const declared = Object.hasOwn(recipe.parameters, parameter) ? recipe.parameters[parameter] : undefined;
    if (declared === undefined) {
      say(`${here}/limits/parameter`, `The recipe has no parameter ${parameter}.`);
      continue;
    }
    if (slot.unit !== undefined && slot.unit !== declared.unit)
      say(`${here}/unit`, `${slot.evidence} is in ${slot.unit} and its parameter ${parameter} in ${declared.unit}.`);
    const parsed = tolerance === undefined ? null : parseTolerance(tolerance);
    if (tolerance !== undefined && parsed === null) say(`${here}/limits/tolerance`, `"${tolerance}" is no tolerance, such as "0.5 %" or "0.05 kg".`);
    else if (parsed !== null && parsed.unit !== null && parsed.unit !== "%" && parsed.unit !== declared.unit)
      say(`${here}/limits/tolerance`, `The tolerance is in ${parsed.unit} and the parameter in ${declared.unit}.`);
  }
}

/** Steps that come, by way of others, after themselves. */
function cycles(recipe: Recipe): readonly string[] {
  const after = new Map(recipe.steps.map((step) => [step.step, step.after ?? []]));
  const done = new Set<string>();
  let progress = true;
  while (progress) {
    progress = false;
    for (const [step, before] of after) {
      if (done.has(step) || !before.every((b) => done.has(b) || !after.has(b))) continue;
      done.add(step);
      progress = true;
    }
  }
  return [...after.keys()].filter((step) => !done.has(step));
}

/** Two steps that may run at once and need the same equipment for themselves: the second start is refused until the first is over. */
function warnOfSharing(recipe: Recipe, say: Say): void {
  const before = new Map<string, Set<string>>();
  const ancestors = (step: string, seen = new Set<string>()): Set<string> => {
    const known = before.get(step);
    if (known !== undefined) return known;
    if (seen.has(step)) return new Set();
    seen.add(step);
    const direct = recipe.steps.find((s) => s.step === step)?.after ?? [];
    const all = new Set(direct.flatMap((b) => [b, ...ancestors(b, seen)]));
    before.set(step, all);
    return all;
  };
  for (const [i, a] of recipe.steps.entries()) {
    for (const b of recipe.steps.slice(i + 1)) {
      if (ancestors(a.step).has(b.step) || ancestors(b.step).has(a.step)) continue;
      const shared = (a.equipment ?? []).find((need) => need.locked === "step" && (b.equipment ?? []).some((other) => other.role === need.role));
      if (shared !== undefined)
        say(`/steps/${i}/equipment`, `Steps ${a.step} and ${b.step} may run at once, and both need ${shared.role} for themselves.`, "warning");
    }
  }
}

const isPositive = (text: string): boolean => new Decimal(text).gt(0);
