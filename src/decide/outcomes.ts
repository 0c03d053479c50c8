import type { BatchState } from "../authorise/execution-context.ts";
import { equipmentOfStep, recipeName, stepOf } from "../authorise/execution-context.ts";
import type { Fact } from "./facts.ts";
import { STANDING_DAY } from "./facts.ts";
import type { Machines } from "./machines.ts";
import type { World } from "./world.ts";

/** An outcome before it has its number: on which stream, and what it says. */
export interface Outcome {
  readonly stream: string;
  readonly line: string | null;
  readonly openedOn: string;
  /** Past tense, without prefix and version: `step.completed`. */
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export const batchStream = (batch: string): string => `batch/${batch}`;
export const equipmentStream = (equipment: string): string => `equipment/${equipment}`;
export const SITE_STREAM = "site";

const BATCH_PAST: Readonly<Record<string, string>> = {
  "batch.release-to-floor": "batch.ready",
  "batch.revoke": "batch.release-revoked",
  "batch.start": "batch.started",
  "batch.pause": "batch.paused",
  "batch.resume": "batch.resumed",
  "batch.stop": "batch.stopped",
  "batch.abort": "batch.aborted",
  "batch.cancel": "batch.cancelled",
  "batch.steps-complete": "batch.completed",
  "batch.close": "batch.closed",
  "batch.release": "batch.released",
  "batch.conditional": "batch.released-conditionally",
  "batch.reject": "batch.rejected",
};

const STEP_PAST: Readonly<Record<string, string>> = {
  in_progress: "step.started",
  paused: "step.paused",
  awaiting_verification: "step.performed",
  complete: "step.completed",
  skipped: "step.skipped",
  stopped: "step.stopped",
  aborted: "step.aborted",
  superseded: "step.superseded",
};

const REPORTED_PAST: Readonly<Record<string, string>> = {
  "source.birth": "source.born",
  "source.lost": "source.loss-declared",
  "material.check": "material.checked",
  "label.check": "label.checked",
  "quality.signal": "quality.signalled",
};

/** Every outcome type that can be published, without prefix and version. */
export const OUTCOME_TYPES: readonly string[] = [
  "batch.created",
  "batch.updated",
  "batch.amended",
  "batch.recommended",
  "batch.disposition-voided",
  ...Object.values(BATCH_PAST),
  ...Object.values(STEP_PAST),
  "step.resumed",
  "step.reopened",
  "evidence.recorded",
  "evidence.corrected",
  "step.commented",
  "exception.disposed",
  "context.taken-over",
  "equipment.state-changed",
  ...Object.values(REPORTED_PAST),
  ...["consumed", "produced", "returned", "scrapped", "transferred"].map((what) => `material.${what}`),
  ...["printed", "applied", "verified", "voided"].map((what) => `label.${what}`),
  "count.reported",
  "check.performed",
  "sample.taken",
  "equipment.changed",
  "downtime.reported",
  "alarm.raised",
  "alarm.cleared",
  "call.raised",
  "call.closed",
];

/** The outcome of a fact, read against the world after it; becoming ready and taking locks are none. */
export function outcomeOf(world: World, machines: Machines, fact: Fact, flags: readonly string[]): Outcome | null {
  switch (fact.kind) {
    case "batch.created":
      return ofBatch(fact.batch, "batch.created", machines, null, { execution: fact.batch.execution, disposition: fact.batch.disposition }, flags, {
        product: fact.batch.recipe.product,
        quantity: { value: fact.batch.quantity, unit: fact.batch.unit },
        equipment: fact.batch.roles,
      });
    case "batch.updated": {
      const batch = world.batch(fact.batch);
      if (batch === undefined) return null;
      const at = { execution: batch.execution, disposition: batch.disposition };
      return ofBatch(batch, "batch.updated", machines, at, at, flags, { quantity: { value: fact.quantity, unit: fact.unit }, equipment: fact.roles });
    }
    case "exception.disposed": {
      const { batch, step, attempt, exception, disposition, linked } = fact;
      const told = { kind: "reported", type: "exception.disposed", batch, step, attempt, equipment: null } as const;
      return outcomeOf(world, machines, { ...told, data: { code: exception.code, position: exception.position, disposition, linked } }, flags);
    }
    case "disposition.signed":
      return null;
    case "disposition.voided": {
      const batch = world.batch(fact.batch);
      if (batch === undefined) return null;
      const { execution } = batch;
      const [from, to] = [fact.from, fact.to].map((disposition) => ({ execution, disposition }));
      return from === undefined || to === undefined ? null : ofBatch(batch, "batch.disposition-voided", machines, from, to, flags, { voided: fact.stage });
    }
    case "batch.amended": {
      const batch = world.batch(fact.batch);
      if (batch === undefined) return null;
      const at = { execution: batch.execution, disposition: batch.disposition };
      return ofBatch(batch, "batch.amended", machines, at, at, flags, { amended: { from: fact.from, to: recipeName(batch) } });
    }
    case "batch.moved": {
      const batch = world.batch(fact.batch);
      const type = fact.to.execution === "cancelled" ? "batch.cancelled" : BATCH_PAST[fact.by];
      return batch === undefined || type === undefined ? null : ofBatch(batch, type, machines, fact.from, fact.to, flags, {});
    }
    case "step.moved": {
      const batch = world.batch(fact.batch);
      const type = fact.by === "step.resume" ? "step.resumed" : STEP_PAST[fact.to];
      if (batch === undefined || type === undefined) return null;
      const names = machines.step(batch);
      return ofStep(batch, fact.step, fact.attempt, type, machines, flags, {
        from: { isa88: names.isa88(fact.from), step: fact.from },
        to: { isa88: names.isa88(fact.to), step: fact.to },
        ...(type === "step.completed" || type === "step.performed" ? { evidence: evidenceOf(batch, fact.step) } : {}),
      });
    }
    case "step.reopened": {
      const batch = world.batch(fact.batch);
      if (batch === undefined) return null;
      const to = { isa88: machines.step(batch).isa88(fact.state), step: fact.state };
      return ofStep(batch, fact.step, fact.attempt, "step.reopened", machines, flags, { to, linked: fact.linked });
    }
    case "evidence.recorded": {
      const batch = world.batch(fact.batch);
      if (batch === undefined) return null;
      const { item } = fact;
      return ofStep(batch, fact.step, fact.attempt, item.supersedes === null ? "evidence.recorded" : "evidence.corrected", machines, flags, {
        evidence: [
          {
            evidence: item.evidence,
            ...(item.value === null ? {} : { value: item.value }),
            ...(item.unit === null ? {} : { unit: item.unit }),
            ...(item.eventId === null ? {} : { by: item.eventId }),
            ...(item.within === null ? {} : { within: item.within, limits: { low: item.low, high: item.high } }),
          },
        ],
      });
    }
    case "lock.taken":
    case "lock.freed":
      return null;
    case "equipment.stated":
      return {
        stream: equipmentStream(fact.equipment),
        line: world.equipment(fact.equipment)?.line ?? null,
        openedOn: STANDING_DAY,
        type: "equipment.state-changed",
        data: { equipment: fact.equipment, from: fact.from, to: fact.to, flags, ...fact.data },
      };
    case "reported": {
      const type = REPORTED_PAST[fact.type] ?? fact.type;
      const batch = fact.batch === null ? undefined : world.batch(fact.batch);
      if (batch !== undefined && fact.step !== null) {
        return ofStep(batch, fact.step, fact.attempt ?? 1, type, machines, flags, {
          ...(fact.equipment === null ? {} : { by: fact.equipment }),
          report: fact.data,
        });
      }
      if (batch !== undefined) {
        return {
          stream: batchStream(batch.batch),
          line: batch.line,
          openedOn: batch.openedOn,
          type,
          data: { batch: batch.batch, jobOrder: batch.jobOrder, recipe: recipeName(batch), report: fact.data, flags },
        };
      }
      if (fact.equipment === null) return { stream: SITE_STREAM, line: null, openedOn: STANDING_DAY, type, data: { report: fact.data, flags } };
      return {
        stream: equipmentStream(fact.equipment),
        line: world.equipment(fact.equipment)?.line ?? null,
        openedOn: STANDING_DAY,
        type,
        data: { equipment: fact.equipment, report: fact.data, flags },
      };
    }
  }
}

type Placed = { readonly execution: string; readonly disposition: string };

function ofBatch(
  batch: BatchState,
  type: string,
  machines: Machines,
  from: Placed | null,
  to: Placed,
  flags: readonly string[],
  more: Readonly<Record<string, unknown>>,
): Outcome {
  const names = machines.batch(batch);
  const inWords = (at: Placed) => ({ isa88: names.isa88(at.execution), batch: at.execution, disposition: at.disposition });
  return {
    stream: batchStream(batch.batch),
    line: batch.line,
    openedOn: batch.openedOn,
    type,
    data: {
      batch: batch.batch,
      jobOrder: batch.jobOrder,
      ...(from === null ? {} : { from: inWords(from) }),
      to: inWords(to),
      isa95: names.isa95(to.execution),
      recipe: recipeName(batch),
      ...more,
      flags,
    },
  };
}

function ofStep(
  batch: BatchState,
  step: string,
  attempt: number,
  type: string,
  machines: Machines,
  flags: readonly string[],
  more: Readonly<Record<string, unknown>>,
): Outcome {
  return {
    stream: batchStream(batch.batch),
    line: batch.line,
    openedOn: batch.openedOn,
    type,
    data: {
      batch: batch.batch,
      jobOrder: batch.jobOrder,
      step,
      attempt,
      equipment: equipmentOfStep(batch, step).map(({ equipment }) => equipment),
      ...more,
      isa95: machines.batch(batch).isa95(batch.execution),
      recipe: recipeName(batch),
      flags,
    },
  };
}

function evidenceOf(batch: BatchState, step: string): readonly Readonly<Record<string, unknown>>[] {
  return (stepOf(batch, step)?.evidence ?? []).map((item) => ({
    evidence: item.evidence,
    ...(item.value === null ? {} : { value: item.value }),
    ...(item.unit === null ? {} : { unit: item.unit }),
    ...(item.eventId === null ? {} : { by: item.eventId }),
  }));
}
