// Promise: what is due is disposed of only as a whole, archived, verified, signed and on record; whatever is held, open, young or unproven stays; afterwards everything goes on, and nobody can
// make entries vanish by pretending that they were disposed of.
// Attack: the life of a record of years, with a service that goes on; then, on copies of it, a disposal without archive, under hold, too early, with something open, with a manipulated archive, by
// the runtime role, behind the procedure's back; a forged disposal with and without entries that tell of it; and a signer that has lost everything but its mirror.
import { createHash } from "node:crypto";
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openCheckpoint } from "../../../src/audit/checkpoint.ts";
import { parseVerifierKey } from "../../../src/audit/note-key.ts";
import { refuseInclusion } from "../../../src/audit/verify-proof.ts";
import { inWords } from "../../../src/cli/failure.ts";
import { parse } from "../../../src/cli/parse.ts";
import { retentionArchive } from "../../../src/cli/retention-archive.ts";
import { retentionDispose } from "../../../src/cli/retention-dispose.ts";
import { retentionHold, retentionKeep, retentionRelease } from "../../../src/cli/retention-hold.ts";
import { retentionList } from "../../../src/cli/retention-list.ts";
import { ownTime, type Time } from "../../../src/ops/time.ts";
import { comparedOf } from "../../../src/verify/columns.ts";
import { type AgedCopy, type AgedRecord, agedRecord, LIMIT, NEXT, reach, SITE, signing } from "../../support/aged-record.ts";
import { join as joinBroker, type Party } from "../../support/mqtt.ts";
import { inTablesOfTheirOwn, otherThan } from "../../support/other-value.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { runVerify, type Verification } from "../../support/signed-record.ts";

const COMMANDS = [retentionList, retentionKeep, retentionHold, retentionRelease, retentionArchive, retentionDispose];

/** What the commands say in JSON. */
interface Told {
  readonly parts: readonly { readonly part: string; readonly sites: readonly { readonly obstacles: readonly { readonly obstacle: string }[] }[] }[];
  readonly disposed: readonly { readonly disposal: number; readonly told: unknown }[];
  readonly hold: number;
}

/** A command as a person runs it, in this process. */
async function retention(
  environment: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<{ readonly exit: number; readonly out: Told | null; readonly err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const parsed = parse(["retention", ...args, "--json"], COMMANDS, environment);
  if (parsed.kind !== "run") throw new Error(`retention ${args.join(" ")} is ${parsed.kind}`);
  const terminal = {
    out: (line: string) => out.push(line),
    err: (line: string) => err.push(line),
    progress: () => {},
    paint: (_: string, text: string) => text,
  };
  try {
    const exit = await parsed.command.run(parsed.call, terminal);
    return { exit, out: JSON.parse(out.join("\n") || "null"), err: err.join("\n") };
  } catch (error) {
    const { lines, exit } = inWords(error);
    return { exit, out: null, err: [...err, ...lines].join("\n") };
  }
}

let record: AgedRecord;
let environment: Readonly<Record<string, string>>;
/** Archived and not disposed of; and disposed of, with what came afterwards. */
let ready: AgedCopy;
let over: AgedCopy;
beforeAll(async () => {
  record = await agedRecord();
  environment = {
    DATABASE_URL: record.database.runtimeUrl,
    DATABASE_OWNER_URL: record.database.ownerUrl,
    AUDIT_DIR: record.state,
    AUDIT_MIRROR_DIR: record.mirror,
  };
}, 300_000);
afterAll(async () => {
  await record?.drop();
});

const WHY = ["--reason", "SOP-12"];
const PART = ["--partition", "positions/p0"];
const archives = (): string => join(record.home, "archive");
const allSigned = (): Promise<void> => reach(record.database, "select 1 from sites where signed_position(site) = position");
const allPublished = (): Promise<void> => reach(record.database, "select 1 from sites s join relay_cursors c on c.shard = s.site and c.position = s.position");

describe("the life of a record", () => {
  let plant: Plant;
  let party: Party;
  let disposal = 0;
  const start = async (): Promise<void> => {
    plant = await startPlant({ database: record.database, broker: "embedded", settings: { AUDIT_DIR: record.state, AUDIT_MIRROR_DIR: record.mirror } });
    party = await joinBroker(plant.mqttUrl, { protocol: 4 });
    await party.subscribe(`site/${SITE}/line/4/eq/+/verdict`);
    await allPublished();
    await allSigned();
  };
  const verify = (...args: string[]): Promise<Verification> => runVerify(["--key", record.vkey, "--anchors", record.mirror, ...args], environment);
  const stop = async (): Promise<void> => {
    await party?.end();
    await plant?.stop();
  };
  beforeAll(start, 120_000);
  afterAll(async () => {
    await stop();
    over = await record.copy();
  });

  test("is kept for ten years where nobody says otherwise", async () => {
    const { out } = await retention(environment, "list");
    expect(out?.parts[0]).toMatchObject({ class: "positions", part: "p0", sites: [{ site: SITE, from: 1, to: LIMIT - 1 }] });
    expect(out?.parts[0]?.sites[0]?.obstacles.map(({ obstacle }) => obstacle)).toEqual(["kept", "not archived"]);
    expect((await retention(environment, "keep", "positions", "365", "--site", SITE, ...WHY)).exit).toBe(0);
    const { out: held } = await retention(environment, "hold", "--site", SITE, "--batch", "B-1", ...WHY);
    expect((await retention(environment, "release", String(held?.hold), "--site", SITE, ...WHY)).exit).toBe(0);
    expect((await verify()).report.findings).toEqual([]);
  });

  test("is archived, and disposed of, while the service runs", async () => {
    const archived = await retention(environment, "archive", ...PART, "--out", archives(), ...WHY);
    expect(archived).toMatchObject({ exit: 0, err: "", out: { archived: [{ site: SITE, from: 1, to: LIMIT - 1 }] } });
    await allSigned();
    await stop();
    ready = await record.copy();
    await start();
    const disposed = await retention(environment, "dispose", ...PART, "--archive", archives(), ...WHY);
    expect(disposed).toMatchObject({ exit: 0, err: "", out: { disposed: [{ site: SITE, from: 1, to: LIMIT - 1 }] } });
    disposal = disposed.out?.disposed[0]?.disposal ?? 0;
    expect(await record.database.query("select count(*)::int as n from audit_entries_p0")).toEqual([{ n: 0 }]);
  });

  test("goes on: the signer signs, what comes again is known, new batches run", async () => {
    await party.publish(record.weight.topic, record.weight.payload);
    const again = await party.until("the verdict on what comes again", ({ body }) => body.causationid === JSON.parse(record.weight.payload).id);
    expect(again.body.data).toMatchObject({ status: "duplicate", code: "DUP_EXACT", first: { status: "accepted" } });
    const order = { batch: "B-new", jobOrder: "PO-new", line: "4", recipe: "blend", revision: 3, quantity: { value: "25.000", unit: "kg" } };
    const made = await plant.ask("POST", `/v1/sites/${SITE}/batches`, { ...order, equipment: { scale: "scale-1", mixer: "mixer-1" } });
    expect(made.status).toBe(201);
    for (const command of ["release-to-floor", "start", "stop", "close"])
      expect((await plant.ask("POST", `/v1/sites/${SITE}/batches/B-new/commands`, { command, reason: "plan" })).status, command).toBe(200);
    await allSigned();
  });

  test("answers what is gone with the entry that tells of it; proofs are given all the same", async () => {
    const gone = { status: 410, body: { code: "RECORD_DISPOSED", disposal } };
    const [old] = await record.database.query(`select position::int as position from disposed_verdicts where status = 'accepted' order by position limit 1`);
    const position = Number(old?.["position"]);
    for (const path of [
      `/v1/audit/sites/${SITE}/entries/${position}`,
      `/v1/events/${SITE}.1.${position}`,
      ...["record", "timeline", "outcomes", "audit-trail"].map((what) => `/v1/sites/${SITE}/batches/B-1/${what}`),
    ])
      expect(await plant.ask("GET", path), path).toMatchObject(gone);
    expect(await plant.ask("POST", "/v1/audit/reviews", { site: SITE, batch: "B-1" })).toMatchObject(gone);
    expect(await plant.ask("POST", "/v1/audit/exports", { site: SITE, batch: "B-1", format: "csv", reason: "x" })).toMatchObject({ status: 404 });
    expect((await plant.ask("GET", `/v1/sites/${SITE}/batches/B-new/record`)).status).toBe(200);
    const kept = await plant.ask("GET", `/v1/audit/sites/${SITE}/retention`);
    expect(kept.body).toMatchObject({
      keepDays: { positions: 365, batches: 3653 },
      holds: [{ batch: "B-1", released: { reason: "SOP-12" } }],
      disposals: [{ disposal, class: "positions", from: 1, to: LIMIT - 1 }],
    });
    const key = parseVerifierKey(readFileSync(record.vkey, "utf8").trim());
    if (typeof key === "string") throw new Error(key);
    // the last leaves of a log that has ended, the last of the next log that are gone, and the first that are not
    const [ended] = await record.database.query("select first_position::int as first from audit_logs where log = 2");
    for (const at of [1, 300, Number(ended?.["first"]) - 1, Number(ended?.["first"]), LIMIT - 1, LIMIT]) {
      const { status, body } = await plant.ask("GET", `/v1/audit/sites/${SITE}/entries/${at}/proof`);
      expect(status, `position ${at}`).toBe(200);
      const { entry, index, leafHash, proof, checkpoint } = Object(body);
      expect(entry === null, `position ${at}`).toBe(at < LIMIT);
      const opened = openCheckpoint(Buffer.from(checkpoint.note), [key]);
      if (opened.kind === "refused") throw new Error(opened.because);
      const { size, root } = opened.checkpoint;
      const hashes = proof.map((hash: string) => Buffer.from(hash, "base64"));
      expect(refuseInclusion({ index, size, leaf: Buffer.from(leafHash, "base64"), proof: hashes, root }), `position ${at}`).toBeNull();
    }
  });

  test("is verified without its archive, which says what is not covered", async () => {
    const { exit, report } = await verify();
    expect(report.findings).toEqual([]);
    expect(exit).toBe(0);
    // a tick may have come a moment ago
    expect(report.unsigned?.from ?? report.positions.to).toBeGreaterThan(disposal);
    const said = report.notCovered.join("\n");
    for (const what of [`up to position ${LIMIT - 1}`, `entry ${disposal}`, "SOP-12", "SHA256SUMS", "not replayed"]) expect(said).toContain(what);
  });

  test("its archive is verified with the public key alone, and is there to be read", async () => {
    const archive = join(archives(), `${SITE}-positions-p0`);
    const { exit, report } = await runVerify(["--bundle", archive, "--key", record.vkey], {});
    expect(report.findings).toEqual([]);
    expect([exit, report.positions.from]).toEqual([0, 1]);
    expect(readFileSync(join(archive, "README.txt"), "utf8")).toContain("openssl");
    expect(readFileSync(join(archive, "record.html"), "utf8")).toContain("net-weight");
  });

  test("and with it everything is decided again", async () => {
    const { exit, report, err } = await verify("--archive", archives());
    expect(err).toBe("");
    expect(report.findings).toEqual([]);
    expect(exit).toBe(0);
    // the record was written with a recipe that nobody registered
    expect(report.notCovered).toEqual([expect.stringContaining("recipe blend@3")]);
    expect(report.entries).toBe(report.positions.to);
  });

  test("the next partition goes after the oldest, and not before; what goes on begins behind it", async () => {
    const next = ["--partition", "positions/p1"];
    expect(await retention(environment, "archive", ...next, "--out", archives(), ...WHY)).toMatchObject({
      exit: 0,
      err: "",
      out: { archived: [{ from: LIMIT, to: NEXT - 1 }] },
    });
    const disposed = await retention(environment, "dispose", ...next, "--archive", archives(), ...WHY);
    expect(disposed).toMatchObject({ exit: 0, err: "", out: { disposed: [{ site: SITE, from: LIMIT, to: NEXT - 1 }] } });
    await allSigned();
    const without = await verify();
    expect(without.report.findings).toEqual([]);
    expect(without.report.notCovered.join()).toContain(`up to position ${NEXT - 1}`);
    expect((await verify("--archive", archives())).report.findings).toEqual([]);
    // one of them alone is not enough
    expect((await verify("--archive", join(archives(), `${SITE}-positions-p0`))).err).toContain(`lack those from ${LIMIT} on`);
    expect((await plant.ask("GET", `/v1/audit/sites/${SITE}/entries/${NEXT - 1}/proof`)).status).toBe(200);
  });

  test("facts and outcomes of the batches of a month go the same way", async () => {
    const month = ["--partition", "batches/2019_03"];
    expect(await retention(environment, "dispose", ...month, "--archive", archives(), ...WHY)).toMatchObject({
      exit: 1,
      err: expect.stringContaining("is kept until"),
    });
    expect((await retention(environment, "keep", "batches", "365", "--site", SITE, ...WHY)).exit).toBe(0);
    expect(await retention(environment, "archive", ...month, "--out", archives(), ...WHY)).toMatchObject({
      exit: 0,
      err: "",
      out: { archived: [{ from: NEXT }] },
    });
    const disposed = await retention(environment, "dispose", ...month, "--archive", archives(), ...WHY);
    expect(disposed).toMatchObject({ exit: 0, err: "", out: { disposed: [{ site: SITE }] } });
    expect(await record.database.query("select to_regclass('facts_2019_03') as there")).toEqual([{ there: null }]);
    await allSigned();
    const [late] = await record.database.query(`select batch from audit_numbers group by batch having min(position) > ${NEXT} limit 1`);
    const path = `/v1/sites/${SITE}/batches/${late?.["batch"]}`;
    expect(await plant.ask("GET", `${path}/outcomes`)).toMatchObject({ status: 410, body: { disposal: disposed.out?.disposed[0]?.disposal } });
    expect((await plant.ask("GET", `${path}/audit-trail`)).status).toBe(200);
    expect((await plant.ask("GET", "/v1/outcomes")).body).toMatchObject({ disposed: { disposal: disposed.out?.disposed[0]?.disposal } });
    for (const more of [[], ["--archive", archives()]]) {
      const { report } = await verify(...more);
      expect(report.findings, more.join(" ")).toEqual([]);
      expect(report.notCovered.join()).toContain("batches that were opened in 2019_03");
    }
  });

  test("after a restart it goes on all the same", async () => {
    await stop();
    await start();
    expect((await plant.ask("GET", "/health/ready")).status).toBe(200);
    expect((await verify("--archive", archives())).report.findings).toEqual([]);
  });
});

describe("nothing is disposed of", () => {
  let copy: AgedCopy;
  const dispose = (...more: string[]) => retention(copy.environment, "dispose", ...PART, ...(more.length > 0 ? more : ["--archive", archives()]), ...WHY);
  const untouched = async (): Promise<void> => {
    expect(await copy.query("select count(*)::int as n from audit_entries_p0")).toEqual([{ n: LIMIT - 1 }]);
    expect(await copy.query("select 1 from disposals")).toEqual([]);
  };
  const refused = async (why: string, ...more: string[]): Promise<void> => {
    const { exit, err } = await dispose(...more);
    expect(err).toContain(why);
    expect(exit).toBe(1);
    await untouched();
  };
  beforeEach(async () => {
    copy = await record.copy(ready);
  });

  test("without an archive at hand, or one on record", async () => {
    expect((await retention(copy.environment, "dispose", ...PART, ...WHY)).exit).toBe(2);
    await refused("There is no archive in", "--archive", record.home);
    await copy.query("delete from record_archives");
    await refused("no archive of it is on record");
  });

  test.each([
    ["entries", "log-1/entries.txt"],
    ["the page to be read", "record.html"],
    ["a delivery", "log-1/deliveries.bin"],
  ])("whose archive has one byte changed: %s", async (_, name) => {
    const changed = join(copy.state, "changed");
    cpSync(join(archives(), `${SITE}-positions-p0`), changed, { recursive: true });
    const file = join(changed, name);
    const bytes = readFileSync(file);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    await refused("is not what was archived", "--archive", changed);
    // and with sums that say so
    const sums = join(changed, "SHA256SUMS");
    const before = createHash("sha256")
      .update(readFileSync(join(archives(), `${SITE}-positions-p0`, file.slice(changed.length + 1))))
      .digest("hex");
    writeFileSync(sums, readFileSync(sums, "utf8").replace(before, createHash("sha256").update(bytes).digest("hex")));
    await refused("is the archive on record", "--archive", changed);
  });

  test.each([
    ["all of the site", []],
    ["a batch in it", ["--batch", "B-3"]],
    ["positions that touch it", ["--positions", `${LIMIT - 1}-${LIMIT + 5}`]],
  ])("that is under legal hold: %s; and it is, when the hold is released", async (_, what) => {
    const { out } = await retention(copy.environment, "hold", "--site", SITE, ...what, "--reason", "claim 17");
    await refused(`under legal hold ${out?.hold}: claim 17`);
    expect((await retention(copy.environment, "release", String(out?.hold), "--site", SITE, "--reason", "settled")).exit).toBe(0);
    expect((await retention(copy.environment, "release", String(out?.hold), "--site", SITE, "--reason", "settled")).exit).toBe(1);
    expect(await dispose()).toMatchObject({ exit: 0, err: "" });
  });

  test("that other batches and positions hold is disposed of", async () => {
    expect((await retention(copy.environment, "hold", "--site", SITE, "--positions", `${LIMIT}-${LIMIT + 5}`, ...WHY)).exit).toBe(0);
    expect((await retention(copy.environment, "hold", "--site", SITE, "--batch", "nobody", ...WHY)).exit).toBe(1);
    expect(await dispose()).toMatchObject({ exit: 0, err: "" });
  });

  test("that somebody reads; nobody waits behind it for long", async () => {
    const reader = new pg.Client({ connectionString: copy.runtimeUrl });
    await reader.connect();
    await reader.query("begin; select count(*) from audit_entries where position < 10");
    await refused("Somebody reads what is to be disposed of");
    await reader.query("commit");
    await reader.end();
    expect(await dispose()).toMatchObject({ exit: 0, err: "" });
  });

  test("that is too young", async () => {
    expect((await retention(copy.environment, "keep", "positions", "20000", "--site", SITE, ...WHY)).exit).toBe(0);
    await refused("is kept until");
  });

  test.each([
    ["batch B-2 is not closed", "update batches set execution = 'complete', closed_at = null where batch = 'B-2'"],
    [
      "an event is quarantined (position 9)",
      `insert into quarantine (site, position, round, code, since) values ('${SITE}', 9, 1, 'STA_INVALID_TRANSITION', now())`,
    ],
    [
      "an exception is not resolved (position 9)",
      `insert into exceptions (site, position, ordinal, code, reason, opened_at) values ('${SITE}', 9, 9, 'SEQ_SKIPPED', 'x', now())`,
    ],
    [
      "an event is deferred (position 9)",
      `insert into deferrals (site, position, shard, source_key, round, code, moves, bytes, due_at) select '${SITE}', 9, '${SITE}', min(source_key), 1, 'EVD_MISSING', true, 1, now() from sources`,
    ],
    [
      "an event waits for the numbers before it (position 9)",
      `insert into waiting (source_key, incarnation, epoch, sequence, site, position, digest, bytes, ahead) select min(source_key), 1, 9, 9, '${SITE}', 9, '', 1, false from sources`,
    ],
    ["has a gap, or is parked", "update sources set gap_position = 9, gap_since = now() where equipment = 'scale-1'"],
    [
      "review 9 of batch B-1 is not concluded",
      `insert into audit_reviews (site, review, batch, entries, digest, catalogue, found, opened_by) values ('${SITE}', 9, 'B-1', 1, sha256(''), 1, '{}', 'x')`,
    ],
    ["has published up to position 10", "update relay_cursors set position = 10"],
    ["is signed up to position", "delete from audit_checkpoints where size > 300"],
    ["log 2 has no full tile 0 of leaf hashes", "delete from audit_tiles where log = 2 and level = 0 and n = 0"],
  ])("where %s", async (why, change) => {
    await copy.query(change);
    await refused(why);
  });

  test("by anybody but the owner, or without an entry that tells of it", async () => {
    const as = async (url: string, ...statements: string[]): Promise<unknown> => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      try {
        for (const statement of statements) await client.query(statement);
        return null;
      } catch (error) {
        return error instanceof Error ? error.message : error;
      } finally {
        await client.end();
      }
    };
    for (const statement of [
      "select dispose_of('positions', 'p0')",
      "drop table audit_entries_p0",
      "delete from audit_entries",
      `insert into disposals (site, disposal, class, part, from_position, to_position, reason, disposed_by) values ('${SITE}', 9999, 'positions', 'p0', 1, 2, 'x', 'x')`,
    ])
      expect(await as(copy.runtimeUrl, statement), statement).toMatch(/permission denied|must be owner/);
    expect(await as(copy.ownerUrl, "select dispose_of('positions', 'p0')")).toContain("does not tell");
    expect(await as(copy.ownerUrl, "select dispose_of('positions', 'p1')")).toContain("partition p0 is older");
    // an entry of another transaction, and one that tells of something else
    const act = (to: number): string =>
      `select record_act('${SITE}', 'x', 'record.disposed', '{"new":{"class":"positions","part":"p0","from":1,"to":${to}},"reason":"x"}', '{}', '{"signals":[]}')`;
    expect(await as(copy.ownerUrl, act(LIMIT - 1), "select dispose_of('positions', 'p0')")).toContain("does not tell");
    expect(await as(copy.ownerUrl, "begin", act(7), "select dispose_of('positions', 'p0')")).toContain("does not tell");
    // entries that are not those whose hashes were kept
    await copy.query("update audit_entries set entry = set_byte(entry, 9, get_byte(entry, 9) # 1) where position = 1050");
    expect(await as(copy.ownerUrl, "begin", act(LIMIT - 1), "select dispose_of('positions', 'p0')")).toContain("not those whose hashes were kept");
    await untouched();
  });
});

describe("entries that were made to vanish", () => {
  let copy: AgedCopy;
  const verify = (...args: string[]): Promise<Verification> =>
    runVerify(["--key", record.vkey, "--anchors", copy.mirror, ...args], { DATABASE_URL: copy.runtimeUrl });
  /** What a signer makes of it, after so many steps as it takes to look at everything again. */
  async function signerSays(): Promise<unknown> {
    const time: Time = { ...ownTime, after: (_, then) => ownTime.after(1, then) };
    let says: unknown = null;
    await signing(
      copy,
      copy,
      async (signers) => {
        for (let tries = 0; tries < 200 && signers.conditions.get(SITE)?.kind !== "refused"; tries += 1)
          await new Promise((resolve) => setTimeout(resolve, 20));
        says = signers.conditions.get(SITE);
      },
      time,
    );
    return says;
  }
  const DROP = "truncate audit_entries_p0, signals_p0, verdicts_p0";
  const FORGED = `insert into disposals (site, disposal, class, part, from_position, to_position, reason, disposed_by)
    select '${SITE}', position, 'positions', 'p0', 1, ${LIMIT - 1}, 'SOP-12', 'x' from sites`;
  const ENTRY = JSON.stringify({
    object: "positions/p0",
    old: null,
    new: { class: "positions", part: "p0", from: 1, to: LIMIT - 1, archives: [], disposed: { positions: LIMIT - 1, batches: [] } },
    reason: "SOP-12",
    from: "x",
  });
  const ACT = `select record_act('${SITE}', 'x', 'record.disposed', '${ENTRY}', '{}', '{"signals":[{"ref":-1,"kind":"act","type":"record.disposed","actor":"x","body":${ENTRY}}]}')`;

  test.each([
    ["behind the procedure's back", [DROP]],
    ["with a row that says that they were disposed of", [FORGED, DROP]],
    ["with a row and an entry that say so", [ACT, FORGED, DROP]],
  ])("%s are missed by the signer, and by whoever verifies", async (_, statements) => {
    copy = await record.copy(ready);
    for (const statement of statements) await copy.query(statement);
    expect(await signerSays()).toMatchObject({ kind: "refused", refusal: { because: "missing" } });
    for (const more of [[], ["--archive", archives()]]) {
      const { exit, report } = await verify(...more);
      expect(exit).toBe(3);
      expect(report.findings).toContainEqual(expect.objectContaining({ severity: "incomplete", table: "audit_entries", position: 1 }));
    }
  });

  test("beyond what was disposed of are missed too, and rows that come back where they were are found", async () => {
    copy = await record.copy(over);
    await copy.query(`delete from audit_entries where position = ${NEXT}`);
    expect((await verify()).report.first).toMatchObject({ severity: "incomplete", table: "audit_entries", position: NEXT });
    copy = await record.copy(over);
    await copy.query(`insert into audit_entries values ('${SITE}', 7, 'x')`);
    expect((await verify()).report.first).toMatchObject({ severity: "altered", table: "audit_entries", position: 7 });
  });

  test("a signer that is elsewhere misses them until somebody puts there what the command says, and then goes on", async () => {
    copy = await record.copy(ready);
    const { AUDIT_DIR: _, AUDIT_MIRROR_DIR: __, ...away } = copy.environment;
    const { out } = await retention(away, "dispose", ...PART, "--archive", archives(), "--key", record.vkey, ...WHY);
    await signing(copy, copy, async (signers) => {
      const becomes = async (kind: string): Promise<void> => {
        for (let tries = 0; tries < 500 && signers.conditions.get(SITE)?.kind !== kind; tries += 1) await new Promise((resolve) => setTimeout(resolve, 50));
        expect(signers.conditions.get(SITE)?.kind).toBe(kind);
      };
      await becomes("refused");
      writeFileSync(join(copy.state, SITE, "disposals.json"), JSON.stringify([out?.disposed[0]?.told]));
      await becomes("signing");
      await reach(copy, "select 1 from sites where signed_position(site) = position");
    });
    expect((await verify()).report.findings).toEqual([]);
  });

  test("a signer that has lost everything but its keys and its mirror knows of the disposal from the mirror, and goes on", async () => {
    copy = await record.copy(over);
    for (const name of readdirSync(join(copy.state, SITE)).filter((one) => !one.startsWith("signer")))
      rmSync(join(copy.state, SITE, name), { recursive: true });
    const [before] = await copy.query("select position::int as position from sites");
    await signing(copy, copy, async (signers) => {
      for (let tries = 0; tries < 400 && signers.conditions.get(SITE)?.kind !== "signing"; tries += 1) await new Promise((resolve) => setTimeout(resolve, 50));
      expect(signers.conditions.get(SITE)).toMatchObject({ kind: "signing", position: before?.["position"] });
    });
  });
});

test("every column of what disposing leaves behind is compared", async () => {
  const copy = await record.copy(over);
  // these rows rest on entries alone, not on what is decided again
  const verify = (): Promise<Verification> =>
    runVerify(["--key", record.vkey, "--anchors", copy.mirror, "--archive", archives(), "--no-replay"], { DATABASE_URL: copy.runtimeUrl });
  expect((await verify()).report.findings).toEqual([]);
  const tables = ["retention_rules", "legal_holds", "legal_hold_releases", "record_archives", "disposals", "disposed_verdicts", "disposed_leaves"];
  const columns = await copy.query(
    `select c.relname::text as table, a.attname::text as column, format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), null) as type
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped join pg_type t on t.oid = a.atttypid
    where c.relnamespace = 'public'::regnamespace and c.relname = any ($1) order by 1, a.attnum`,
    [tables],
  );
  await copy.query(`do $$ declare c record; begin
    for c in select conrelid::regclass as of, conname from pg_constraint where connamespace = 'public'::regnamespace and contype in ('c', 'f') and conrelid::regclass::text = any ('{${tables.join(",")}}')
    loop execute format('alter table %s drop constraint %I cascade', c.of, c.conname); end loop; end $$; create schema kept`);
  for (const table of tables) await copy.query(`create table kept.${table} as table public.${table}`);
  const unfound: string[] = [];
  const compared = columns
    .map((row) => ({ table: String(row["table"]), column: String(row["column"]), type: String(row["type"]) }))
    .filter(({ table, column }) => comparedOf(table).has(column) && column !== "site");
  // which disposal there was decides what is read at all: its columns are changed alone
  const [alone, together] = [true, false].map((own) => compared.filter(({ table }) => (table === "disposals") === own));
  for (const some of [...inTablesOfTheirOwn(alone ?? [], 1), ...inTablesOfTheirOwn(together ?? [], tables.length)]) {
    for (const { table, column, type } of some) {
      const changed = await copy.query(
        `update ${table} set ${column} = ${otherThan(column, type)} where ctid = (select ctid from ${table} order by ${column} is null, ctid limit 1) returning 1`,
      );
      expect(changed, `${table}.${column}`).toHaveLength(1);
    }
    const withArchives = await verify();
    // a row that says of more that it was disposed of has verification ask for archives that there are not; without them it is found
    const { exit, report } = withArchives.exit === 4 ? await runVerify(["--key", record.vkey, "--no-replay"], { DATABASE_URL: copy.runtimeUrl }) : withArchives;
    for (const { table, column } of some) {
      const tells = report?.findings.some((finding) => finding.table === table) || (table === "disposals" && exit !== 0);
      if ((exit !== 1 && exit !== 3) || !tells) unfound.push(`${table}.${column}: ${exit} ${JSON.stringify(report?.first)}`);
      await copy.query(`delete from ${table}`).then(() => copy.query(`insert into ${table} select * from kept.${table}`));
    }
  }
  expect(unfound).toEqual([]);
  for (const table of tables) {
    await copy.query(`delete from ${table} where ctid = (select max(ctid) from ${table})`);
    const { exit } = await verify();
    if (exit !== 1 && exit !== 3) unfound.push(`${table}, a row that is gone: ${exit}`);
    await copy.query(`delete from ${table}`).then(() => copy.query(`insert into ${table} select * from kept.${table}`));
  }
  expect(unfound).toEqual([]);
  expect((await verify()).report.findings).toEqual([]);
}, 300_000);
