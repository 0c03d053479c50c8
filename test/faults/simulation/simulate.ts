import { check } from "../history/check.ts";
import type { Finding, History } from "../history/history.ts";
import { FAULTS } from "./faults.ts";
import { People } from "./people.ts";
import { BEGINNING, BUSY_MS, type Plan } from "./plan.ts";
import { Plant } from "./plant.ts";

/** Faults may last this long into the time after the devices have spoken; then everything heals. */
const TROUBLED_MS = BUSY_MS + 4_000;
/** After that everything must come to rest within this, in virtual milliseconds: longer than the gap limit, any patience, and the slowest connection's return. */
const REST_MS = 300_000;
/** Longer than the service waits for a missing number. */
const GAP_MS = 65_000;

export interface Result {
  readonly plan: Plan;
  readonly history: History;
  readonly findings: readonly Finding[];
  /** How often each kind of fault began and each device did wrong, by name. */
  readonly faults: ReadonlyMap<string, number>;
  /** How often each crash point was hit. */
  readonly points: ReadonlyMap<string, number>;
  readonly virtualMs: number;
}

/** Plays a plan to its end and judges what was seen. The same plan gives the same result. */
export async function simulate(plan: Plan): Promise<Result> {
  const plant = new Plant(plan);
  const people = new People(plant);
  const { time } = plant;
  const faults = new Map<string, number>(Object.entries(plan.mischief).filter(([, times]) => times > 0));
  if (plan.overDelivers) faults.set("over_delivery", 1);
  for (const { at, kind, ms, n } of plan.faults) {
    time.after(at, () => {
      faults.set(kind, (faults.get(kind) ?? 0) + 1);
      const end = FAULTS[kind].begin(plant, n, ms);
      if (end !== null) time.after(ms, end);
    });
  }
  for (const send of plan.sends) time.after(send.at, () => plant.devices.get(send.source)?.say(send));
  for (const beat of plan.beats) time.after(beat.at, () => plant.devices.get(beat.source)?.beat(beat));
  for (let at = 1_000; at < TROUBLED_MS; at += 3_100) time.after(at, () => plant.observer.read(at % 2 === 0 ? "batch/B-1" : "equipment/mixer-1"));
  plant.start();
  void people.work();
  await time.run(TROUBLED_MS);
  plant.heal();
  // now and then gaps are left alone for as long as the service is patient with them; then somebody resolves them
  await time.run(REST_MS, () => people.idle && atRest(plant));
  if (plan.seed % 8 === 0) await time.run(GAP_MS);
  if (openGaps(plant) > 0) void people.tidyUp();
  await time.run(REST_MS, () => people.idle && atRest(plant));
  const settled = people.idle && atRest(plant);
  const history = plant.observer.history(settled);
  const signed = [...plant.observer.unsigned, ...((await plant.signer?.findings(settled)) ?? [])];
  return { plan, history, findings: [...check(history), ...fencing(plant), ...signed], faults, points: plant.points, virtualMs: time.now() - BEGINNING };
}

/** Nothing is under way any more: all that devices had to say is settled, published, and nothing is open that time would end. */
function atRest(plant: Plant): boolean {
  const { devices, broker, database } = plant;
  const owner = plant.owner();
  return (
    owner?.shard.condition.connected === true &&
    plant.linkOf("sub") !== null &&
    plant.linkOf("pub") !== null &&
    owner.shard.condition.drive?.queued === 0 &&
    [...devices.values()].every((device) => device.idle) &&
    broker.waitingFor("signalbox-sim-sub") === 0 &&
    !database.committing &&
    (plant.signer === null || database.signed === database.model.position) &&
    database.relay.position === database.model.position &&
    database.model.deferrals.size === 0
  );
}

function openGaps(plant: Plant): number {
  return [...plant.database.model.sources.values()].filter((source) => source.gapPosition !== null || source.parked !== null).length;
}

/** An independent reader of the commits: their terms never go back. */
function fencing(plant: Plant): Finding[] {
  let highest = 0;
  return plant.database.commits.flatMap(({ at, owner, term, first }) => {
    const fenced = term < highest;
    highest = Math.max(highest, term);
    return fenced ? [{ invariant: "fenced" as const, what: `position ${first} was committed by ${owner} under term ${term}, after term ${highest}`, at }] : [];
  });
}
