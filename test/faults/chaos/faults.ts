// The fault plan: which faults a run has, and in which order a seed deals them. Each is dealt as often as its weight says before any comes again, so that a short run meets many.
import { shuffled } from "../../support/measure.ts";
import { type Fault, type Scene, sleep } from "./fault.ts";
import { LINK_FAULTS } from "./link-faults.ts";
import { PROCESS_FAULTS } from "./process-faults.ts";
import { FORGETTING_FAULTS, SERVER_FAULTS } from "./server-faults.ts";

export interface Plan {
  /** One fault at a time of each lane; a lane's faults are about different things than another's. */
  readonly lanes: readonly (readonly Fault[])[];
}

export interface Injected {
  readonly at: number;
  readonly name: string;
  readonly seconds: number;
  /** It was done, or armed, and found nothing to hit. */
  readonly hit: boolean;
}

export function planFor(run: { readonly brokerForgets: boolean; readonly smallDisk: boolean }): Plan {
  const servers = SERVER_FAULTS.filter(({ name }) => run.smallDisk || name !== "disk full");
  const [sparse, dense] = [LINK_FAULTS.filter((_, n) => n % 2 === 0), LINK_FAULTS.filter((_, n) => n % 2 === 1)];
  return { lanes: [[...PROCESS_FAULTS, ...servers, ...(run.brokerForgets ? FORGETTING_FAULTS : [])], sparse, dense] };
}

/** Injects faults until it is asked to stop; what was begun is healed before it returns. */
export async function inject(
  plan: Plan,
  scene: Scene,
  random: () => number,
  asked: { readonly stop: boolean },
  tell: (injected: Injected) => void,
): Promise<void> {
  const busy = new Set<string>();
  await Promise.all(plan.lanes.map((faults) => lane(faults, { scene, random, asked, tell, busy })));
}

interface LaneOptions {
  readonly scene: Scene;
  readonly random: () => number;
  readonly asked: { readonly stop: boolean };
  readonly tell: (injected: Injected) => void;
  readonly busy: Set<string>;
}

/** Stands among what is busy while a fault wants to be the only one. */
const ALONE = "everything";

async function lane(faults: readonly Fault[], { scene, random, asked, tell, busy }: LaneOptions): Promise<void> {
  const weighted = faults.flatMap((fault) => Array.from({ length: fault.weight }, () => fault));
  let deck: Fault[] = [];
  while (!asked.stop) {
    if (deck.length === 0) deck = shuffled(weighted, random);
    if (busy.has(ALONE)) {
      await sleep(50);
      continue;
    }
    const at = deck.findIndex(({ to }) => !busy.has(to));
    const [fault] = at < 0 ? [] : deck.splice(at, 1);
    if (fault === undefined) {
      await sleep(50);
      continue;
    }
    if (fault.alone === true) {
      busy.add(ALONE);
      while (busy.size > 1) await sleep(50);
    }
    busy.add(fault.to);
    const began = performance.now();
    let hit = false;
    try {
      hit = await fault.inject(scene);
    } catch {
      // a fault that came upon another (no database to ask, say) has not been done
    } finally {
      busy.delete(fault.to);
      if (fault.alone === true) busy.delete(ALONE);
    }
    tell({ at: began, name: fault.name, seconds: (performance.now() - began) / 1000, hit });
    await sleep(100 + random() * 500);
  }
}
