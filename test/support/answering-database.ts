import { type CompiledQuery, DummyDriver, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from "kysely";
import type { Db } from "../../src/db/database.ts";

/** `affected`: how many rows each statement says to have changed. A database that runs nothing and gives the rows it is told to: what a store makes of its rows is tested without a server, what its SQL does is not. */
export function answering(answer: (query: CompiledQuery) => readonly unknown[], affected = 0n): { readonly db: Db; readonly asked: CompiledQuery[] } {
  const asked: CompiledQuery[] = [];
  class Answers extends DummyDriver {
    override async acquireConnection(): ReturnType<DummyDriver["acquireConnection"]> {
      return {
        executeQuery: async (query: CompiledQuery) => {
          asked.push(query);
          return { rows: [...answer(query)] as never[], numAffectedRows: affected };
        },
        streamQuery: () => {
          throw new Error("nothing is streamed");
        },
      };
    }
  }
  const db: Db = new Kysely({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new Answers(),
      createIntrospector: (of) => new PostgresIntrospector(of),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
  return { db, asked };
}
