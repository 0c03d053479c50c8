// Promise: an edit of any stored column that a verdict, fact, state or outcome rests on is found, and the finding names the table, the row and the column; what is not compared is named with
// its reason (src/verify/columns.ts).
// Attack: a rich record of a running service, signed; then, in a list that the database's own catalogue gives, each column of each table is changed in one row by a superuser past triggers
// and constraints; a row of each table is taken away, and one is added. And no alarm without a reason: while the service commits, after a restore, and where the log began later than the record.
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { recordRestore } from "../../../src/cli/restored.store.ts";
import { migrate } from "../../../src/db/migrate.store.ts";
import { shippedMigrations } from "../../../src/db/migrations.file.ts";
import { comparedOf, EXEMPT, keyOf, MAY_LACK_ROWS } from "../../../src/verify/columns.ts";
import type { Finding } from "../../../src/verify/finding.ts";
import { measured } from "../../support/measure.ts";
import { envelope, eventTopic, join as joinBroker, sourceOf } from "../../support/mqtt.ts";
import { inTablesOfTheirOwn, otherThan } from "../../support/other-value.ts";
import { startPlant } from "../../support/plant.ts";
import { freshDatabase, type TestDatabase } from "../../support/postgres.ts";
import { everythingElse } from "../../support/rich-record.ts";
import { type Copy, runVerify, SITE, type SignedRecord, signedRecord, type Verification } from "../../support/signed-record.ts";

interface Column {
  readonly table: string;
  readonly column: string;
  readonly type: string;
  readonly isKey: boolean;
}

/** Not any row: a source that was never heard has nothing under its key. */
const ROWS: Readonly<Record<string, string>> = { "sources.source_key": "epoch is not null" };
/** Which of the two is wrong, the site's head or the entries behind the last, nobody can tell: what is told is that they are not there. */
const TOLD_AS: Readonly<Record<string, string>> = { "sites.position": "audit_entries" };

/** Tables whose rows come of disposing of something, which takes a record of years: retention.test.ts does the same to them. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  ...["retention_rules", "legal_holds", "legal_hold_releases", "record_archives", "disposals", "disposed_verdicts", "disposed_leaves"],
]);

let record: SignedRecord;
let copy: Copy;
let columns: readonly Column[];

/**
 * So many columns are changed at once, each in a table of its own: one verification tells of them all, and what it does not tell of is changed alone. With COLUMNS_ALONE=1 every column is, and
 * has to be told first.
 */
const AT_ONCE = process.env["COLUMNS_ALONE"] === "1" ? 1 : 8;

/** Rows of these are compared only where what they come of is as it was signed: beside a change of other tables they are not told of. */
const PRESENT: ReadonlySet<string> = new Set([
  ...["audit_logs", "audit_reviews", "audit_review_conclusions", "restores", "shards", "signing_branches", "stations", "station_devices", "station_sessions"],
  ...["sources", "event_ids", "event_numbers", "waiting", "awaited", "deferrals", "deferral_waits", "quarantine", "exceptions"],
  ...["batches", "steps", "equipment", "context_locks", "streams"],
]);

function together(all: readonly Column[]): readonly (readonly Column[])[] {
  if (AT_ONCE === 1) return [];
  return [all.filter(({ table }) => PRESENT.has(table)), all.filter(({ table }) => !PRESENT.has(table))].flatMap((some) => inTablesOfTheirOwn(some, AT_ONCE));
}

const named = ({ table, column }: Pick<Column, "table" | "column">): string => `${table}.${column}`;
const verify = (...args: string[]): Promise<Verification> =>
  runVerify(["--site", SITE, "--key", record.vkey, "--anchors", record.mirror, ...args], { DATABASE_URL: copy.runtimeUrl });

/** Each verification decides all of a record again; so the tables that only a long one fills have a long one, and all others a short one. */
const LONG: ReadonlySet<string> = new Set(["audit_tiles"]);

describe.each([
  { name: "a record", calls: 20, has: (table: string) => !LONG.has(table) },
  { name: "a record whose log has filled a tile", calls: 300, has: (table: string) => LONG.has(table) },
])("$name", ({ calls, has }) => {
  beforeAll(async () => {
    record = await signedRecord(everythingElse, calls);
    copy = await record.copy();
    columns = (
      await copy.query(`
      select c.relname::text as table, a.attname::text as column, format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), null) as type,
        exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary and a.attnum = any (i.indkey)) as "isKey"
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped join pg_type t on t.oid = a.atttypid
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition order by 1, a.attnum`)
    ).flatMap((row) =>
      has(String(row["table"]))
        ? [{ table: String(row["table"]), column: String(row["column"]), type: String(row["type"]), isKey: row["isKey"] === true }]
        : [],
    );
  });
  afterAll(async () => {
    await record?.drop();
  });

  test("every column that the database has is compared, or exempt for a reason that is given", () => {
    const neither = columns.filter(({ table, column }) => !comparedOf(table).has(column) && EXEMPT[table]?.[column] === undefined);
    expect(neither.map(named), "say of each new column in src/verify/columns.ts whether it is compared").toEqual([]);
    const both = columns.filter(({ table, column }) => comparedOf(table).has(column) && EXEMPT[table]?.[column] !== undefined);
    expect(both.map(named)).toEqual([]);
    const known = new Set(columns.map(named));
    const gone = Object.entries(EXEMPT).flatMap(([table, reasons]) => Object.keys(reasons).map((column) => named({ table, column })));
    expect(gone.filter((one) => has(one.split(".")[0] ?? "") && !known.has(one))).toEqual([]);
  });

  describe("after a restore", () => {
    beforeAll(async () => {
      await recordRestore(
        copy.ownerUrl,
        { site: SITE, reason: "a drill", by: "it", generation: null },
        { headOf: async () => ({ log: 1, size: record.last, root: "" }), tell: async () => {} },
      );
    });

    test("is sound", async () => {
      const { exit, report } = await verify();
      expect(report.findings).toEqual([]);
      expect(exit).toBe(0);
      expect(report.notCovered).toEqual([]);
    });

    test("has rows in every table", async () => {
      // of what nothing is compared, no row is asked for
      for (const table of new Set(columns.map((one) => one.table).filter((name) => !ELSEWHERE.has(name) && comparedOf(name).size > 0)))
        expect(Number((await copy.query(`select count(*) as n from ${table}`))[0]?.["n"]), table).toBeGreaterThan(0);
    });

    describe("changed by its administrator", () => {
      let client: pg.Client;
      beforeAll(async () => {
        // whoever may change a row may take away what refuses the change
        await copy.query(`do $$ declare c record; begin
        for c in select conrelid::regclass as of, conname from pg_constraint
          where connamespace = 'public'::regnamespace and contype in ('c', 'x', 'f', 'u') and coninhcount = 0 and conrelid <> 0
        loop execute format('alter table %s drop constraint if exists %I cascade', c.of, c.conname); end loop;
        for c in select indexrelid::regclass as index from pg_index join pg_class on pg_class.oid = indexrelid
          where relnamespace = 'public'::regnamespace and indisunique and not indisprimary and not relispartition
        loop execute format('drop index %s', c.index); end loop;
        for c in select attrelid::regclass as of, attname from pg_attribute where attidentity <> '' and attrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace)
        loop execute format('alter table %s alter column %I drop identity', c.of, c.attname); end loop;
        end $$; create schema kept`);
        for (const table of new Set(columns.map((one) => one.table))) await copy.query(`create table kept.${table} as table public.${table}`);
        client = new pg.Client({ connectionString: copy.ownerUrl.replace("signalbox_owner", "postgres") });
        await client.connect();
        await client.query("set session_replication_role = replica");
      });
      afterAll(async () => {
        await client?.end();
      });
      const restore = (table: string): Promise<unknown> =>
        client.query(`begin; delete from ${table}; insert into ${table} select * from kept.${table}; commit`);

      test("in any one column, is altered, and the column is named", async () => {
        const only = process.env["COLUMNS"]?.split(",");
        const compared = columns.filter(
          ({ table, column }) =>
            comparedOf(table).has(column) &&
            !ELSEWHERE.has(table) &&
            named({ table, column }) !== "sites.site" &&
            (only === undefined || only.includes(named({ table, column }))),
        );
        const change = async (one: Column): Promise<void> => {
          const { table, column, type } = one;
          // a row that says something there, if there is one
          const changed = await client.query(
            `update ${table} set ${column} = ${otherThan(column, type)} where (tableoid, ctid) = (select tableoid, ctid from ${table} where ${ROWS[named(one)] ?? true} order by ${column} is null, md5(ctid::text) limit 1)`,
          );
          expect(changed.rowCount, named(one)).toBe(1);
        };
        const tells = (one: Column, exit: number, finding: Finding | null): boolean => {
          // whoever gives a row another key has taken one away, and added one
          const byKey = one.isKey || keyOf(one.table).has(one.column) || TOLD_AS[named(one)] !== undefined;
          return (exit === 1 || (exit === 3 && byKey)) && finding?.table === (TOLD_AS[named(one)] ?? one.table) && (finding.column === one.column || byKey);
        };
        const alone: Column[] = [];
        for (const some of together(compared)) {
          for (const one of some) await change(one);
          const { exit, report } = await verify();
          alone.push(...some.filter((one) => report?.findings.some((finding) => tells(one, exit, finding)) !== true));
          for (const { table } of some) await restore(table);
        }
        const unfound: string[] = [];
        for (const one of AT_ONCE > 1 ? alone : compared) {
          await change(one);
          const { exit, report } = await verify();
          const first = report?.first ?? null;
          if (!tells(one, exit, first)) unfound.push(`${named(one)}: ${exit} ${JSON.stringify(first)}`);
          await restore(one.table);
        }
        expect(unfound).toEqual([]);
        expect((await verify()).report.findings).toEqual([]);
        measured(
          has("audit_tiles") ? "columns.tiles" : "columns",
          `${compared.length} columns of ${new Set(compared.map((one) => one.table)).size} tables, each found`,
        );
      }, 600_000);

      test("by a row that is taken away, and by one that is added, is altered or incomplete, and the table is named", async () => {
        const tables = [...new Set(columns.map((one) => one.table))].filter((table) => comparedOf(table).size > 0 && !ELSEWHERE.has(table));
        const unfound: string[] = [];
        for (const table of tables.filter((name) => name !== "sites")) {
          const own = columns.filter((one) => one.table === table);
          const check = async (what: string, statement: string): Promise<void> => {
            expect((await client.query(statement)).rowCount, `${table}: ${what}`).toBe(1);
            const { exit, report } = await verify();
            if ((exit !== 1 && exit !== 3) || !report.findings.some((finding) => finding.table === table))
              unfound.push(`${table}, ${what}: ${exit} ${JSON.stringify(report?.first)}`);
            await restore(table);
          };
          const one = `(tableoid, ctid) = (select tableoid, ctid from ${table} order by md5(ctid::text) limit 1)`;
          if (MAY_LACK_ROWS[table] === undefined) await check("a row taken away", `delete from ${table} where ${one}`);
          // the same row once more, under another key: of the last column of the key that is not the site
          const key = own.filter(({ isKey, column }) => isKey && column !== "site").at(-1);
          const values = own.map(({ column, type }) => (column === key?.column ? otherThan(column, type) : column));
          await check("a row added", `insert into ${table} select ${values.join(", ")} from ${table} where ${one}`);
        }
        expect(unfound).toEqual([]);
      }, 600_000);
    });
  });
});

describe("no alarm without a reason", () => {
  /** Without a key nobody vouches for the checkpoints, and that alone is said. */
  const unsound = ({ report }: Verification) => report.findings.filter(({ severity }) => severity !== "unclear");

  test("while the service goes on committing: entries and rows are those of one moment", async () => {
    const plant = await startPlant({ broker: "embedded" });
    const party = await joinBroker(plant.mqttUrl, { protocol: 4 });
    const [scale, gate] = ["scale-1", "gate-1"].map((name) => sourceOf(SITE, "4", name));
    for (const name of ["scale-1", "gate-1"]) await plant.equipment(SITE, name, "4", name);
    await party.subscribe(`${String(scale).slice(1)}/verdict`);
    let over = false;
    const talking = (async () => {
      for (let n = 1; !over; n += 1) {
        const event = envelope(String(scale), 1, n, "call.raised", { call: `c-${n}` });
        await party.publish(eventTopic(String(scale)), event);
        // a gap that opens and closes again, over and over
        const swapped = n % 2 === 0 ? n - 1 : n + 1;
        await party.publish(eventTopic(String(gate)), envelope(String(gate), 1, swapped, "call.raised", { call: `c-${n}` }));
        await party.until("its verdict", ({ topic, body }) => topic.endsWith("/verdict") && body.causationid === event["id"]);
      }
    })();
    const reached: number[] = [];
    try {
      for (let times = 0; times < 4; times += 1) {
        const verification = await runVerify(["--site", SITE], { DATABASE_URL: plant.database.runtimeUrl });
        expect(verification.err).toBe("");
        expect(unsound(verification)).toEqual([]);
        expect(verification.report.notCovered.join()).not.toContain("replay");
        reached.push(verification.report.positions.to);
      }
    } finally {
      over = true;
      await talking;
      await party.end();
      await plant.stop();
    }
    expect(new Set(reached).size).toBeGreaterThan(2);
  });

  describe("where the log began later than the record", () => {
    let database: TestDatabase;
    const earlier = mkdtempSync(join(tmpdir(), "signalbox-migrations-"));
    beforeAll(async () => {
      database = await freshDatabase({ migrated: false });
      for (const file of readdirSync(shippedMigrations).filter((name) => name.endsWith(".sql") && Number(name.slice(0, 4)) <= 7))
        copyFileSync(join(shippedMigrations, file), join(earlier, file));
      await migrate(database.ownerUrl, { directory: earlier });
      await database.query(gunzipSync(readFileSync(new URL("../../data/upgrade/issue-1.sql.gz", import.meta.url))).toString("utf8"));
      await migrate(database.ownerUrl);
    });
    afterAll(async () => {
      await database?.drop();
      rmSync(earlier, { recursive: true, force: true });
    });
    const verifyIt = (): Promise<Verification> => runVerify([], { DATABASE_URL: database.runtimeUrl });

    test("what is decided again stands as it is stored, and what cannot be told is said", async () => {
      const verification = await verifyIt();
      expect(unsound(verification)).toEqual([]);
      expect(verification.report.entries).toBe(0);
      const said = verification.report.notCovered.join("\n");
      for (const what of ["from before the log began", "registered before the log began", "under which keys"]) expect(said).toContain(what);
    });

    test("and a row that is changed is named all the same", async () => {
      await database.query("set session_replication_role = replica; update batches set line = 'other' where batch = 'B-7'");
      expect((await verifyIt()).report.first).toMatchObject({ severity: "altered", table: "batches", column: "line", key: { batch: "B-7" } });
    });
  });
});
