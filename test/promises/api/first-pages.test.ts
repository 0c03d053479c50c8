// Promise: the first page of a list costs what is on it, however much is stored, whatever it is asked by, and also where nothing is found.
// Attack: a record of 20,000 events at two sites, most of them alike, read by whoever may see what the policies of the database show them; asked by each mark alone and by two, by what is frequent, rare
// and nowhere; the rows that Postgres reads are counted. Found by it: the policies made Postgres take every row for rare, and sort all that there was.
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readCauses } from "../../../src/api/batch-record.store.ts";
import { type EventFilter, listExceptions, listVerdicts, readOutcomesAfter } from "../../../src/api/reads.store.ts";
import { asking } from "../../../src/db/asking.ts";
import { type Db, openDatabase } from "../../../src/db/database.ts";
import { freshDatabase, type TestDatabase } from "../../support/postgres.ts";

const [SITE, N, LIMIT, FEW] = ["site-1", 20_000, 101, 8_000];
const at = (position: number): string => new Date(Date.parse("2026-11-25T08:00:00Z") + position * 1_000).toISOString();
let database: TestDatabase;
let opened: ReturnType<typeof openDatabase>;

beforeAll(async () => {
  database = await freshDatabase();
  for (const site of [SITE, "site-2"])
    await database.query(`set session_replication_role = replica;
      insert into sites (site, position) values ('${site}', ${N}); insert into shards (shard, site) values ('${site}', '${site}');
      insert into streams (site, stream, line, opened_on, shard) values ('${site}', 'equipment/scale-1', '1', '2000-01-01', '${site}');
      create temporary table told as select n, timestamptz '2026-11-25T08:00:00Z' + n * interval '1 second' as at, n % 20 as unit from generate_series(1, ${N}) n;
      insert into signals (site, position, generation, shard, kind, source, type, event_id, topic, received_at, recorded_at)
        select '${site}', n, 1, '${site}', 'event', '/site/${site}/line/' || unit % 4 || '/eq/scale-' || unit, 'signalbox.step.evidence.v1', 'e-' || n, 't', at, at from told;
      insert into verdicts (site, position, generation, shard, event_position, round, status, final, code, reason, next, source, event_id, type, epoch, sequence, line, equipment, batch, step,
          context_from, ahead, flags, facts, recorded_at)
        select '${site}', n, 1, '${site}', n, 1, case when n % 50 = 0 then 'rejected' else 'accepted' end, true, case when n % 50 = 0 then 'STA_TERMINAL' end,
          case when n % 50 = 0 then 'Step ' || n || ' is complete.' else 'Accepted.' end, 'none', '/site/${site}/line/' || unit % 4 || '/eq/scale-' || unit, 'e-' || n,
          case when n % 10 = 0 then 'signalbox.step.complete.v1' else 'signalbox.step.evidence.v1' end, 7, n / 20, (unit % 4)::text, 'scale-' || unit, 'B-' || n / 200, 'step-' || unit % 4, 'claim', false, '{}',
          case when n % 50 = 0 then 0 else 1 end, at from told;
      insert into outcomes (opened_on, site, shard, stream, sequence, position, ordinal, generation, type, event_time, causation, data, recorded_at)
        select '2000-01-01', '${site}', '${site}', 'equipment/scale-1', n, n, 0, 1, 'alarm.raised', null, 'e-' || n, '{}', at from told;
      insert into exceptions (site, position, ordinal, event_position, code, reason, batch, opened_at, resolved_at, resolved_position)
        select '${site}', n, 0, n, 'STA_TERMINAL', 'Step ' || n || ' is complete.', 'B-' || n / 200, at, case when n % 1000 <> 0 then at end, case when n % 1000 <> 0 then n end from told`);
  await database.query("vacuum (analyze)");
  opened = openDatabase(database.runtimeUrl, { max: 2, applicationName: "signalbox test", forOthers: true });
});
afterAll(async () => {
  await opened?.close();
  await database?.drop();
});

/** How many rows are read for a page, and how many are on it. */
const rowsOf = (page: (db: Db) => Promise<{ readonly length: number }>): Promise<{ readonly read: number; readonly found: number }> =>
  asking.run({ sites: "all" }, () =>
    opened.db.transaction().execute(async (trx) => {
      const read = async (): Promise<number> =>
        (
          await sql<{ read: number }>`select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::int as read from pg_stat_xact_user_tables
            where relname ~ '^(signals|verdicts|outcomes)_|^exceptions$'`.execute(trx)
        ).rows[0]?.read ?? Number.NaN;
      const before = await read();
      const { length: found } = await page(trx);
      return { read: (await read()) - before, found };
    }),
  );

const day = { from: at(0), to: at(N) };
const MARKS: readonly EventFilter[] = [
  {},
  { latest: true },
  ...["accepted", "rejected", "observed"].map((status) => ({ status })),
  ...["STA_TERMINAL", "ENV_NOT_JSON"].map((code) => ({ code })),
  ...["3", "nowhere"].map((line) => ({ line })),
  ...["scale-3", "nowhere"].map((equipment) => ({ equipment })),
  ...["B-50", "B-nowhere"].map((batch) => ({ batch })),
  ...["step-3", "nowhere"].map((step) => ({ step })),
  ...[`/site/${SITE}/line/3/eq/scale-3`, "nowhere"].map((source) => ({ source })),
  ...["e-17000", "nowhere"].map((id) => ({ id })),
  ...["7", "99"].map((epoch) => ({ epoch })),
  ...["700", "999999999999"].map((sequence) => ({ sequence })),
  ...["signalbox.step.evidence.v1", "signalbox.step.complete.v1", "nothing"].map((type) => ({ type })),
  { correlation: "nothing" },
];

test("a page of events reads little more than what is on it, by whatever mark it is asked for", async () => {
  const much: string[] = [];
  for (const mark of MARKS)
    for (const more of [{}, { site: SITE }, day, { from: at(N - 3_000) }, { from: at(9_000), to: at(15_000), latest: true }]) {
      const filter = { ...more, ...mark };
      const { read } = await rowsOf((db) => listVerdicts(db, filter, null, LIMIT));
      if (read > FEW) much.push(`${JSON.stringify(filter)}: ${read}`);
    }
  expect(much).toEqual([]);
});

test("so does one by two marks", async () => {
  const much: string[] = [];
  for (const [n, one] of MARKS.entries())
    for (const other of MARKS.slice(n + 1)) {
      const filter = { ...one, ...other, ...day };
      const { read } = await rowsOf((db) => listVerdicts(db, filter, null, LIMIT));
      if (read > FEW) much.push(`${JSON.stringify(filter)}: ${read}`);
    }
  expect(much).toEqual([]);
});

test("so does one of exceptions, of those that are open, of a batch, also of one that has none", async () => {
  const one = { id: `${SITE}.17000.0` };
  for (const [filter, found] of [
    [{}, LIMIT],
    [{ site: SITE }, LIMIT],
    [{ open: true }, 2 * (N / 1_000)],
    [{ open: false }, LIMIT],
    [{ batch: "B-50" }, LIMIT],
    [{ batch: "B-50", open: true }, 2],
    [{ batch: "B-50", site: SITE, open: false }, LIMIT],
    [{ batch: "B-nowhere" }, 0],
    [one, 1],
  ] as const) {
    const page = await rowsOf((db) => listExceptions(db, filter, null, LIMIT));
    expect([JSON.stringify(filter), page.found, page.read < FEW ? "few" : page.read]).toEqual([JSON.stringify(filter), found, "few"]);
  }
});

test("so do a page of outcomes, and the causes of what a batch's record tells of", async () => {
  for (const after of [0, N / 2])
    expect(await rowsOf((db) => readOutcomesAfter(db, SITE, null, after, LIMIT))).toMatchObject({ found: LIMIT, read: expect.toSatisfy((read) => read < FEW) });
  const positions = Array.from({ length: 200 }, (_, n) => 1 + n * 100);
  for (const decided of [false, true]) {
    const { read, found } = await rowsOf(async (db) => [...(await readCauses(db, SITE, positions, decided))]);
    expect([found, read < FEW ? "few" : read]).toEqual([positions.length, "few"]);
  }
});
