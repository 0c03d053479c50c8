import type { FastifyInstance } from "fastify";
import { DummyDriver, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from "kysely";
import type { ApiDeps } from "../../src/api/deps.ts";
import { createApi } from "../../src/api/server.http.ts";
import type { Tables } from "../../src/db/schema.ts";
import { noDefinitions } from "../../src/decide/definitions.store.ts";
import { createMachines } from "../../src/decide/machines.ts";
import { createLog } from "../../src/ops/log.ts";

/** The interface over a database that answers every question with no rows, and over whatever a test puts in the place of the rest. Nothing listens. */
export function apiAlone(
  replaced: Partial<ApiDeps> = {},
  { tls = null, requestsPerSecond = 0 }: { readonly tls?: Parameters<typeof createApi>[1]; readonly requestsPerSecond?: number } = {},
): Promise<FastifyInstance> {
  const definitions = noDefinitions();
  const db = new Kysely<Tables>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
  return createApi(
    {
      db,
      own: db,
      access: { db, secret: new Uint8Array(32), oidc: null, openUntilClaimed: true },
      log: createLog({ level: "silent" }),
      definitions,
      machines: createMachines((name) => definitions.machines.get(name)),
      prefix: "",
      version: "0.0.0",
      maxBytes: 262_144,
      shard: () => undefined,
      siteRegistered: async () => {},
      health: async () => ({ ready: true, checks: [] }),
      metrics: async () => "",
      onCommitted: () => () => {},
      ...replaced,
    },
    tls,
    requestsPerSecond,
  );
}
