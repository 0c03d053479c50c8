// What to read of the world before a group can be judged, by name, and the wish to read more of it.
import type { Ref } from "../sequence/source-state.ts";

export interface WorldRequest {
  readonly sources: Set<string>;
  /** source → hashes of ids */
  readonly ids: Map<string, Set<string>>;
  /** source → "epoch.sequence" */
  readonly numbers: Map<string, Set<string>>;
  /** sources of which the waiting events that come next are wanted, with the events themselves */
  readonly waitingNext: Map<string, { source: string; incarnation: number; epoch: bigint; after: bigint }>;
  /** sources of which all waiting numbers are wanted */
  readonly waitingNumbers: Set<string>;
  readonly batches: Set<string>;
  /**
   * batch → steps of which the evidence is wanted: most of what a batch holds. Beside them it is read of steps that go on and have not begun, or are engaged by equipment that is asked for, and of all that
   * go on where events of the batch are deferred, or none of its steps is named
   */
  readonly evidence: Map<string, Set<string>>;
  readonly jobOrders: Set<string>;
  /** with its sources */
  readonly equipment: Set<string>;
  /** batches of which the sources of all their equipment are wanted: a step is complete only while none of its own has a gap */
  readonly sourcesOf: Set<string>;
  readonly awaited: Set<string>;
  readonly streams: Set<string>;
  readonly deferrals: Set<Ref>;
  readonly quarantine: Set<Ref>;
  /** positions at which exceptions were opened */
  readonly exceptions: Set<Ref>;
  readonly recipes: Set<string>;
  readonly machines: Set<string>;
  readonly keys: Set<string>;
  /** source → times at which it is asked at which station it was */
  readonly stationsAt: Map<string, Set<string>>;
  /** positions of events of which the performer is wanted */
  readonly performances: Set<Ref>;
}

/** No step is named so: all that a batch has, and all that have not ended. */
export const EVERY_STEP = "*";
export const GOING_ON = "+";

export function emptyRequest(): WorldRequest {
  return {
    sources: new Set(),
    ids: new Map(),
    numbers: new Map(),
    waitingNext: new Map(),
    waitingNumbers: new Set(),
    batches: new Set(),
    evidence: new Map(),
    jobOrders: new Set(),
    equipment: new Set(),
    sourcesOf: new Set(),
    awaited: new Set(),
    streams: new Set(),
    deferrals: new Set(),
    quarantine: new Set(),
    exceptions: new Set(),
    recipes: new Set(),
    machines: new Set(),
    keys: new Set(),
    stationsAt: new Map(),
    performances: new Set(),
  };
}

/** Thrown when the judge looks at something that was not read: it is read then, and the group is judged from the start. */
export class NotRead extends Error {
  readonly add: (request: WorldRequest) => void;
  constructor(what: string, add: (request: WorldRequest) => void) {
    super(`${what} has not been read`);
    this.add = add;
  }
}

/** Adds a name to those that are asked for under a key. */
export function askFor(names: Map<string, Set<string>>, key: string, name: string): void {
  const set = names.get(key) ?? new Set();
  names.set(key, set);
  set.add(name);
}
