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
/** An act that is told at length. */
const LONG = 7_010;
const STORY = `, and ${"so it went on, ".repeat(30)}until it ended at last`;
/** Two acts of which the later one's reason comes first, but for what nobody would put in order; and one whose reason is that of most events. */
const [ALIKE, AS_MOST] = [[5_000, 5_010], 6_000] as const;
const at = (position: number): string => new Date(Date.parse("2026-11-25T08:00:00Z") + position * 10).toISOString();
let database: TestDatabase;
let opened: ReturnType<typeof openDatabase>;

beforeAll(async () => {
  database = await freshDatabase();
  const of = `from generate_series(1, ${N}) n, lateral (select timestamptz '2026-11-25T08:00:00Z' + n * interval '10 milliseconds' as at) as moment`;
  // of ten one act, one command, one tick and one diagnosis, of a source that says nothing else; the others events of 23 sources, accepted, repeated, refused, or one of a hundred unreadable; one of
  // a hundred the later round of the event before it
  const is = `case when n % 100 = 57 then 'unreadable' else (array['act', 'command', 'tick', 'diag', 'accepted', 'duplicate', 'rejected', 'rejected', 'rejected', 'rejected'])[n % 10 + 1] end`;
  const kinds = `case when ${is} in ('act', 'command', 'tick', 'diag') then ${is} else 'event' end`;
  const source = "'/site/trail1/line/4/eq/scale-' || n % 23";
  await database.query(`set session_replication_role = replica; select ensure_partitions(${N});
    insert into sites (site, position) values ('${SITE}', ${N}); insert into shards (shard, site) values ('${SITE}', '${SITE}');
    insert into sources (site, source, line, equipment, shard) values ('${SITE}', '/site/${SITE}/line/4/eq/gate-1', '4', 'gate-1', '${SITE}');
    insert into performances (site, position, event_position, person, station, session, performed_at, clock)
      select '${SITE}', n, n, 'ada', 'bench-1', 1, at, 'arrival' ${of} where n % 1000 = 16;
    insert into signals (site, position, generation, shard, kind, type, actor, source, topic, body, received_at, recorded_at)
      select '${SITE}', n, 1, '${SITE}', ${kinds}, case ${is} when 'act' then 'call.made' when 'accepted' then 'signalbox.step.evidence.v1' when 'duplicate' then 'signalbox.call.raised.v1' when 'rejected' then 'signalbox.call.raised.v1' end,
        case when ${is} in ('act', 'command') then 'person-' || n % 7 end, case ${is} when 'diag' then '/site/${SITE}/line/4/eq/gate-1' when 'accepted' then ${source} when 'duplicate' then ${source} when 'rejected' then ${source} end,
        case when ${kinds} in ('event', 'diag') then 't' end,
        case ${is} when 'act' then jsonb_build_object('reason', case n when ${ALIKE[0]} then '${STORY} of all' when ${ALIKE[1]} then '${STORY} at all' when ${AS_MOST} then 'Accepted.'
            else 'because ' || n || case n when ${LONG} then '${STORY}' else '' end end) when 'command' then '{"kind": "batch.command", "command": "start"}'::jsonb when 'tick' then '{"tick": "patience"}'::jsonb end, at, at
        ${of} where n % 100 <> 59;
    insert into verdicts (site, position, generation, shard, event_position, round, status, final, code, reason, next, source, type, context_from, ahead, flags, facts, first_position, recorded_at)
      select '${SITE}', n, 1, '${SITE}', case n % 100 when 59 then n - 1 else n end, case n % 100 when 59 then 2 else 1 end, case ${is} when 'unreadable' then 'rejected' else ${is} end, true,
        case ${is} when 'accepted' then null when 'duplicate' then 'DUP_EXACT' when 'unreadable' then 'ENV_NOT_JSON' else case n % 3 when 0 then 'SEQ_GAP' else 'SYS_POISON' end end,
        case ${is} when 'accepted' then 'Accepted.' when 'duplicate' then 'The same event had arrived before and is accepted; nothing was done again.' else 'Reason ' || n end, 'none',
        case when ${is} <> 'unreadable' then ${source} end, case ${is} when 'unreadable' then null when 'accepted' then 'signalbox.step.evidence.v1' else 'signalbox.call.raised.v1' end, 'none', false, '{}',
        case ${is} when 'accepted' then 1 else 0 end, case ${is} when 'duplicate' then n - 1 end, at ${of} where ${kinds} = 'event';
    insert into audit_numbers (site, batch, number, position) select '${SITE}', 'B-1', n, n * 13 from generate_series(1, ${Math.floor(N / 13)}) n;
    insert into audit_entries (site, position, entry) select '${SITE}', n, convert_to('entry ' || n, 'UTF8') from generate_series(1, ${N}) n`);
  await database.query("vacuum (analyze)");
  opened = openDatabase(database.runtimeUrl, { max: 2, applicationName: "signalbox test" });
});
afterAll(async () => {
  await opened?.close();
  await database?.drop();
});

/** What the view has, in the order that is asked for: positions alone. */
async function expected(where: string, order: TrailOrder, direction: string): Promise<readonly number[]> {
  const key = { when: "", who: `who ${direction},`, what: `what ${direction},`, why: `left(coalesce(why, ''), 256) ${direction},` }[order];
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
    ["who performed something", { who: "person:Ada" }, "position % 1000 = 16"],
    ["whoever is one of many", { who: "SCALE-1" }, "strpos(who, 'scale-1') > 0"],
    ["one of many in what is frequent", { who: "person-", what: "a" }, "strpos(who, 'person-') > 0 and strpos(what, 'a') > 0"],
    ["the service", { who: "Signal" }, "who = 'signalbox'"],
    ["a source that was only lost and found", { who: "gate" }, "strpos(who, 'gate') > 0"],
    ["what fell due", { what: "patience.DUE", who: "box" }, "what = 'patience.due'"],
    ["what could not be read", { what: "unread" }, "what = 'unreadable'"],
    ["what was read of sources", { what: "diag" }, "what = 'diagnosis'"],
    ["a word that is too short", { why: "e 19", who: "person" }, "strpos(who, 'person') > 0 and strpos(coalesce(why, ''), 'e 19') > 0"],
    ["two letters", { why: "87" }, "strpos(coalesce(why, ''), '87') > 0"],
    ["what had come before", { why: "and is ACCEPTED; nothing" }, "code = 'DUP_EXACT'"],
    ["what was accepted", { why: "accepted." }, "why = 'Accepted.'"],
    ["the end of long reasons", { why: "ended at last" }, "strpos(coalesce(why, ''), 'ended at last') > 0"],
    ["a long reason itself", { why: `because ${LONG}${STORY}` }, `why = 'because ${LONG}${STORY}'`],
    ["a reason in another case", { why: "REASON 777" }, "strpos(coalesce(why, ''), 'Reason 777') > 0"],
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

// Found by asking for what is not there: everything was gone through. And a page of a hundred sorted the whole record, also in the order that it has anyway.
test("a page reads little more than what is on it, also where little or nothing is found", async () => {
  for (const direction of ["asc", "desc"] as const)
    for (const [search, order, after] of [
      [{}, "when", null],
      [{}, "when", { key: "", position: 9_000 }],
      [{ what: "call" }, "when", { key: "", position: 12_000 }],
      [{ batch: "B-1" }, "when", null],
      [{ from: at(7_000) }, "when", null],
      [{ who: "nobody" }, "when", null],
      [{ what: "no such thing" }, "when", null],
      [{ why: "nobody ever wrote this" }, "when", null],
      [{ why: "NO_SUCH_CODE" }, "who", null],
      [{ why: "because 1990" }, "when", null],
      [{ why: "reason 1998" }, "why", null],
      [{ who: "person:ada" }, "when", null],
      [{ who: "scale-7", why: "because 1990" }, "when", null],
      [{ who: "person-3" }, "when", null],
      [{ what: "patience" }, "when", { key: "", position: 9_000 }],
      [{}, "who", null],
      [{}, "what", null],
      [{}, "who", { key: "person-3", position: 9_000 }],
      [{ what: "call" }, "what", null],
      [{ batch: "B-1" }, "who", null],
      [{ batch: "B-1", what: "a" }, "why", null],
      [{}, "why", null],
      [{}, "why", { key: "Accepted.", position: 9_000 }],
      [{}, "why", { key: "Reason 5", position: 5 }],
      [{}, "why", { key: "because 1990", position: 1_990 }],
    ] as const) {
      const read = await opened.db.transaction().execute(async (trx) => {
        const rowsRead = async (): Promise<number> => {
          const { rows } = await sql<{ read: number }>`
            select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::int as read from pg_stat_xact_user_tables where relname ~ '^(signals|verdicts|audit_entries)'`.execute(
            trx,
          );
          return rows[0]?.read ?? Number.NaN;
        };
        // so small a table Postgres may rather read whole, by the sample that its statistics are made of; what no index finds it reads whole all the same
        await sql`set local enable_seqscan = off`.execute(trx);
        const before = await rowsRead();
        await searchTrail(trx, { site: SITE, ...search }, order, direction, after, 101);
        return (await rowsRead()) - before;
      });
      expect([direction, order, JSON.stringify(search), read < N / 2 ? "few" : read]).toEqual([direction, order, JSON.stringify(search), "few"]);
    }
});
