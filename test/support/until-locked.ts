import type { TestDatabase } from "./postgres.ts";

/** Until a statement, named by a pattern, waits for what another transaction holds. Throws where `asked`, which has it run, came to its end and it never waited. */
export async function untilLocked(database: TestDatabase, statement: string, asked?: Promise<unknown>): Promise<void> {
  let over = false;
  const ended = (): void => {
    over = true;
  };
  asked?.then(ended, ended);
  const waits = () =>
    database.query(`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query ~* '${statement}'`);
  while ((await waits()).length === 0) if (over) throw new Error(`${statement} never waited`);
}
