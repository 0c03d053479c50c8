import { type CompiledQuery, sql } from "kysely";
import type { Db } from "../db/database.ts";
import { assembleWorld, type WorldReader } from "./assemble-world.ts";
import { type Definitions, readDefinitions } from "./definitions.store.ts";
import type { WorldData } from "./world-data.ts";
import { askFor, type WorldRequest } from "./world-request.ts";
import type { RareRows, WorldRows } from "./world-rows.ts";
import { rarelyStatement, worldStatement } from "./world-statement.store.ts";

/** Reads the world that a group is judged in, outside any transaction, in one round trip. */
export async function readWorld(db: Db, at: WorldReader, request: WorldRequest, definitions: Definitions): Promise<WorldData> {
  const asked = JSON.stringify(askedOf(request));
  const rarely = RARELY.some((list) => request[list].size > 0);
  const { rows } = await db.executeQuery<Found>(statementFor(db, rarely, { site: at.site, shard: at.shard, asked }));
  const row = rows[0];
  if (row === undefined) throw new Error("the world came back empty");
  const found = { ...NOTHING, ...row.world, ...row.rarely };
  const recipeNames = [...new Set([...request.recipes, ...found.batches.map((b) => `${b.recipe}@${b.revision}`)])];
  const machineNames = [...new Set([...request.machines, ...found.batches.flatMap((b) => [b.batch_machine, b.step_machine])])];
  await readDefinitions(db, recipeNames, machineNames, definitions);
  return assembleWorld(at, request, found, definitions);
}

interface Found {
  readonly world: Omit<WorldRows, keyof RareRows>;
  readonly rarely?: RareRows;
}

/** What stands in a statement's parameters until it is asked. */
const ASKED = { site: "{site}", shard: "{shard}", asked: "{asked}" };
const statements = new Map<boolean, CompiledQuery<Found>>();

/** The text is made once: that takes a fifth of a millisecond, as long as Postgres takes for a tenth of what an event alone needs of it. */
function statementFor(db: Db, rarely: boolean, at: typeof ASKED): CompiledQuery<Found> {
  const { site, shard, asked } = ASKED;
  const known =
    statements.get(rarely) ??
    sql<Found>`select ${worldStatement(site, shard, asked)} as world${rarely ? sql`, ${rarelyStatement(site, asked)} as rarely` : sql``}`.compile(db);
  statements.set(rarely, known);
  const values = new Map<unknown, string>([
    [site, at.site],
    [shard, at.shard],
    [asked, at.asked],
  ]);
  return { ...known, parameters: known.parameters.map((parameter) => values.get(parameter) ?? parameter) };
}

/** What most groups ask nothing of. */
const RARELY = ["waitingNext", "waitingNumbers", "jobOrders", "quarantine", "exceptions", "performances", "keys"] as const;
const NOTHING: RareRows = { windows: [], all_waiting: [], orders: [], quarantine: [], exceptions: [], performances: [], keys: [] };

/** The names that the statements take. A position below zero is one of this group, which the database does not know yet. */
function askedOf(request: WorldRequest): Readonly<Record<string, unknown>> {
  const sources = [
    ...new Set([
      ...request.sources,
      ...request.ids.keys(),
      ...request.numbers.keys(),
      ...[...request.waitingNext.values()].map((w) => w.source),
      ...request.waitingNumbers,
    ]),
  ];
  const numbers = [...request.numbers].map(([source, keys]) => {
    const byEpoch = new Map<string, Set<string>>();
    for (const key of keys) {
      const point = key.indexOf(".");
      askFor(byEpoch, key.slice(0, point), key.slice(point + 1));
    }
    return [source, named(byEpoch)] as const;
  });
  const windows = [...request.waitingNext.values()].map((w) => ({
    source: w.source,
    incarnation: w.incarnation,
    epoch: w.epoch.toString(),
    after: w.after.toString(),
  }));
  return {
    sources,
    ids: named(request.ids),
    numbers: Object.fromEntries(numbers),
    windows,
    all_waiting: [...request.waitingNumbers],
    batches: [...request.batches],
    evidence: named(request.evidence),
    orders: [...request.jobOrders],
    equipment: [...request.equipment],
    sources_of: [...request.sourcesOf],
    awaited: [...request.awaited],
    streams: [...request.streams],
    deferrals: [...request.deferrals].filter((ref) => ref > 0),
    quarantine: [...request.quarantine].filter((ref) => ref > 0),
    exceptions: [...request.exceptions].filter((ref) => ref > 0),
    keys: [...request.keys],
    stations_at: named(request.stationsAt),
    performances: [...request.performances].filter((ref) => ref > 0),
  };
}

const named = (sets: ReadonlyMap<string, ReadonlySet<string>>): Record<string, readonly string[]> =>
  Object.fromEntries([...sets].map(([key, names]): [string, string[]] => [key, [...names]]));
