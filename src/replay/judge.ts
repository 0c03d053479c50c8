import type { Machines } from "../decide/machines.ts";
import { requestFor, widen } from "../decide/request.ts";
import { type Settlement, settle } from "../decide/settle.ts";
import type { Signal } from "../decide/signal.ts";
import type { WorldData } from "../decide/world-data.ts";
import { NotRead, type WorldRequest } from "../decide/world-request.ts";

/** As pipeline.ts. */
const READS = 200;

/** Judges a group as pipeline.ts does, in a world that is read without waiting. */
export function judgeIn(read: (request: WorldRequest) => WorldData, machines: Machines, signals: readonly Signal[]): Settlement {
  return judging(read, signals, (world) => settle(world, machines, signals));
}

/** Whatever settles a group: it is given more of the world, from the start, as long as it asks for more. */
export function judging<T>(read: (request: WorldRequest) => WorldData, signals: readonly Signal[], settled: (world: WorldData) => T): T {
  const request = requestFor(signals);
  for (let reads = 1; ; reads += 1) {
    const world = read(request);
    if (reads < READS && widen(request, world)) continue;
    try {
      return settled(world);
    } catch (error) {
      if (!(error instanceof NotRead) || reads >= READS) throw error;
      error.add(request);
    }
  }
}
