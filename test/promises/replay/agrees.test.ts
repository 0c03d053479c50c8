// Promise: replaying the record reproduces every verdict (promise 9), from the audit entries and the bytes of the deliveries alone, byte for byte.
// Attack: days with everything in them are committed by the database's own function under a clock that is set, and decided again from what is stored; then one byte of an entry, of a
// delivery, of a definition is changed, and replay must name exactly that position and say what differs.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDatabase } from "../../../src/db/database.ts";
import { recipeSchema } from "../../../src/registry/recipe.ts";
import type { Candidates } from "../../../src/replay/candidate.ts";
import { inSnapshot, recordedSite } from "../../../src/replay/recorded.store.ts";
import { type Replayed, replaySite } from "../../../src/replay/run.ts";
import { BLEND } from "../../support/blend.ts";
import { DAYS } from "../../support/days.ts";
import { Line, orders, PLANT, scale, signedBy, stepCommand, weighing } from "../../support/given.ts";
import { type LongRecord, RECIPE, TIGHTENED, writeLongRecord } from "../../support/long-record.ts";
import { measured, SEED, seeded } from "../../support/measure.ts";
import { MAX_BYTES } from "../../support/model.ts";
import { freshDatabase, type TestDatabase } from "../../support/postgres.ts";
import { runVerify } from "../../support/signed-record.ts";
import { writeRecord } from "../../support/written-record.ts";

async function replayed(database: TestDatabase, site: string, candidates: Candidates | null = null): Promise<Replayed> {
  const { db, close } = openDatabase(database.runtimeUrl, { max: 1, applicationName: "test replay" });
  try {
    const reading = { prefix: "", maxBytes: MAX_BYTES };
    return await inSnapshot(db, async (trx) => (await replaySite(await recordedSite(trx, site), reading, candidates)).replayed);
  } finally {
    await close();
  }
}

test("under a candidate that gives a step more equipment lists where it begins, and nothing that it did with what it had then", async () => {
  // story: since equipment can be taken over, whatever such a step went on to do was told to be refused, for what it never took
  const fresh = await freshDatabase();
  try {
    const writer = await writeRecord(fresh, PLANT);
    const line = new Line(writer.model);
    const takes = orders({ kind: "lock.takeover", equipment: "scale-1", token: 1, reason: "needed" }, signedBy());
    line.when(weighing(), takes, scale.weighs("12.500"), stepCommand("resume", "weigh"), scale.weighs("12.510"), scale.completes("weigh"));
    await writer.flush();
    await writer.close();
    const [weigh, stir] = BLEND.steps;
    const more = recipeSchema.parse({ ...BLEND, steps: [{ ...weigh, equipment: [...weigh.equipment, ...stir.equipment] }, stir] });
    const { changed, differences } = await replayed(fresh, PLANT.site, { recipes: [more], machines: [] });
    expect(differences).toEqual([]);
    expect((changed ?? []).map(({ event, candidate }) => [event?.id, candidate?.facts])).toEqual([
      ["scale-1-7-1", ["scale-1 taken", "mixer-1 taken", "step weigh in_progress"]],
    ]);
  } finally {
    await fresh.drop();
  }
});

// a day on which a guard falls over cannot come out again where it stands
describe.each(DAYS.filter(({ plant }) => plant.machines === undefined))("the day $name", ({ plant, acts }) => {
  let database: TestDatabase;
  afterAll(async () => {
    await database?.drop();
  });

  test("is decided again byte for byte", async () => {
    database = await freshDatabase();
    const writer = await writeRecord(database, plant);
    const line = new Line(writer.model);
    for (const act of acts) {
      if (typeof act === "number") line.after(act);
      else if (typeof act === "function") line.when(act);
      else line.together(...act);
      await writer.flush();
    }
    await writer.close();
    const { differences, ...told } = await replayed(database, plant.site);
    expect(differences).toEqual([]);
    expect(told).toMatchObject({ position: writer.model.position, entries: writer.model.position, beforeLog: 0, stopped: null, different: 0 });
    expect(told.verdicts).toBe(writer.model.verdicts.length);
  });

  test("stands in the database as it comes out again", async () => {
    const { report } = await runVerify(["--site", plant.site], { DATABASE_URL: database.runtimeUrl });
    // nobody has signed it
    expect(report.findings.filter(({ severity }) => severity !== "unclear")).toEqual([]);
    expect(report.notCovered.join()).not.toContain("present rows");
  });
});

const SIGNALS = Number(process.env["SIGNALBOX_REPLAY_SIGNALS"] ?? 2_000);

describe(`a record of ${SIGNALS} signals (seed ${SEED})`, () => {
  let database: TestDatabase;
  let record: LongRecord;
  beforeAll(async () => {
    database = await freshDatabase();
    record = await writeLongRecord(database, SIGNALS, { seed: SEED });
  });
  afterAll(async () => {
    await database?.drop();
  });
  const again = (candidates: Candidates | null = null): Promise<Replayed> => replayed(database, record.site, candidates);
  const change = (table: "audit_entries" | "signals", column: "entry" | "raw", position: number, bytes: Buffer): Promise<unknown> =>
    database.query(
      `set session_replication_role = replica; update ${table} set ${column} = '\\x${bytes.toString("hex")}' where site = '${record.site}' and position = ${position}`,
    );

  test("is decided again byte for byte", async () => {
    const began = performance.now();
    const { different, stopped, entries, position, signals } = await again();
    expect({ different, stopped, entries }).toEqual({ different: 0, stopped: null, entries: position });
    expect(signals).toBeGreaterThanOrEqual(SIGNALS);
    measured(
      "replay.agrees",
      `${signals} signals, ${entries} entries, ${different} differences, ${Math.round(entries / ((performance.now() - began) / 1_000))} entries a second`,
    );
  });

  test("under a candidate with one limit tightened lists the decisions that this affects, and no other", async () => {
    const { changed, different } = await again({ recipes: [recipeSchema.parse(TIGHTENED)], machines: [] });
    expect(different).toBe(0);
    // nothing else is bound to the limit
    expect((changed ?? []).map(({ event }) => event?.id).sort()).toEqual([...record.tightened].sort());
    for (const { recorded, candidate } of changed ?? []) {
      expect(recorded?.facts).toContain("evidence net-weight within its limits");
      expect(candidate?.facts).not.toContain("evidence net-weight within its limits");
    }
    measured("replay.candidate", `${changed?.length} decisions change, ${record.tightened.length} are affected by the limit`);
  });

  test("under a candidate that is the pinned revision changes nothing", async () => {
    expect((await again({ recipes: [recipeSchema.parse(RECIPE)], machines: [] })).changed).toEqual([]);
  });

  // What an entry said of its signal under another name, or of a command that there is not, made reading it or deciding it throw, and the first position of its commit was named in its stead.
  // Likewise a command that could be read, and made the judge throw or brought about what the database would refuse.
  test.each([
    ['"content_type"', '"content_typf"'],
    ['"kind":"batch.create"', '"kind":"batch.creatd"'],
    ['"received_at"', '"receiwed_at"'],
    ['"unit":"kg"},"equipment":{"scale"', '"unit":"kg"},"dquipment":{"scale"'],
    ['"kind":"batch.create","batch"', '"kind":"batch.create","batcj"'],
  ])("names an entry with %s as %s, wherever it stands in its commit", async (said, altered) => {
    const [row] = await database.query(`select position::int as position, entry from audit_entries where site = '${record.site}'
      and convert_from(entry, 'UTF8') like '%${said}%' and (convert_from(entry, 'UTF8')::text ~ '"base":\\d+')
      and position > 1 + substring(convert_from(entry, 'UTF8') from '"base":(\\d+)')::bigint order by position limit 1`);
    const [position, bytes] = [Number(row?.["position"]), row?.["entry"]];
    if (!Buffer.isBuffer(bytes)) throw new Error("no event stands behind the first of its commit");
    await change("audit_entries", "entry", position, Buffer.from(bytes.toString("latin1").replace(said, altered), "latin1"));
    const { differences, stopped } = await again();
    expect([...differences.map(({ position: where }) => where), stopped]).toContain(position);
    await change("audit_entries", "entry", position, bytes);
  });

  // What names a source first was taken as its key, and only the next entry that names it was found to differ.
  test("names the entry in which a source is first heard, when that names another key", async () => {
    const [row] = await database.query(`select min(position)::int as position, count(*)::int as heard from signals g
      where site = '${record.site}' and source_key is not null group by source_key order by 1 desc limit 1`);
    expect(row?.["heard"]).toBeGreaterThan(1);
    const position = Number(row?.["position"]);
    const [{ entry: bytes } = {}] = await database.query(`select entry from audit_entries where site = '${record.site}' and position = ${position}`);
    if (!Buffer.isBuffer(bytes)) throw new Error(`position ${position} has no entry`);
    await change("audit_entries", "entry", position, Buffer.from(bytes.toString("latin1").replace(/"source_key":"(\d+)"/, '"source_key":"9$1"'), "latin1"));
    expect((await again()).differences.map(({ position: where }) => where)).toContain(position);
    await change("audit_entries", "entry", position, bytes);
  });

  // How a delivery came and when, who commands and why, is what deciding again is told, so one that came a microsecond later is decided no otherwise: that it was altered is for the tree to find
  // (audit/columns.test.ts). What an act says is all told.
  const TOLD = /"(?:received_at|actor|reason|asked|protocol|qos|retained|content_type|response_topic|raw_length)":(?:"[^"]*"|[a-z0-9]+)/g;
  const behindWhatIsTold = (bytes: Buffer, at: number): number => {
    const told = [...bytes.toString("latin1").matchAll(TOLD)].find(({ index, 0: all }) => index <= at && at < index + all.length);
    return told === undefined ? at : told.index + told[0].length;
  };

  test("names the position at which one byte of an entry, or of a delivery, was changed", async () => {
    const random = seeded(SEED);
    const [{ n: head = 0 } = {}] = await database.query(`select position::int as n from sites where site = '${record.site}'`);
    for (let tries = 0; tries < 5; tries += 1) {
      const position = Math.ceil(Number(head) * (0.1 + 0.8 * random()));
      for (const [table, column] of [
        ["audit_entries", "entry"],
        ["signals", "raw"],
      ] as const) {
        const [row] = await database.query(
          `select t.${column} as bytes from ${table} t join signals g using (site, position) where site = '${record.site}' and position = ${position} and t.${column} is not null and g.kind <> 'act'`,
        );
        const bytes = row?.["bytes"];
        if (!Buffer.isBuffer(bytes)) continue;
        const drawn =
          column === "raw" ? Math.floor(random() * bytes.length) : bytes.indexOf("\n") + 2 + Math.floor(random() * (bytes.length - bytes.indexOf("\n") - 3));
        const at = column === "raw" ? drawn : behindWhatIsTold(bytes, drawn);
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] ?? 0) ^ 1;
        await change(table, column, position, flipped);
        const { differences, stopped } = await again();
        const places = [...differences.map(({ position: where }) => where), ...(stopped === null ? [] : [Number(/position (\d+)/.exec(stopped)?.[1])])];
        expect(places, `${table} at ${position}, byte ${at}, seed ${SEED}: ${JSON.stringify(differences[0])} ${stopped}`).toContain(position);
        await change(table, column, position, bytes);
      }
    }
    expect((await again()).different).toBe(0);
  });
});
