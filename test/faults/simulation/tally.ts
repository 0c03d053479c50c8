import type { Finding } from "../history/history.ts";
import type { Result } from "./simulate.ts";

/** What many runs come to; a plain value, so that workers can send it. */
export interface Tally {
  seeds: number;
  sent: number;
  acknowledged: number;
  outcomes: number;
  virtualMs: number;
  readonly faults: Record<string, number>;
  readonly points: Record<string, number>;
  readonly failing: { readonly seed: number; readonly findings: readonly Finding[] }[];
}

export const emptyTally = (): Tally => ({ seeds: 0, sent: 0, acknowledged: 0, outcomes: 0, virtualMs: 0, faults: {}, points: {}, failing: [] });

export function count(tally: Tally, { plan, history, findings, faults, points, virtualMs }: Result): void {
  tally.seeds += 1;
  tally.sent += history.sent.length;
  tally.acknowledged += history.acknowledged.length;
  tally.outcomes += history.end?.outcomes.length ?? 0;
  tally.virtualMs += virtualMs;
  for (const [name, times] of faults) tally.faults[name] = (tally.faults[name] ?? 0) + times;
  for (const [name, times] of points) tally.points[name] = (tally.points[name] ?? 0) + times;
  if (findings.length > 0) tally.failing.push({ seed: plan.seed, findings: findings.slice(0, 5) });
}

export function add(tally: Tally, more: Tally): void {
  for (const key of ["seeds", "sent", "acknowledged", "outcomes", "virtualMs"] as const) tally[key] += more[key];
  for (const [name, times] of Object.entries(more.faults)) tally.faults[name] = (tally.faults[name] ?? 0) + times;
  for (const [name, times] of Object.entries(more.points)) tally.points[name] = (tally.points[name] ?? 0) + times;
  tally.failing.push(...more.failing);
}

const NAMES = { lost: ["lost"], doubled: ["doubled"], misordered: ["misordered", "holes"], "acknowledged before durable": ["early_ack"] } as const;

/** The figures of `docs/guarantees.md`, by the names that a user would use. */
export function figures(tally: Tally): Record<string, number> {
  const all = tally.failing.flatMap(({ findings }) => findings);
  const of = (invariants: readonly string[]): number => all.filter(({ invariant }) => invariants.includes(invariant)).length;
  const named: Record<string, number> = Object.fromEntries(Object.entries(NAMES).map(([name, invariants]) => [name, of(invariants)]));
  return {
    seeds: tally.seeds,
    "events sent": tally.sent,
    "acknowledgements seen": tally.acknowledged,
    "faults injected": Object.values(tally.faults).reduce((sum, times) => sum + times, 0),
    ...named,
    "other findings": all.length - Object.values(named).reduce((sum, n) => sum + n, 0),
  };
}
