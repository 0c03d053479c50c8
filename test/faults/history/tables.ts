// The transition tables that the state machines are shipped with, as an oracle for what was published.
import { readFileSync } from "node:fs";
import { z } from "zod";

const table = z.object({
  regions: z.record(z.string(), z.array(z.object({ state: z.string(), event: z.string(), guards: z.array(z.string()).optional(), to: z.string().optional() }))),
});

/** Where a state leads under an event, and which guards must hold. */
export interface Move {
  readonly to: string;
  readonly guards: readonly string[];
}

type Region = ReadonlyMap<string, readonly Move[]>;

const NOTHING: readonly Move[] = [];

/** A region of a shipped machine; "" where it has only one. */
function regionOf(name: string, region: string): Region {
  const { regions } = table.parse(JSON.parse(readFileSync(new URL(`../../../state-machines/${name}.v1.table.json`, import.meta.url), "utf8")));
  const moves = new Map<string, Move[]>();
  for (const { state, event, guards, to } of regions[region] ?? []) {
    if (to === undefined) continue;
    const key = `${state} ${event}`;
    moves.set(key, [...(moves.get(key) ?? []), { to, guards: guards ?? [] }]);
  }
  return moves;
}

const EXECUTION = regionOf("batch/governed", "execution");
const DISPOSITION = regionOf("batch/governed", "disposition");
const STEP = regionOf("step/governed", "");

export const executionMoves = (state: string, event: string): readonly Move[] => EXECUTION.get(`${state} ${event}`) ?? NOTHING;
export const dispositionMoves = (state: string, event: string): readonly Move[] => DISPOSITION.get(`${state} ${event}`) ?? NOTHING;
export const stepMoves = (state: string, event: string): readonly Move[] => STEP.get(`${state} ${event}`) ?? NOTHING;
