import type { TestDatabase } from "./postgres.ts";

/** Until a statement, named by a pattern, waits for what another transaction holds. */
export async function untilLocked(database: TestDatabase, statement: string): Promise<void> {
  const waits = () =>
    database.query(`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query ~* '${statement}'`);
  while ((await waits()).length === 0);
}
