// Commands about a batch as a whole.
import { Decimal } from "decimal.js";
import { type BatchState, type DispositionSigned, recipeName } from "../authorise/execution-context.ts";
import { parametersFor } from "../registry/limits.ts";
import type { Recipe } from "../registry/recipe.ts";
import { unfitFor } from "./amend.ts";
import { batchView } from "./batch-view.ts";
import {
  asked,
  type CommandAnswer,
  type CommandTools,
  done,
  isStale,
  lacksSignature,
  NEEDS_REASON,
  needsSignature,
  notApproved,
  type Of,
  refused,
  settled,
  stale,
  unknown,
} from "./command-answer.ts";
import type { Fact } from "./facts.ts";
import { judgeBatch } from "./judge-batch.ts";
import type { ContextInWords } from "./judgement.ts";
import type { CommandSignal } from "./signal.ts";
import type { World } from "./world.ts";

export function createBatch(command: Of<"batch.create">, at: string, tools: CommandTools): CommandAnswer {
  const { world, machines } = tools;
  const existing = world.batch(command.batch);
  if (existing !== undefined) {
    return existing.asked === command.asked
      ? { kind: "done", created: false, batch: batchView(existing, world.batchVersion(existing.batch)), warnings: [] }
      : refused("CTX_UNKNOWN_ORDER", `Batch ${command.batch} exists with other content.`);
  }
  const other = world.batchOfOrder(command.jobOrder);
  if (other !== undefined) return refused("CTX_UNKNOWN_ORDER", `Job order ${command.jobOrder} is already batch ${other}.`);
  const name = `${command.recipe}@${command.revision}`;
  const definition = world.recipe(name);
  if (definition === undefined) return refused("REV_NOT_EFFECTIVE", `No recipe ${name} is registered.`);
  if (definition.awaitsApproval === true) return notApproved(name);
  const recipe = machines.recipe(definition);
  if (command.quantity.unit !== recipe.quantity.unit)
    return refused("SCH_UNIT_MISMATCH", `Recipe ${name} is made in ${recipe.quantity.unit}; the job order says ${command.quantity.unit}.`);
  if (!new Decimal(command.quantity.value).isPositive() || new Decimal(command.quantity.value).isZero())
    return refused("PAR_OOS", "A batch has a quantity above zero.");
  const parameters = parametersFor(recipe, command.quantity.value);
  if (parameters.kind === "outside") return refused("PAR_OOS", parameters.reason);
  const equipment = checkRoles(recipe, command.equipment, world);
  if (equipment !== null) return equipment;
  const batchMachine = world.machine(recipe.stateMachines.batch);
  const stepMachine = world.machine(recipe.stateMachines.step);
  if (batchMachine === undefined || stepMachine === undefined) return refused("REV_NOT_EFFECTIVE", `A state machine of recipe ${name} is not registered.`);
  if (batchMachine.awaitsApproval === true || stepMachine.awaitsApproval === true)
    return refused("REV_NOT_APPROVED", `A state machine of recipe ${name} is registered, and nobody has approved it yet.`);
  const batch: BatchState = {
    batch: command.batch,
    version: 0,
    line: command.line,
    jobOrder: command.jobOrder,
    recipe,
    recipeHash: definition.hash,
    batchMachine: recipe.stateMachines.batch,
    batchMachineHash: batchMachine.hash,
    stepMachine: recipe.stateMachines.step,
    stepMachineHash: stepMachine.hash,
    quantity: command.quantity.value,
    unit: command.quantity.unit,
    parameters: parameters.parameters,
    roles: command.equipment,
    execution: "planned",
    disposition: "not_reviewed",
    openedOn: at.slice(0, 10),
    facts: 0,
    createdAt: at,
    startedAt: null,
    endedAt: null,
    closedAt: null,
    asked: command.asked,
    signed: null,
    superseded: [],
    steps: recipe.steps.map((step, ordinal) => ({
      step: step.step,
      attempt: 1,
      ordinal,
      state: (step.after ?? []).length === 0 ? "ready" : "pending",
      startedAt: null,
      startClock: null,
      endedAt: null,
      evidence: [],
    })),
    openDeferrals: world.waitingFor(`batch:${command.batch}`).length,
    openQuarantine: 0,
    openExceptions: 0,
  };
  tools.bringAbout([{ kind: "batch.created", batch }]);
  return done(batch, true);
}

function checkRoles(recipe: Recipe, equipment: Readonly<Record<string, string>>, world: World): CommandAnswer | null {
  const classes = new Map<string, string>();
  for (const step of recipe.steps) for (const need of step.equipment ?? []) classes.set(need.role, need.class);
  for (const [role, name] of Object.entries(equipment)) {
    const wanted = classes.get(role);
    if (wanted === undefined) return refused("EQP_NOT_ASSIGNED", `The recipe has no role ${role}; it has ${[...classes.keys()].join(", ") || "none"}.`);
    const known = world.equipment(name);
    if (known === undefined) return refused("CTX_UNKNOWN_EQUIPMENT", `No equipment ${name} is registered at this site.`);
    if (known.class !== wanted) return refused("EQP_CONFIG_MISMATCH", `Role ${role} asks for class ${wanted}; ${name} is of class ${known.class}.`);
  }
  return null;
}

export function updateBatch(command: Of<"batch.update">, signal: CommandSignal, tools: CommandTools): CommandAnswer {
  const batch = tools.world.batch(command.batch);
  if (batch === undefined) return unknown(`batch ${command.batch}`);
  if (isStale(batch, signal, tools)) return stale(batch, tools);
  if (batch.execution !== "planned" && batch.execution !== "ready")
    return refused("STA_INVALID_TRANSITION", `Batch ${batch.batch} is ${batch.execution}; it changes only before its start.`);
  // as a merge patch (RFC 7396): a role that is not named keeps its equipment
  const roles = { ...batch.roles, ...command.equipment };
  const quantity = command.quantity ?? { value: batch.quantity, unit: batch.unit };
  if (quantity.unit !== batch.unit) return refused("SCH_UNIT_MISMATCH", `Batch ${batch.batch} is made in ${batch.unit}; the change says ${quantity.unit}.`);
  if (!new Decimal(quantity.value).isPositive() || new Decimal(quantity.value).isZero()) return refused("PAR_OOS", "A batch has a quantity above zero.");
  const parameters = parametersFor(batch.recipe, quantity.value);
  if (parameters.kind === "outside") return refused("PAR_OOS", parameters.reason);
  const wrong = checkRoles(batch.recipe, roles, tools.world);
  if (wrong !== null) return wrong;
  tools.bringAbout([
    {
      kind: "batch.updated",
      batch: batch.batch,
      quantity: quantity.value,
      unit: quantity.unit,
      parameters: parameters.parameters,
      roles,
      before: { quantity: batch.quantity, unit: batch.unit, roles: batch.roles },
    },
  ]);
  return done(tools.world.batch(command.batch) ?? batch, false);
}

/** Quality's word, which follows production's. */
const DISPOSES: ReadonlySet<string> = new Set(["release", "conditional", "reject"]);
/** What lets product go: nothing about it is open any more. */
const LETS_GO: ReadonlySet<string> = new Set(["release", "conditional"]);

export function commandBatch(command: Of<"batch.command">, signal: CommandSignal, tools: CommandTools): CommandAnswer {
  const batch = tools.world.batch(command.batch);
  if (batch === undefined) return unknown(`batch ${command.batch}`);
  if (isStale(batch, signal, tools)) return stale(batch, tools);
  if (lacksSignature(signal, command.command)) return needsSignature();
  if (NEEDS_REASON.has(command.command) && command.reason === null) return refused("SIG_REASON_MISSING", `To ${command.command} a batch, give a reason.`);
  if (LETS_GO.has(command.command)) {
    if (batch.openExceptions > 0) return refused("QLT_EXCEPTION_OPEN", `Batch ${batch.batch} has ${batch.openExceptions} open exceptions.`);
    if (batch.openQuarantine > 0 || batch.openDeferrals > 0)
      return refused("SYS_OPEN_QUEUE", `Events of batch ${batch.batch} are not decided: ${batch.openQuarantine} quarantined, ${batch.openDeferrals} deferred.`);
  }
  if (command.command === "recommend") return recommend(batch, command, signal, tools);
  const disposes = command.binding === true && DISPOSES.has(command.command);
  if (disposes && batch.signed === null)
    return refused("QLT_NOT_RECOMMENDED", `Production has not recommended batch ${batch.batch}, or its record has changed since.`);
  const context: ContextInWords = { batch: batch.batch, step: null, attempt: null, from: "claim" };
  const judgement = judgeBatch(tools.world, tools.machines, batch, `batch.${command.command}`, asked(signal), context, []);
  if (command.command === "amend" && judgement.kind === "accepted") return amend(batch, command.revision, tools);
  const signed = disposes ? [signedFact(batch, "disposed")] : [];
  return settled(judgement.kind === "refused" ? judgement : { ...judgement, facts: [...judgement.facts, ...signed] }, batch, null, tools);
}

/** Whatever was signed before, it goes back to what it was before anybody signed. */
const signedFact = (batch: BatchState, stage: DispositionSigned["stage"]): Fact => ({
  kind: "disposition.signed",
  batch: batch.batch,
  stage,
  before: batch.signed?.before ?? batch.disposition,
});

/** Only a signed amendment binds a batch anew: its state permits it, and what has begun stays as it was begun. */
function amend(batch: BatchState, revision: number | undefined, tools: CommandTools): CommandAnswer {
  const { world, machines } = tools;
  const name = `${batch.recipe.recipe}@${revision}`;
  const definition = revision === undefined ? undefined : world.recipe(name);
  if (definition === undefined) return refused("REV_NOT_EFFECTIVE", `No recipe ${name} is registered.`);
  if (definition.awaitsApproval === true) return notApproved(name);
  const recipe = machines.recipe(definition);
  const inForce = parametersFor(recipe, batch.quantity);
  if (inForce.kind === "outside") return refused("PAR_OOS", inForce.reason);
  const unfit = unfitFor(batch, recipe, inForce.parameters);
  if (unfit !== null) return refused("REV_NOT_AMENDABLE", unfit);
  const equipment = checkRoles(recipe, batch.roles, world);
  if (equipment !== null) return equipment;
  tools.bringAbout([
    { kind: "batch.amended", batch: batch.batch, from: recipeName(batch), recipe, recipeHash: definition.hash, parameters: inForce.parameters },
  ]);
  return done(world.batch(batch.batch) ?? batch, false);
}

/** The first of two stages: production says that what was made may be disposed of. It moves nothing. */
function recommend(batch: BatchState, { binding }: Of<"batch.command">, signal: CommandSignal, tools: CommandTools): CommandAnswer {
  if (batch.disposition !== "pending_review" && batch.disposition !== "conditional")
    return refused("STA_INVALID_TRANSITION", `The disposition of batch ${batch.batch} is ${batch.disposition}; there is nothing to recommend.`);
  tools.bringAbout([
    { kind: "reported", type: "batch.recommended", batch: batch.batch, step: null, attempt: null, equipment: null, data: { actor: signal.actor } },
    ...(binding === true ? [signedFact(batch, "recommended")] : []),
  ]);
  return done(tools.world.batch(batch.batch) ?? batch, false);
}
