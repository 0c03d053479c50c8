import { randomUUID } from "node:crypto";
import type { Committed } from "./commit/commit.store.ts";
import { documentOf, type SettlementDocument } from "./commit/settlement.ts";
import type { Failure } from "./db/failure.ts";
import type { Machines } from "./decide/machines.ts";
import { requestFor, widen } from "./decide/request.ts";
import { type Settlement, settle } from "./decide/settle.ts";
import type { Signal } from "./decide/signal.ts";
import type { WorldData } from "./decide/world-data.ts";
import { NotRead, type WorldRequest } from "./decide/world-request.ts";

/** What the route rests on; each stage is replaced whole where a test lets it fail. */
export interface Stages {
  readonly machines: Machines;
  readonly maxBytes: number;
  read(request: WorldRequest): Promise<WorldData>;
  commit(group: string, document: SettlementDocument): Promise<Committed>;
  /** After a lost reply: whether the group is committed after all. */
  find(group: string): Promise<Committed | null>;
  failure(error: unknown): Failure;
}

export type Routed =
  /** Durable: everything in the group may be acknowledged and published. */
  | { readonly kind: "committed"; readonly settlement: Settlement; readonly committed: Committed }
  /** Nothing in the group changes anything. */
  | { readonly kind: "nothing"; readonly settlement: Settlement }
  /** Something in the group cannot be stored, whatever is tried: its own fault. */
  | { readonly kind: "unstorable"; readonly error: unknown };

/** How often a group is judged anew because the world moved under it, before that counts as everyone's fault. */
const TRIES = 50;

/** How many times the judge may ask for more of the world; each time it learns something that it could not know before. */
const READS = 200;

/**
 * The route of a group of signals: read the world, judge, commit, all or nothing. What happens before (receive, decode) and after (acknowledge, publish) is in
 * `drive.ts`, in the order in which it happens. Throws what is everyone's fault: then nothing is acknowledged and the same group comes again.
 */
export async function route(stages: Stages, signals: readonly Signal[]): Promise<Routed> {
  for (let tries = 1; ; tries += 1) {
    const settlement = await judge(stages, signals);
    if (settlement.positions === 0) return { kind: "nothing", settlement };
    const group = randomUUID();
    try {
      const committed = await stages.commit(group, documentOf(settlement, stages.maxBytes));
      return { kind: "committed", settlement, committed };
    } catch (error) {
      const failure = stages.failure(error);
      if (failure.ambiguous) {
        const committed = await stages.find(group);
        if (committed !== null) return { kind: "committed", settlement, committed };
      }
      if (failure.kind === "unstorable") return { kind: "unstorable", error };
      if (failure.kind !== "moved" || tries >= TRIES) throw error;
    }
  }
}

/** Reads what the group needs and judges it; what the judge finds missing is read and the group judged from the start. No lock is held meanwhile. */
export async function judge(stages: Pick<Stages, "read" | "machines">, signals: readonly Signal[]): Promise<Settlement> {
  const request = requestFor(signals);
  for (let reads = 1; ; reads += 1) {
    const world = await stages.read(request);
    if (reads < READS && widen(request, world)) continue;
    try {
      return settle(world, stages.machines, signals);
    } catch (error) {
      if (!(error instanceof NotRead) || reads >= READS) throw error;
      error.add(request);
    }
  }
}
