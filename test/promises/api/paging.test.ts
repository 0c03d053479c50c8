// Found by writing the signer's reads: `select position::text as position … order by position` sorts the text, so exceptions at positions 99 and 100 came as 100, 99, and a page that
// ended with 100 was followed by none: 99 was never listed. The facts of several positions came in the same false order.
import { afterAll, beforeAll, expect, test } from "vitest";
import { listExceptions, listVerdicts, readFacts } from "../../../src/api/reads.store.ts";
import { openDatabase } from "../../../src/db/database.ts";
import { freshDatabase } from "../../support/postgres.ts";

/** Of each the positions that it has; the second has none. */
const SITES = { "site-1": [1, 2, 3], "site-2": [], "site-3": [1, 2], "site-4": [7] };
const POSITIONS = [8, 9, 10, 11, 99, 100, 101, 1_000];
let database: Awaited<ReturnType<typeof freshDatabase>>;
let opened: ReturnType<typeof openDatabase>;

beforeAll(async () => {
  database = await freshDatabase();
  opened = openDatabase(database.runtimeUrl, { max: 2, applicationName: "signalbox paging" });
  // what is paged stands alone here, past all that it would otherwise belong to
  for (const table of ["exceptions", "facts"])
    for (const position of POSITIONS)
      await database.query(
        table === "exceptions"
          ? `insert into exceptions (site, position, ordinal, code, reason, opened_at) values ('rtm1', ${position}, 0, 'PAR_OOS', 'too much', now())`
          : `set session_replication_role = replica; insert into facts (opened_on, site, position, ordinal, kind, data, recorded_at) values ('2000-01-01', 'rtm1', ${position}, 0, 'resolved', '{}', now())`,
      );
  for (const [site, positions] of Object.entries(SITES)) {
    await database.query(`insert into sites (site, position) values ('${site}', 10)`);
    for (const position of positions)
      await database.query(`set session_replication_role = replica; insert into verdicts (site, position, generation, shard, event_position, round, status, final, code, reason, next, ahead, flags, facts, recorded_at)
        values ('${site}', ${position}, 1, '${site}', ${position}, 1, 'rejected', true, 'ENV_NOT_JSON', 'No JSON.', 'correct', false, '{}', 0, now())`);
  }
});
afterAll(async () => {
  await opened?.close();
  await database?.drop();
});

test("page by page every exception is listed once, in the order of positions", async () => {
  for (const limit of [1, 2, 3, 5]) {
    const listed: number[] = [];
    for (let after: { site: string; position: number; ordinal: number } | null = null; ; ) {
      const page = await listExceptions(opened.db, { site: "rtm1" }, after, limit);
      listed.push(...page.map(({ position }) => position));
      const last = page.at(-1);
      if (last === undefined) break;
      after = last;
    }
    expect(listed, `${limit} a page`).toEqual(POSITIONS);
  }
});

test("the facts of several positions come in the order of positions", async () => {
  expect((await readFacts(opened.db, "rtm1", POSITIONS)).map(({ position }) => position)).toEqual(POSITIONS);
});

// A list that began again at the first site passed every test.
test("page by page the events of all sites are listed once, each site's after another's", async () => {
  const all = Object.entries(SITES).flatMap(([site, positions]) => positions.map((position) => `${site} ${position}`));
  for (const filter of [{}, { code: "ENV_NOT_JSON" }])
    for (let limit = 1; limit <= all.length + 1; limit += 1) {
      const listed: string[] = [];
      for (let after: { site: string; position: number } | null = null; listed.length <= all.length; ) {
        const page = await listVerdicts(opened.db, filter, after, limit);
        listed.push(...page.map(({ site, position }) => `${site} ${position}`));
        const last = page.at(-1);
        if (last === undefined) break;
        after = last;
      }
      expect(listed, `${limit} a page`).toEqual(all);
    }
  expect(await listVerdicts(opened.db, { site: "site-3" }, { site: "site-1", position: 3 }, 10)).toHaveLength(2);
  expect(await listVerdicts(opened.db, { site: "site-1" }, { site: "site-3", position: 1 }, 10)).toEqual([]);
});
