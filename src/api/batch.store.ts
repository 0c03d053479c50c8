import type { BatchState } from "../authorise/execution-context.ts";
import type { Db } from "../db/database.ts";
import { wholeBatch } from "../decide/request.ts";
import { readWorld } from "../decide/world.store.ts";
import { World } from "../decide/world.ts";
import { emptyRequest } from "../decide/world-request.ts";
import type { ApiDeps } from "./deps.ts";
import { notFound } from "./problem.ts";
import { listSites } from "./reads.store.ts";

export interface LoadedBatch {
  readonly state: BatchState;
  readonly world: World;
}

/** A batch as the judge would see it now; a problem where there is none. */
export async function readBatch(db: Db, deps: ApiDeps, site: string, batch: string): Promise<LoadedBatch> {
  if (!(await listSites(db)).includes(site)) throw notFound(`site ${site}`);
  const request = emptyRequest();
  wholeBatch(request, batch);
  const data = await readWorld(db, { site, shard: site, prefix: deps.prefix, maxBytes: deps.maxBytes }, request, deps.definitions);
  const world = new World(data);
  const state = world.batch(batch);
  if (state === undefined) throw notFound(`batch ${batch} at site ${site}`);
  return { state, world };
}
