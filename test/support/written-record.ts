import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { commitGroup } from "../../src/commit/commit.store.ts";
import type { SettlementDocument } from "../../src/commit/settlement.ts";
import { type Db, openDatabase } from "../../src/db/database.ts";
import { putEquipment, putSource, registerSite } from "../../src/registry/registry.store.ts";
import { shippedStateMachines } from "../../src/registry/state-machines.file.ts";
import { createModel, hashOf, type Model, type ModelOptions } from "./model.ts";
import type { TestDatabase } from "./postgres.ts";

// Records in a database that nobody had to live through: what the service's pure core decides in memory is committed by the database's own `settle`, under a clock that is set. So
// a day takes a second, and every row and entry is as the service would have left it.

const BY = { actor: "unattributed", from: null, reason: "a plant is set up" };

export interface RecordWriter {
  /** Positions that what is registered has taken: the model goes on behind them. */
  readonly model: Model;
  /** Commits what the model has decided since. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Sets up a plant in a fresh database, and a model that decides what happens there. */
export async function writeRecord(database: TestDatabase, plant: ModelOptions): Promise<RecordWriter> {
  const model = createModel(plant);
  await setClock(database, model);
  const { db, close } = openDatabase(database.ownerUrl, { max: 1, applicationName: "signalbox written record" });
  await register(db, plant, model.clock);
  const { rows } = await sql<{ position: number }>`select position::float8 as position from sites where site = ${plant.site}`.execute(db);
  model.position = rows[0]?.position ?? 0;

  const decided: { readonly document: SettlementDocument; readonly clock: string }[] = [];
  const apply = model.apply.bind(model);
  model.apply = (document) => {
    decided.push({ document, clock: model.clock });
    return apply(document);
  };
  return {
    model,
    async flush() {
      for (const { document, clock } of decided.splice(0)) {
        await sql`update clock.hands set at = ${clock}`.execute(db);
        await commitGroup(db, { site: plant.site, shard: plant.site, term: 0 }, randomUUID(), document);
      }
    },
    close,
  };
}

/** The database's clock, for its owner alone, is what the owner says. */
async function setClock(database: TestDatabase, model: Model): Promise<void> {
  const first = new Date(`${model.clock.slice(0, 7)}-01T00:00:00Z`);
  const next = new Date(first);
  next.setUTCMonth(first.getUTCMonth() + 1);
  const [from, to] = [first, next].map((day) => day.toISOString().slice(0, 10));
  for (const table of ["facts", "outcomes"])
    await database.query(
      `create table if not exists ${table}_${from?.slice(0, 7).replace("-", "_")} partition of ${table} for values from ('${from}') to ('${to}')`,
    );
  await database.query(`
    create schema clock;
    create table clock.hands as select '${model.clock}'::timestamptz as at;
    create function clock.clock_timestamp() returns timestamptz language sql stable as $$ select at from clock.hands $$;
    grant usage on schema clock to signalbox_owner;
    grant select, update on clock.hands to signalbox_owner;
    alter role signalbox_owner set search_path = clock, pg_catalog, public;`);
}

async function register(db: Db, { site, recipes, equipment, sources }: ModelOptions, clock: string): Promise<void> {
  for (const recipe of recipes)
    await sql`insert into recipes (recipe, revision, hash, content, registered_at)
      values (${recipe.recipe}, ${recipe.revision}, decode(${hashOf(recipe)}, 'hex'), ${JSON.stringify(recipe)}::jsonb, ${clock})`.execute(db);
  for (const machine of await shippedStateMachines())
    await sql`insert into state_machines (name, revision, hash, content, registered_at)
      values (${machine.name}, ${machine.revision}, decode(${hashOf(machine)}, 'hex'), ${JSON.stringify(machine)}::jsonb, ${clock})`.execute(db);
  await registerSite(db, site, BY);
  for (const one of equipment) await putEquipment(db, site, { ...one, title: null }, BY);
  for (const { equipment: name, device = null, numbering = true, revoked = false } of sources ?? []) {
    const line = equipment.find((one) => one.equipment === name)?.line ?? "";
    const source = `/site/${site}/line/${line}/eq/${name}${device === null ? "" : `/device/${device}`}`;
    await putSource(db, site, { source, line, equipment: name, device, numbering, revoked }, BY);
  }
}
