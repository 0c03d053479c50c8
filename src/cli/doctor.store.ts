import { sql } from "kysely";
import { readLeases } from "../commit/lease.store.ts";
import { openDatabase } from "../db/database.ts";
import { assertDurable, assertRuntimeRole, DatabaseUnfit } from "../db/fit.store.ts";
import { assertMigrated, MigrationRefused } from "../db/migrate.store.ts";
import type { DatabaseFacts } from "./findings.ts";

/** Asks the database what a promise rests on. Reads only; throws when it does not answer. */
export async function examineDatabase(url: string): Promise<DatabaseFacts> {
  const { db, close } = openDatabase(url, { max: 1, applicationName: "signalbox doctor" });
  try {
    const asked = Date.now();
    const { rows } = await sql<{ version: string; now: number }>`
      select current_setting('server_version') as version, (extract(epoch from clock_timestamp()) * 1000)::float8 as now`.execute(db);
    const answered = Date.now();
    const unfit: string[] = [];
    for (const check of [assertMigrated, assertRuntimeRole, assertDurable]) {
      try {
        await check(db);
      } catch (error) {
        if (error instanceof DatabaseUnfit) unfit.push(...error.problems);
        else if (error instanceof MigrationRefused) unfit.push(error.message);
        else throw error;
      }
    }
    const there = await sql<{ there: boolean }>`select to_regclass('public.sites') is not null as there`.execute(db);
    const heads =
      there.rows[0]?.there === true
        ? (
            await sql<{
              site: string;
              position: number;
              generation: number;
            }>`select site, position::float8 as position, generation from public.sites order by site`.execute(db)
          ).rows
        : [];
    // partitions by position have whole numbers as bounds; those by day do not match
    const partitions = await sql<{ upto: number | null }>`
      select min(upto) as upto from (
        select i.inhparent, max(substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \\(''?(\\d+)''?\\)')::float8) as upto
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where c.relnamespace = to_regnamespace('public') and pg_get_expr(c.relpartbound, c.oid) ~ 'FOR VALUES FROM \\(''?\\d+''?\\) TO \\(''?\\d+''?\\)'
        group by i.inhparent) as parents`.execute(db);
    return {
      version: rows[0]?.version ?? "?",
      unfit,
      clockMs: (rows[0]?.now ?? asked) - (asked + answered) / 2,
      heads,
      partitionsTo: partitions.rows[0]?.upto ?? null,
      leases: await readLeases(db),
    };
  } finally {
    await close();
  }
}
