import { type Answered, Group } from "./group.ts";
import { judgeAgain } from "./judge-again.ts";
import type { Machines } from "./machines.ts";
import type { Rows } from "./rows.ts";
import { settleCommand } from "./settle-command.ts";
import { settleDiagnosis } from "./settle-diagnosis.ts";
import { settleEvent } from "./settle-event.ts";
import { settleTick } from "./settle-tick.ts";
import type { Signal, Tick } from "./signal.ts";
import { World } from "./world.ts";
import type { WorldData } from "./world-data.ts";

/** What one group comes to: what was assumed and changed, what goes on record, and what is told to whoever waits for an answer. */
export interface Settlement {
  readonly world: World;
  readonly rows: Rows;
  /** How many positions it takes. */
  readonly positions: number;
  /** By the group's signal: the answer to a command. */
  readonly answers: ReadonlyMap<Signal, Answered>;
  /** Sources whose cursor or connection changed, batches that changed: their mirrors are published anew. */
  readonly touchedSources: ReadonlySet<string>;
  readonly touchedBatches: ReadonlySet<string>;
  /** Work that goes on in the next commit, before any later signal. */
  readonly followUps: readonly Tick[];
  /** Diagnoses that were not believed: they change nothing and are not on record. */
  readonly unbelieved: ReadonlySet<Signal>;
}

/**
 * Settles a group of signals against the world as it was read. Pure: the same world and signals give the same settlement. Throws only NotRead, when the judge
 * needs more of the world than was read.
 */
export function settle(data: WorldData, machines: Machines, signals: readonly Signal[]): Settlement {
  const group = new Group(new World(data), machines);
  for (const signal of signals) {
    settleSignal(group, signal);
    judgeAgain(group);
  }
  return settlementOf(group);
}

export function settlementOf({ world, rows, positions, answers, touchedSources, touchedBatches, followUps, unbelieved }: Group): Settlement {
  return { world, rows, positions, answers, touchedSources, touchedBatches, followUps, unbelieved };
}

/** Settles one signal of a group, without what comes free by it. */
export function settleSignal(group: Group, signal: Signal): void {
  switch (signal.kind) {
    case "event":
      settleEvent(group, signal);
      return;
    case "diag":
      settleDiagnosis(group, signal);
      return;
    case "command":
      settleCommand(group, signal);
      return;
    case "tick":
      settleTick(group, signal);
      return;
  }
}
