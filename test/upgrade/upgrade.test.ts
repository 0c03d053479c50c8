// Promise: an upgrade keeps the record as it is, judges it as it was judged, and goes on where the version before has stopped.
// Attack: databases filled by the last commit of every earlier issue (fill.mjs), brought to this version by the real `migrate`; their record is judged again signal by signal and
// held against every verdict, fact and outcome that is stored; then their devices go on: next numbers, old events again, missing numbers, a batch in the middle of its steps.
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { migrate } from "../../src/db/migrate.store.ts";
import { shippedMigrations } from "../../src/db/migrations.file.ts";
import { measured } from "../support/measure.ts";
import { envelope, eventTopic, join as joinBroker, type Party, type Seen, sourceOf } from "../support/mqtt.ts";
import { type Plant, startPlant } from "../support/plant.ts";
import { freshDatabase, type TestDatabase } from "../support/postgres.ts";
import { verifyDatabase } from "../support/replay.ts";

const SITE = "upgrade";
const data = fileURLToPath(new URL("../data/upgrade/", import.meta.url));

/** By issue: how many migrations its last commit had. */
const MIGRATIONS: Readonly<Record<string, number>> = { "issue-1": 7 };
const filled = readdirSync(data)
  .filter((name) => name.endsWith(".sql.gz"))
  .map((name) => name.replace(".sql.gz", ""))
  .sort();

test("every earlier issue has its database here", () => {
  expect(filled).toEqual(Object.keys(MIGRATIONS).sort());
});

describe.each(filled)("a database filled by the last commit of %s", (name) => {
  let database: TestDatabase;
  let plant: Plant | null = null;
  let party: Party;
  const earlier = mkdtempSync(join(tmpdir(), "signalbox-migrations-"));
  let counted: Record<string, number>;

  async function counts(): Promise<Record<string, number>> {
    const tables = await database.query(
      `select relname::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
       and relname <> 'migrations' order by 1`,
    );
    const found: Record<string, number> = {};
    for (const { name: table } of tables) found[String(table)] = Number((await database.query(`select count(*)::int as n from "${table}"`))[0]?.["n"]);
    return found;
  }

  beforeAll(async () => {
    database = await freshDatabase({ migrated: false });
    for (const file of readdirSync(shippedMigrations).filter((one) => one.endsWith(".sql") && Number(one.slice(0, 4)) <= (MIGRATIONS[name] ?? 0)))
      copyFileSync(join(shippedMigrations, file), join(earlier, file));
    await migrate(database.ownerUrl, { directory: earlier });
    await database.query(gunzipSync(readFileSync(join(data, `${name}.sql.gz`))).toString("utf8"));
    counted = await counts();
  });
  afterAll(async () => {
    await party?.end();
    await plant?.stop();
    await database?.drop();
    rmSync(earlier, { recursive: true, force: true });
  });

  test("is brought to this version, and keeps every row", async () => {
    const { already } = await migrate(database.ownerUrl);
    expect(already).toBe(MIGRATIONS[name]);
    expect(await counts()).toMatchObject(counted);
    expect(counted["verdicts"]).toBeGreaterThan(300);
    expect((await migrate(database.ownerUrl)).applied).toEqual([]);
  });

  test("is judged again without a difference", async () => {
    const [verified] = await verifyDatabase(database.runtimeUrl);
    expect(verified?.findings).toEqual([]);
    const site = verified?.replayed;
    expect(site).toMatchObject({
      different: 0,
      stopped: null,
      site: SITE,
      signals: counted["signals"],
      verdicts: counted["verdicts"],
      facts: counted["facts"],
      outcomes: counted["outcomes"],
    });
    measured(
      "upgrade",
      `${name}: ${site?.signals} signals in ${site?.commits} commits, ${site?.verdicts} verdicts, ${site?.facts} facts, ${site?.outcomes} outcomes judged again, 0 differences`,
    );
  });

  describe("goes on:", () => {
    const verdictOn = (source: string, id: string, fits: (seen: Seen) => boolean = () => true): Promise<Seen> =>
      party.until(
        `a verdict on ${id}`,
        (seen) => seen.topic.endsWith("/verdict") && seen.body.data.event.source === source && seen.body.data.event.id === id && fits(seen),
      );
    const isNow =
      (status: string) =>
      ({ body }: Seen): boolean =>
        body.data.status === status;
    async function send(
      equipment: string,
      sequence: number,
      type: string,
      content: Readonly<Record<string, unknown>> = {},
      more: Readonly<Record<string, unknown>> = {},
    ) {
      const source = sourceOf(SITE, equipment.startsWith("gate") || equipment.startsWith("tower") ? "5" : "4", equipment);
      const event = envelope(source, 1, sequence, type, content, more);
      await party.publish(eventTopic(source), event);
      return { source, id: String(event["id"]) };
    }
    async function accepted(...event: Parameters<typeof send>): Promise<void> {
      const { source, id } = await send(...event);
      expect((await verdictOn(source, id, ({ body }) => body.data.status !== "deferred")).body.data).toMatchObject({ status: "accepted" });
    }
    const through = async (equipment: string): Promise<number> => {
      const rows = await database.query(`select through::int as n from sources where site = '${SITE}' and equipment = '${equipment}' and device is null`);
      return Number(rows[0]?.["n"]);
    };

    beforeAll(async () => {
      plant = await startPlant({ broker: "embedded", database });
      party = await joinBroker(plant.mqttUrl, { protocol: 4 });
      await party.subscribe(
        `site/${SITE}/line/+/eq/+/verdict`,
        `site/${SITE}/line/+/eq/+/outcome`,
        `site/${SITE}/line/+/batch/+/outcome`,
        `site/${SITE}/line/+/eq/+/cursor`,
      );
    });

    test("the next number of a source is accepted, and an old event is a duplicate", async () => {
      const tower = await through("tower-3");
      await accepted("tower-3", tower + 1, "call.raised", { call: "after-the-upgrade" });
      const [old] = await database.query(
        `select convert_from(s.raw, 'UTF8') as raw, s.event_id, v.status from signals s join verdicts v using (site, position)
         where s.site = '${SITE}' and s.source = '${sourceOf(SITE, "5", "tower-3")}' and v.status = 'accepted' order by position limit 1`,
      );
      await party.publish(eventTopic(sourceOf(SITE, "5", "tower-3")), String(old?.["raw"]));
      expect((await verdictOn(sourceOf(SITE, "5", "tower-3"), String(old?.["event_id"]))).body.data).toMatchObject({
        status: "duplicate",
        first: { status: "accepted" },
      });
      expect(await through("tower-3")).toBe(tower + 1);
    });

    test("an open gap is still asked for, and filled", async () => {
      const gate = sourceOf(SITE, "5", "gate-7");
      const { body } = await party.until("the cursor of gate-7", ({ topic }) => topic === `${gate.slice(1)}/cursor`);
      expect(body.data).toMatchObject({ through: "1", missing: [{ epoch: "1", from: "2", to: "2" }] });
      await accepted("gate-7", 2, "call.raised", { call: "help" });
      for (const id of ["gate-7-1-3", "gate-7-1-4"]) expect((await verdictOn(gate, id, isNow("accepted"))).body.data.round).toBe(2);
    });

    test("an event deferred before the upgrade is decided when its evidence comes, and what waits behind it after that", async () => {
      const press = await through("press-1");
      const open = await database.query(
        `select v.source, v.event_id from deferrals d join verdicts v on v.site = d.site and v.position = d.position where d.site = '${SITE}' and d.batch = 'B-8' order by d.position`,
      );
      expect(open).toHaveLength(2);
      await accepted("press-1", press + 1, "step.evidence", { evidence: "force", value: "15.0", unit: "kN" }, { batchid: "B-8", stepid: "press" });
      for (const { source, event_id: id } of open) expect((await verdictOn(String(source), String(id), isNow("accepted"))).body.data.round).toBe(2);
    });

    test("a batch in the middle of its steps is completed", async () => {
      const mixer = await through("mixer-1");
      const context = { batchid: "B-7", stepid: "blend" };
      await accepted("mixer-1", mixer + 1, "step.evidence", { evidence: "end-temperature", value: "24.5", unit: "Cel" }, context);
      await accepted("mixer-1", mixer + 2, "step.complete", {}, context);
      expect((await plant?.ask("GET", `/v1/sites/${SITE}/batches/B-7`))?.body).toMatchObject({ execution: "complete" });
    });

    test("outcomes go on without a hole, and the record of both versions is judged again without a difference", async () => {
      const holes = await database.query(
        `select stream, count(*)::int as n, max(sequence)::int as last from outcomes where site = '${SITE}' group by stream having count(*) <> max(sequence)`,
      );
      expect(holes).toEqual([]);
      const before = new Map<string, number>();
      for (const { topic, body } of party.seen.filter((seen) => seen.topic.endsWith("/outcome"))) {
        const last = before.get(topic);
        if (last !== undefined) expect(Number(body.sequence), topic).toBe(last + 1);
        before.set(topic, Number(body.sequence));
      }
      const [verified] = await verifyDatabase(database.runtimeUrl);
      expect(verified?.findings).toEqual([]);
      expect(verified?.replayed).toMatchObject({ different: 0, stopped: null });
      expect(verified?.replayed.signals).toBeGreaterThan(counted["signals"] ?? 0);
    });
  });
});
