// Promise: a search of the audit trail gives what the view `audit_trail` has, page by page, in each order and both directions; a page in the order of positions costs what is on it, however long the
// record.
// Attack: a record of many looks with events, acts, commands and later rounds, searched by who, what, when, why and batch, what is frequent and what is rare; the rows that Postgres reads are counted.
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Found, searchTrail, TRAIL_ORDERS, type TrailOrder, type TrailSearch } from "../../../src/audit/trail.store.ts";
import { openDatabase } from "../../../src/db/database.ts";
import { freshDatabase, type TestDatabase } from "../../support/postgres.ts";

const SITE = "trail1";
const N = 20_000;
const at = (position: number): string => new Date(Date.parse("2026-11-25T08:00:00Z") + position * 10).toISOString();
let database: TestDatabase;
let opened: ReturnType<typeof openDatabase>;

beforeAll(async () => {
  database = await freshDatabase();
  const of = `from generate_series(1, ${N}) n, lateral (select timestamptz '2026-11-25T08:00:00Z' + n * interval '10 milliseconds' as at) as moment`;
  // one of ten an act, one of ten a command, one of a hundred a later round of the event before it; the others events of 23 sources
  await database.query(`set session_replication_role = replica; select ensure_partitions(${N});
    insert into sites (site, position) values ('${SITE}', ${N}); insert into shards (shard, site) values ('${SITE}', '${SITE}');
    insert into signals (site, position, generation, shard, kind, type, actor, source, topic, body, received_at, recorded_at)
      select '${SITE}', n, 1, '${SITE}', case n % 10 when 0 then 'act' when 1 then 'command' else 'event' end, case n % 10 when 0 then 'call.made' when 1 then null else 'signalbox.call.raised.v1' end,
        case when n % 10 < 2 then 'person-' || n % 7 end, case when n % 10 >= 2 then '/site/${SITE}/line/4/eq/scale-' || n % 23 end, case when n % 10 >= 2 then 't' end,
        case n % 10 when 0 then jsonb_build_object('reason', 'because ' || n) when 1 then '{"kind": "batch.command", "command": "start"}'::jsonb end, at, at ${of} where n % 100 <> 53;
    insert into verdicts (site, position, generation, shard, event_position, round, status, final, code, reason, next, source, type, context_from, ahead, flags, facts, recorded_at)
      select '${SITE}', n, 1, '${SITE}', case n % 100 when 53 then n - 1 else n end, case n % 100 when 53 then 2 else 1 end, 'rejected', true, case n % 5 when 0 then 'SEQ_GAP' else 'SYS_POISON' end,
        'Reason ' || n, 'none', '/site/${SITE}/line/4/eq/scale-' || n % 23, 'signalbox.call.raised.v1', 'none', false, '{}', 0, at ${of} where n % 10 >= 2;
    insert into audit_numbers (site, batch, number, position) select '${SITE}', 'B-1', n, n * 13 from generate_series(1, ${Math.floor(N / 13)}) n;
    insert into audit_entries (site, position, entry) select '${SITE}', n, convert_to('entry ' || n, 'UTF8') from generate_series(1, ${N}) n`);
  await database.query("analyze");
  opened = openDatabase(database.runtimeUrl, { max: 2, applicationName: "signalbox test" });
});
afterAll(async () => {
  await opened?.close();
  await database?.drop();
});

/** What the view has, in the order that is asked for: positions alone. */
async function expected(where: string, order: TrailOrder, direction: string): Promise<readonly number[]> {
  const key = { when: "", who: `who ${direction},`, what: `what ${direction},`, why: `coalesce(why, '') ${direction},` }[order];
  const rows = await database.query(
    `select position::int as position from audit_trail where site = '${SITE}' and ${where} order by ${key} position ${direction}`,
  );
  return rows.map(({ position }) => Number(position));
}

async function paged(search: Partial<TrailSearch>, order: TrailOrder, direction: "asc" | "desc", limit: number): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (let after: { key: string; position: number } | null = null; ; ) {
    const page: readonly Found[] = await searchTrail(opened.db, { site: SITE, ...search }, order, direction, after, limit);
    found.push(...page);
    const last = page.at(-1);
    if (last === undefined || page.length < limit) return found;
    after = { key: last.key, position: last.position };
  }
}

describe.each(TRAIL_ORDERS)("in the order of %s", (order) => {
  test.each([
    ["all that there is", {}, "true"],
    ["somebody", { who: "person-3" }, "strpos(who, 'person-3') > 0"],
    ["what is rare", { why: "because 1990" }, "strpos(coalesce(why, ''), 'because 1990') > 0"],
    ["a code", { why: "SEQ_GAP", what: "call" }, "code = 'SEQ_GAP'"],
    ["nothing", { what: "no such thing" }, "false"],
    ["a time", { from: at(5_000), to: at(6_001), what: "start" }, "position between 5000 and 6000 and what = 'batch.start'"],
    ["a batch", { batch: "B-1" }, `position in (select position from audit_numbers where batch = 'B-1')`],
    ["somebody in a batch", { batch: "B-1", who: "signalbox" }, `who = 'signalbox' and position in (select position from audit_numbers where batch = 'B-1')`],
    ["positions", { positions: { from: 4_700, to: 7_900 } }, "position between 4700 and 7900"],
  ] as const)("has %s, each once, page by page", async (_, search, where) => {
    for (const direction of ["asc", "desc"] as const) {
      const found = await paged(search, order, direction, 5_001);
      expect(found.map(({ position }) => position)).toEqual(await expected(where, order, direction));
      for (const { position, entry } of found.slice(0, 50)) expect(entry.toString()).toBe(`entry ${position}`);
      const first = await paged({ ...search, positions: { from: 4_990, to: 5_200 } }, order, direction, 7);
      expect(first.map(({ position }) => position)).toEqual(await expected(`${where} and position between 4990 and 5200`, order, direction));
    }
  });
});

// a page of a hundred sorted the whole record, also in the order that it has anyway
test("a page in the order of positions reads little more than what is on it", async () => {
  for (const direction of ["asc", "desc"] as const)
    for (const [search, after] of [
      [{}, null],
      [{}, { key: "", position: 9_000 }],
      [{ what: "call" }, { key: "", position: 12_000 }],
      [{ batch: "B-1" }, null],
      [{ from: at(7_000) }, null],
    ] as const) {
      const read = await opened.db.transaction().execute(async (trx) => {
        const rowsRead = async (): Promise<number> => {
          const { rows } = await sql<{ read: number }>`
            select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::int as read from pg_stat_xact_user_tables where relname ~ '^(signals|verdicts|audit_entries)'`.execute(
            trx,
          );
          return rows[0]?.read ?? Number.NaN;
        };
        const before = await rowsRead();
        expect(await searchTrail(trx, { site: SITE, ...search }, "when", direction, after, 101)).toHaveLength(101);
        return (await rowsRead()) - before;
      });
      expect([direction, JSON.stringify(search), read < 5_000 ? "few" : read]).toEqual([direction, JSON.stringify(search), "few"]);
    }
});
