// What a settlement writes of the batches: themselves, their steps and evidence, and the equipment that they hold.
import { ENDED_BATCH, ENDED_STEP } from "../authorise/execution-context.ts";
import { asJsonb } from "./jsonb.ts";
import { Moved, refuse } from "./refuse.ts";
import { ownText } from "./remembered.ts";
import type { BatchRow, LockRow, StepRow } from "./rows.ts";
import { type Commit, listAt, lockKey, once, type SiteRecord, stepKey } from "./site-record.ts";
import type { Written } from "./written.ts";

export function writeBatches(record: SiteRecord, p: Written): void {
  for (const r of p.batches ?? []) {
    if (!r.changed) continue;
    const before = record.batches.get(r.batch);
    const row = batchAfter(before, r);
    if (before === undefined) once(record.batchesByOrder, row.jobOrder, row.batch, "job order");
    if (ENDED_BATCH.has(row.execution) !== (row.endedAt !== null)) refuse(`batch ${row.batch} is ${row.execution} and ended ${row.endedAt}`);
    if ((row.execution === "closed") !== (row.closedAt !== null)) refuse(`batch ${row.batch} is ${row.execution} and closed ${row.closedAt}`);
    if (["running", "paused", "complete"].includes(row.execution) && row.startedAt === null) refuse(`batch ${row.batch} is ${row.execution} and never started`);
    record.batches.set(r.batch, row);
  }
  for (const { batch, recipe, revision, recipe_hash: recipeHash } of p.amended ?? []) {
    const row = record.batches.get(batch) ?? refuse(`no batch ${batch}`);
    record.batches.set(batch, { ...row, recipeName: `${recipe}@${revision}`, recipeHash });
  }
  for (const { batch, stage, before } of p.signed ?? []) {
    const row = record.batches.get(batch) ?? refuse(`no batch ${batch}`);
    record.batches.set(batch, { ...row, signed: stage === null || before === null ? null : { stage, before } });
  }
}

function batchAfter(before: BatchRow | undefined, r: NonNullable<Written["batches"]>[number]): BatchRow {
  const changing = {
    quantity: r.quantity,
    unit: r.unit,
    parameters: asJsonb(r.parameters),
    roles: asJsonb(r.roles),
    execution: r.execution,
    disposition: r.disposition,
    facts: r.facts,
    startedAt: r.started_at,
    endedAt: r.ended_at,
    closedAt: r.closed_at,
  };
  if (before !== undefined) return { ...before, ...changing, version: before.version + 1 };
  return {
    batch: r.batch,
    version: 1,
    line: r.line,
    jobOrder: r.job_order,
    recipeName: `${r.recipe}@${r.revision}`,
    recipeHash: r.recipe_hash,
    batchMachine: r.batch_machine,
    batchMachineHash: r.batch_machine_hash,
    stepMachine: r.step_machine,
    stepMachineHash: r.step_machine_hash,
    signed: null,
    ...changing,
    openedOn: r.opened_on,
    createdAt: r.created_at,
    asked: r.asked,
  };
}

export function writeSteps(record: SiteRecord, p: Written): void {
  for (const r of p.steps ?? []) {
    const row: StepRow = {
      batch: r.batch,
      step: r.step,
      attempt: r.attempt,
      ordinal: r.ordinal,
      state: r.state,
      startedAt: r.started_at,
      startClock:
        r.start_source === null || r.start_epoch === null || r.start_time === null
          ? null
          : { sourceKey: r.start_source, epoch: r.start_epoch, time: ownText(r.start_time) },
      endedAt: r.ended_at,
    };
    if (ENDED_STEP.has(row.state) !== (row.endedAt !== null)) refuse(`step ${row.step} is ${row.state} and ended ${row.endedAt}`);
    if (["in_progress", "paused", "awaiting_verification", "complete"].includes(row.state) && row.startedAt === null)
      refuse(`step ${row.step} is ${row.state} and never began`);
    if (["pending", "ready"].includes(row.state) && row.startedAt !== null) refuse(`step ${row.step} is ${row.state} and has begun`);
    const steps = listAt(record.stepsOfBatch, r.batch);
    const at = steps.findIndex((s) => s.step === row.step && s.attempt === row.attempt);
    if (at < 0) steps.push(row);
    // what it was is kept but for what changes: its place among the steps is given once
    else steps[at] = { ...row, ordinal: steps[at]?.ordinal ?? row.ordinal };
  }
}

export function writeEquipment(record: SiteRecord, p: Written): void {
  for (const r of p.equipment ?? []) {
    const row = record.equipment.get(r.equipment);
    if (row === undefined || !r.changed) continue;
    record.equipment.set(r.equipment, {
      ...row,
      version: row.version + 1,
      token: r.token,
      state: r.state,
      stateEpoch: r.state_epoch === null ? null : BigInt(r.state_epoch),
      stateSequence: r.state_sequence === null ? null : BigInt(r.state_sequence),
    });
  }
}

export function writeLocks(record: SiteRecord, p: Written, { place, maybe, at }: Commit): void {
  for (const r of p.locks_freed ?? []) {
    const lock = record.locksByToken.get(lockKey(r.equipment, r.token));
    if (lock === undefined || lock.freed !== null) throw new Moved("a context lock was freed elsewhere");
    lock.freed = place(r.ref);
    lock.freedTime = at;
    const open = listAt(record.openLocksOf, lock.equipment);
    open.splice(open.indexOf(lock), 1);
    record.engagedRoles.delete(roleOf(lock));
  }
  for (const { equipment, kind, batch, step, attempt, role, locked, token, ref, freed_ref } of p.locks ?? []) {
    const freed = maybe(freed_ref);
    const freedTime = freed === null ? null : at;
    takeLock(record, { equipment, kind, batch, step, attempt, role, locked, token, takenAt: place(ref), takenTime: at, freed, freedTime });
  }
}

function takeLock(record: SiteRecord, lock: LockRow): void {
  const { equipment, kind, batch, step, attempt, role, locked, token, freed } = lock;
  if ((kind === "engagement") !== (step !== null && attempt !== null)) refuse(`lock ${token} of ${equipment} is no ${kind}`);
  once(record.locksByToken, lockKey(equipment, token), lock, "the token of a lock");
  if (freed !== null) return;
  const here = listAt(record.openLocksOf, equipment);
  if (here.some((l) => l.batch !== batch)) refuse(`${equipment} works for two batches`);
  if (kind === "allocation" && here.some((l) => l.kind === "allocation")) refuse(`${equipment} is allocated twice`);
  if (kind === "engagement") {
    if (locked === "step" && here.some((l) => l.kind === "engagement" && l.locked === "step")) refuse(`${equipment} is engaged in two steps at once`);
    if (record.engagedRoles.has(roleOf(lock))) refuse(`role ${role} of ${batch}/${step} is engaged twice`);
    record.engagedRoles.add(roleOf(lock));
  }
  here.push(lock);
}

const roleOf = ({ kind, batch, step, attempt, role }: LockRow): string => `${kind} ${batch} ${step} ${attempt} ${role}`;

export function writeEvidence(record: SiteRecord, p: Written, { place, maybe, at }: Commit): void {
  for (const r of p.evidence ?? []) {
    const { batch, step, attempt, evidence, source, unit, within, low, high } = r;
    const position = place(r.ref);
    const known = listAt(record.evidenceOfStep, stepKey(batch, step, attempt));
    // in the order of their positions, so that those of this one are the last
    for (let last = known.length - 1; known[last]?.item.position === position; last -= 1)
      if (known[last]?.item.evidence === evidence) refuse(`evidence ${evidence} twice at ${position}`);
    const item = {
      evidence,
      position,
      supersedes: maybe(r.supersedes),
      eventId: ownText(r.event_id),
      // the registry has the name already
      source: source === null ? null : (record.sources.get(source)?.source ?? source),
      value: ownText(r.value),
      unit,
      data: asJsonb(r.data),
      within,
      low,
      high,
    };
    known.push({ batch, step, attempt, recordedAt: at, item });
  }
}
