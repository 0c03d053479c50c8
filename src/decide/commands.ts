import { Decimal } from "decimal.js";
import { type BatchState, type DispositionSigned, playerOf, recipeName, recipeStep, type StepState, stepOf } from "../authorise/execution-context.ts";
import { parametersFor } from "../registry/limits.ts";
import type { Recipe } from "../registry/recipe.ts";
import type { Ref, SourceState } from "../sequence/source-state.ts";
import { unfitFor } from "./amend.ts";
import type { ExceptionDisposition, ExceptionState } from "./exception.ts";
import type { Fact } from "./facts.ts";
import type { GuardSignal } from "./guards.ts";
import { judgeBatch } from "./judge-batch.ts";
import { judgeStep, type StepAsk } from "./judge-step.ts";
import type { ContextInWords, Explanation, Judgement } from "./judgement.ts";
import type { Machines } from "./machines.ts";
import { dependentsOf, inTheWay, redo, reopened } from "./rework.ts";
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
      return needsSignature();
  }
}

type Of<K extends Command["kind"]> = Extract<Command, { kind: K }>;
type Refusal = Extract<CommandAnswer, { kind: "refused" }>;

function createBatch(command: Of<"batch.create">, at: string, tools: CommandTools): CommandAnswer {
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

function updateBatch(command: Of<"batch.update">, signal: CommandSignal, tools: CommandTools): CommandAnswer {
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

const NEEDS_REASON: ReadonlySet<string> = new Set(["revoke", "cancel", "stop", "abort", "amend", "correct", "rework"]);
/** What nobody does without one, whoever they are. */
const ALWAYS_SIGNED: ReadonlySet<string> = new Set(["amend", "verify", "skip", "rework", "exception.resolve", "recommend", "release", "conditional", "reject"]);
/** Quality's word, which follows production's. */
const DISPOSES: ReadonlySet<string> = new Set(["release", "conditional", "reject"]);
/** What lets product go: nothing about it is open any more. */
const LETS_GO: ReadonlySet<string> = new Set(["release", "conditional"]);
/** What a person signs. Machines never sign: what they may do without is for their roles to say; and where nobody signs in there is nobody to sign. */
const SIGNED_BY_PEOPLE: ReadonlySet<string> = new Set(["stop", "abort", "gap.resolve", "source.succession", "quarantine.resolve"]);
const lacksSignature = ({ actor, signature }: CommandSignal, name: string): boolean =>
  signature === null && (ALWAYS_SIGNED.has(name) || (actor.startsWith("person:") && SIGNED_BY_PEOPLE.has(name)));

function commandBatch(command: Of<"batch.command">, signal: CommandSignal, tools: CommandTools): CommandAnswer {
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

function commandStep(command: Of<"step.command">, signal: CommandSignal, at: Ref, tools: CommandTools): CommandAnswer {
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
function reworked(
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

const claimed = ({ batch }: BatchState, { step, attempt }: StepState): ContextInWords => ({ batch, step, attempt, from: "claim" });
const byPerson = (at: Ref): StepAsk => ({ at, eventId: null, source: null, activity: null, data: {} });

function settled(judgement: Judgement | Refusal, batch: BatchState, step: StepState | null, tools: CommandTools): CommandAnswer {
  if (judgement.kind === "refused") return refused(judgement.code, judgement.reason, judgement.explanation);
  tools.bringAbout(judgement.facts);
  for (const { code, reason } of judgement.exceptions) tools.exception(code, reason, batch.batch, step?.step ?? null, step?.attempt ?? null);
  return { kind: "done", created: false, batch: batchView(tools.world.batch(batch.batch) ?? batch), warnings: judgement.exceptions };
}

const asked = (signal: CommandSignal): GuardSignal => ({
  source: null,
  equipment: null,
  revision: null,
  evidence: null,
  receivedAt: signal.receivedAt,
  ...(signal.signature === null ? {} : { signed: true }),
  clock: null,
});

function resolveGap(command: Of<"gap.resolve">, signal: CommandSignal, tools: CommandTools): CommandAnswer {
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

function succeed(command: Of<"source.succession">, signal: CommandSignal, tools: CommandTools): CommandAnswer {
  const source = tools.world.source(command.source);
  if (source === undefined) return unknown(`source ${command.source}`);
  if (lacksSignature(signal, command.kind)) return needsSignature();
  if (isOther(source.version, signal)) return { kind: "stale", version: source.version };
  tools.succeed(source);
  return { kind: "done", created: false, batch: null, warnings: [] };
}

/** Conflicts of identity are never judged again: two events claim to be one, and the first one stands. */
const NEVER_AGAIN: ReadonlySet<string> = new Set(["DUP_ID_REUSED", "SEQ_REUSED"]);

function resolveQuarantine(command: Of<"quarantine.resolve">, signal: CommandSignal, tools: CommandTools): CommandAnswer {
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
function resolveException(command: Of<"exception.resolve">, signal: CommandSignal, at: Ref, tools: CommandTools): CommandAnswer {
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

/** Whether the caller has seen another version than the current one. */
const isOther = (version: number, signal: CommandSignal): boolean => signal.ifVersion !== null && signal.ifVersion !== version;
const isStale = (batch: BatchState, signal: CommandSignal, tools: CommandTools): boolean => isOther(tools.world.batchVersion(batch.batch), signal);
const stale = (batch: BatchState, tools: CommandTools): CommandAnswer => ({ kind: "stale", version: tools.world.batchVersion(batch.batch) });
const unknown = (what: string): CommandAnswer => ({ kind: "unknown", what });
const refused = (code: string, reason: string, explanation: Explanation | null = null): Refusal => ({ kind: "refused", code, reason, explanation });
const notApproved = (recipe: string): CommandAnswer => refused("REV_NOT_APPROVED", `Recipe ${recipe} is registered, and nobody has approved it yet.`);
const needsSignature = (): CommandAnswer => refused("SIG_MISSING", "This act needs an electronic signature.");
const done = (batch: BatchState, created: boolean): CommandAnswer => ({ kind: "done", created, batch: batchView(batch), warnings: [] });

/** A batch as it is shown to people and stored in answers. */
export interface BatchView {
  readonly batch: string;
  readonly version: number;
  readonly jobOrder: string;
  readonly line: string;
  readonly recipe: string;
  readonly product: string;
  readonly quantity: { readonly value: string; readonly unit: string };
  readonly parameters: BatchState["parameters"];
  readonly equipment: BatchState["roles"];
  readonly execution: string;
  readonly disposition: string;
  /** Which stage of its disposition is signed, by a signature that is in force; absent: none. */
  readonly signed?: DispositionSigned["stage"];
  readonly impediments: { readonly deferred: number; readonly quarantined: number; readonly exceptions: number };
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly closedAt: string | null;
  readonly steps: readonly {
    readonly step: string;
    readonly title: string | null;
    readonly attempt: number;
    readonly state: string;
    readonly equipment: readonly string[];
    readonly startedAt: string | null;
    readonly endedAt: string | null;
    readonly evidence: readonly {
      readonly evidence: string;
      readonly value: string | null;
      readonly unit: string | null;
      readonly within: boolean | null;
      readonly by: string | null;
    }[];
  }[];
}

export function batchView(batch: BatchState, version = batch.version + 1): BatchView {
  return {
    batch: batch.batch,
    version,
    jobOrder: batch.jobOrder,
    line: batch.line,
    recipe: recipeName(batch),
    product: batch.recipe.product,
    quantity: { value: batch.quantity, unit: batch.unit },
    parameters: batch.parameters,
    equipment: batch.roles,
    execution: batch.execution,
    disposition: batch.disposition,
    ...(batch.signed === null ? {} : { signed: batch.signed.stage }),
    impediments: { deferred: batch.openDeferrals, quarantined: batch.openQuarantine, exceptions: batch.openExceptions },
    createdAt: batch.createdAt,
    startedAt: batch.startedAt,
    endedAt: batch.endedAt,
    closedAt: batch.closedAt,
    steps: batch.steps.map((step) => {
      const recipe = recipeStep(batch, step.step);
      return {
        step: step.step,
        title: recipe?.title ?? null,
        attempt: step.attempt,
        state: step.state,
        equipment: (recipe?.equipment ?? []).flatMap(({ role }) => playerOf(batch, role) ?? []),
        startedAt: step.startedAt,
        endedAt: step.endedAt,
        evidence: step.evidence.map((item) => ({ evidence: item.evidence, value: item.value, unit: item.unit, within: item.within, by: item.eventId })),
      };
    }),
  };
}
