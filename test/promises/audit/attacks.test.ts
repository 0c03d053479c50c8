// Promise: whatever the database's administrator does to a signed record, also with the signer's stolen key, verification tells, and names the first row; what it cannot tell it says.
// Attack: the twelve of the threat model, A1 to A12, each done for real by a superuser who switches the triggers off, on a copy of a record that a real signer has signed. Where only
// anchors can tell, the same attack is verified without them first, so that it is known to be complete.
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signCheckpoint } from "../../../src/audit/checkpoint.ts";
import { disk } from "../../../src/audit/disk.file.ts";
import { leafHash } from "../../../src/audit/hash.ts";
import { type SigningKey, signingKey } from "../../../src/audit/note-key.ts";
import { loadSigningKey } from "../../../src/audit/signer-key.file.ts";
import { TiledTree } from "../../../src/audit/tiles.ts";
import { recordRestore, type SignedHead } from "../../../src/cli/restored.store.ts";
import { measured } from "../../support/measure.ts";
import { sourceOf } from "../../support/mqtt.ts";
import { type Copy, runVerify, SITE, type SignedRecord, signedRecord, type Verification } from "../../support/signed-record.ts";

let record: SignedRecord;
let stolen: SigningKey;
let copy: Copy;

beforeAll(async () => {
  record = await signedRecord();
  stolen = await loadSigningKey(disk, join(record.state, SITE, "signer.pem"), `signalbox/${SITE}`, false);
});
afterAll(async () => {
  await record?.drop();
});

const verify = (...args: string[]): Promise<Verification> => runVerify(["--key", record.vkey, ...args], { DATABASE_URL: copy.runtimeUrl });
const withAnchors = (): Promise<Verification> => verify("--anchors", record.mirror);

/** The position of the call `c-n`. */
async function callAt(n: number): Promise<number> {
  const [row] = await copy.query(`select position::int as position from facts where data ->> 'call' = $1`, [`c-${n}`]);
  return Number(row?.["position"]);
}

/** In the entry at a position, text instead of text. */
const edit = (position: number, from: string, to: string): Promise<unknown> =>
  copy.query("update audit_entries set entry = convert_to(replace(convert_from(entry, 'UTF8'), $2, $3), 'UTF8') where position = $1", [position, from, to]);

/** And in the rows beside it. */
async function editRows(position: number, from: string, to: string): Promise<void> {
  for (const table of ["facts", "outcomes"])
    await copy.query(`update ${table} set data = replace(data::text, $2, $3)::jsonb where position = $1`, [position, from, to]);
}

/** Makes tiles and, with a key, all checkpoints anew, as a signer would have that had seen nothing else. */
async function sealAnew(key: SigningKey | null): Promise<void> {
  const sizes = new Set((await copy.query("select size::int as size from audit_checkpoints")).map(({ size }) => Number(size)));
  const entries = await copy.query("select entry from audit_entries order by position");
  await copy.query("delete from audit_tiles");
  if (key !== null) await copy.query("delete from audit_checkpoints");
  const tree = new TiledTree();
  for (const { entry } of entries) {
    for (const { level, n, hashes } of tree.append(leafHash(Object(entry))))
      await copy.query("insert into audit_tiles (site, log, level, n, hashes) values ($1, 1, $2, $3, $4)", [SITE, level, n, hashes]);
    if (key === null || !(sizes.has(tree.size) || tree.size === entries.length)) continue;
    const note = signCheckpoint({ origin: `signalbox/${SITE}/1`, size: tree.size, root: tree.root(), extensions: [] }, [key]);
    await copy.query("insert into audit_checkpoints (site, log, size, root, note) values ($1, 1, $2, $3, $4)", [SITE, tree.size, tree.root(), note]);
  }
}

/** The size of the last checkpoint that somebody kept in the middle of the day. */
async function kept(): Promise<number> {
  const { report } = await verify("--anchors", record.early);
  expect(report.unanchored).not.toBeNull();
  return Number(report.unanchored?.from) - 1;
}

const inRange = (key: Readonly<Record<string, string | number>>, position: number): boolean =>
  key["position"] === position || (Number(key["from"]) <= position && position <= Number(key["to"]));

describe("the administrator", () => {
  beforeAll(async () => {
    copy = await record.copy();
  });
  test("has done nothing yet", async () => {
    expect((await withAnchors()).report.findings).toEqual([]);
  });
});

describe("A1: edits an entry", () => {
  test.each([20, 290])("and the row is named (call %i)", async (n) => {
    copy = await record.copy();
    const position = await callAt(n);
    await edit(position, `"c-${n}"`, `"c-999"`);
    const { exit, report } = await verify();
    expect(exit).toBe(1);
    expect(report.first).toMatchObject({ severity: "altered", table: "audit_entries", key: { site: SITE, position }, column: "entry" });
  });
  test("and a delivery's bytes, and the signal is named by its column", async () => {
    copy = await record.copy();
    const position = await callAt(30);
    await copy.query("update signals set raw = convert_to(replace(convert_from(raw, 'UTF8'), 'c-30', 'c-31'), 'UTF8') where position = $1", [position]);
    const { exit, report } = await verify();
    expect(exit).toBe(1);
    expect(report.first).toMatchObject({ table: "signals", key: { site: SITE, position }, column: "raw", stored: expect.stringMatching(/^[0-9a-f]{64}$/) });
  });
});

describe("A2: edits an entry and the hashes over it", () => {
  test("and the checkpoints' roots tell; the row that says something else names it", async () => {
    copy = await record.copy();
    const position = await callAt(20);
    await edit(position, `"c-20"`, `"c-999"`);
    await sealAnew(null);
    const { exit, report } = await verify();
    expect(exit).toBe(1);
    expect(report.first).toMatchObject({ table: "audit_entries", key: { site: SITE, position } });
  });
  test("and the rows beside it, and the checkpoints' roots tell between which positions", async () => {
    copy = await record.copy();
    const position = await callAt(20);
    await edit(position, `"c-20"`, `"c-999"`);
    await editRows(position, `"c-20"`, `"c-999"`);
    await sealAnew(null);
    const { exit, report } = await verify();
    expect(exit).toBe(1);
    expect(report.first?.table).toBe("audit_entries");
    expect(inRange(report.first?.key ?? {}, position)).toBe(true);
  });
});

describe("A3: edits an entry, makes everything anew, and signs with the stolen key", () => {
  test("and anchors tell, and nothing else", async () => {
    copy = await record.copy();
    const position = await callAt(20);
    await edit(position, `"c-20"`, `"c-999"`);
    await editRows(position, `"c-20"`, `"c-999"`);
    await sealAnew(stolen);
    // deciding again tells as well, as long as nobody forges the deliveries and their digests too
    expect((await verify()).report.first).toMatchObject({ severity: "altered", table: "decisions", position });
    const without = await verify("--no-replay");
    expect(without.exit).toBe(0);
    expect(without.report.notCovered.join()).toContain("anchors");
    const { exit, report } = await withAnchors();
    expect(exit).toBe(1);
    expect(report.first).toMatchObject({ severity: "altered", table: "audit_entries", detail: expect.stringContaining("an anchor of size") });
    expect(inRange(report.first?.key ?? {}, position)).toBe(true);
  });
});

describe("A4: deletes an entry in the middle", () => {
  test("and its place is empty", async () => {
    copy = await record.copy();
    const position = await callAt(20);
    await copy.query("delete from audit_entries where position = $1", [position]);
    const { exit, report } = await verify();
    expect(exit).toBe(3);
    expect(report.first).toMatchObject({ severity: "incomplete", table: "audit_entries", key: { site: SITE, position }, stored: null });
  });
  test("and one of a batch, whose number is missing too", async () => {
    copy = await record.copy();
    const [row] = await copy.query("select position::int as position from audit_numbers where number = 3");
    await copy.query("delete from audit_entries where position = $1", [row?.["position"]]);
    const { exit, report } = await verify();
    expect(exit).toBe(3);
    expect(report.findings.map(({ detail }) => detail).join()).toContain("lacks number 3");
  });
});

describe("A5: deletes entries, numbers the others anew, makes everything anew, and signs with the stolen key", () => {
  test("and anchors tell, and nothing else", async () => {
    copy = await record.copy();
    // a whole commit of calls alone, behind everything that is referred to: its references count from its own base
    const [group] = await copy.query(
      `select first_position::int as first, last_position::int as last from commits c where first_position > $1
       and not exists (select from signals s where s.position between c.first_position and c.last_position and s.source is distinct from $2)
       and not exists (select from audit_numbers n where n.position between c.first_position and c.last_position)
       order by first_position limit 1`,
      [await callAt(200), sourceOf(SITE, "4", "button-1")],
    );
    const [first, last] = [Number(group?.["first"]), Number(group?.["last"])];
    const gone = last - first + 1;
    const tables = ["signals", "verdicts", "facts", "outcomes", "exceptions", "evidence", "audit_entries", "audit_numbers"];
    for (const table of tables) await copy.query(`delete from ${table} where position between $1 and $2`, [first, last]);
    await copy.query("delete from commits where first_position = $1", [first]);
    await copy.query("update commits set first_position = first_position - $2, last_position = last_position - $2 where first_position > $1", [last, gone]);
    await copy.query(
      `update audit_entries set entry = convert_to(replace(replace(convert_from(entry, 'UTF8'),
        format('"position":%s,"generation"', position), format('"position":%s,"generation"', position - $2)),
        (regexp_match(convert_from(entry, 'UTF8'), '"base":[0-9]+'))[1],
        '"base":' || substring(convert_from(entry, 'UTF8') from '"base":([0-9]+)')::int - $2), 'UTF8')
       where position > $1`,
      [last, gone],
    );
    for (const table of tables) {
      const columns = table === "verdicts" || table === "exceptions" ? ["position", "event_position"] : ["position"];
      const moved = (beyond: number, by: number): string =>
        columns.map((name) => `${name} = case when ${name} > ${beyond} then ${name} + ${by} else ${name} end`).join();
      // by way of places that are free: on the way no two rows may have one place
      await copy.query(`update ${table} set ${moved(last, 500_000 - gone)} where position > ${last}`);
      await copy.query(`update ${table} set ${moved(500_000, -500_000)} where position > 500000`);
    }
    await copy.query("update sites set position = position - $1", [gone]);
    // and has the record end where it ended
    await falseAct("nothing", gone);
    await sealAnew(stolen);
    // the numbers of their source lack those that are gone, which deciding again tells; a source without numbers lacks nothing
    expect((await verify()).report.first).toMatchObject({ severity: "altered", table: "decisions" });
    const without = await verify("--no-replay");
    expect(without.report.findings).toEqual([]);
    const { exit, report } = await withAnchors();
    expect(exit).toBe(1);
    expect(report.first).toMatchObject({ table: "audit_entries", detail: expect.stringContaining("an anchor of size") });
    expect(Number(report.first?.position)).toBeLessThanOrEqual(first);
  });
});

describe("A6: cuts off the end, back beyond an anchor, by a backup that he restores", () => {
  test("and the anchor has more entries than are there", async () => {
    copy = await record.copy();
    const end = await kept();
    await copy.restoreBackup();
    expect((await verify()).exit).toBe(0);
    const { exit, report } = await withAnchors();
    expect(exit).toBe(3);
    expect(report.first).toMatchObject({ severity: "incomplete", table: "audit_entries", key: { site: SITE, from: end + 1, to: record.last } });
  });
});

describe("A7: cuts off the end behind the last anchor, likewise", () => {
  test("and nothing tells; of an untouched record it was said from which position on nobody could, and since when", async () => {
    copy = await record.copy();
    const end = await kept();
    const before = await verify("--anchors", record.early);
    expect(before).toMatchObject({ exit: 0, report: { unanchored: { from: end + 1, to: record.last, seconds: expect.any(Number) } } });
    await copy.restoreBackup();
    const after = await verify("--anchors", record.early);
    expect(after).toMatchObject({ exit: 0, report: { positions: { to: end }, unanchored: null } });
  });
});

describe("A8: restores an old backup, goes on with another history, and signs with the stolen key", () => {
  test("and anchors tell, and nothing else", async () => {
    copy = await record.copy();
    const end = await kept();
    await copy.restoreBackup();
    await falseAct("another history", record.last + 10 - end);
    await sealAnew(stolen);
    const without = await verify();
    expect(without.report.findings).toEqual([]);
    const { exit, report } = await withAnchors();
    expect(exit).toBe(1);
    expect(report.first).toMatchObject({ severity: "altered", table: "audit_entries", position: end + 1 });
  });
});

describe("a restore that is on record", () => {
  const restore = (signed: SignedHead): Promise<unknown> =>
    recordRestore(copy.ownerUrl, { site: SITE, reason: "disk failure", by: "it", generation: null }, { headOf: async () => signed, tell: async () => {} });
  test("is not an attack: what was signed and lost is said", async () => {
    copy = await record.copy();
    const end = await kept();
    await copy.restoreBackup();
    await restore({ log: 1, size: record.last, root: "" });
    const { exit, report } = await withAnchors();
    expect(report.findings).toEqual([]);
    expect(exit).toBe(0);
    expect(report.notCovered.join()).toContain(`positions ${end + 1} to ${record.last} of signalbox/${SITE}/1, which were signed, and lost with the restore`);
  });
  test("but one that names less than an anchor holds is incomplete", async () => {
    copy = await record.copy();
    const end = await kept();
    await copy.restoreBackup();
    await restore({ log: 1, size: end, root: "" });
    const { exit, report } = await withAnchors();
    expect([exit, report.first?.severity, report.first?.position]).toEqual([3, "incomplete", end + 1]);
  });
  test("and one that its log's first entry does not tell of is altered", async () => {
    copy = await record.copy();
    const end = await kept();
    await copy.query("insert into audit_logs (site, log, generation, first_position, origin, why) values ($1, 2, 1, $2, $3, 'restore')", [
      SITE,
      end + 1,
      `signalbox/${SITE}/2`,
    ]);
    const { exit, report } = await withAnchors();
    expect([exit, report.findings.some(({ table, column }) => table === "audit_logs" && column === "why")]).toEqual([1, true]);
  });
});

describe("A9: swaps two entries", () => {
  test("and the first of them says that it stands elsewhere", async () => {
    copy = await record.copy();
    const [one, other] = [await callAt(20), await callAt(21)];
    const entries = await copy.query("select position::int as position, entry from audit_entries where position in ($1, $2) order by position", [one, other]);
    for (const [i, position] of [other, one].entries())
      await copy.query("update audit_entries set entry = $2 where position = $1", [position, entries[i]?.["entry"]]);
    const { exit, report } = await verify();
    expect(exit).toBe(1);
    expect(report.first).toMatchObject({ severity: "altered", table: "audit_entries", key: { site: SITE, position: one } });
  });
});

describe("A10: signs all checkpoints anew with a key of his own", () => {
  test("and a stranger bears the signer's name", async () => {
    copy = await record.copy();
    await sealAnew(signingKey(`signalbox/${SITE}`, generateKeyPairSync("ed25519").privateKey));
    const { exit, report } = await withAnchors();
    expect(exit).toBe(1);
    expect(report.first).toMatchObject({ severity: "altered", table: "audit_checkpoints", column: "note" });
    // without an anchor it may as well be an earlier key of the signer's that was not given
    const alone = await verify();
    expect(alone.exit).toBe(4);
    expect(alone.report.first).toMatchObject({ severity: "unclear", table: "audit_checkpoints", column: "note" });
  });
});

describe("A11: edits the present row of a batch alone, and leaves the record as it is", () => {
  test.each([
    ["batches", "execution", "'closed'"],
    ["batches", "disposition", "'released'"],
    ["steps", "state", "'skipped'"],
    ["sources", "through", "through - 1"],
    ["context_locks", "batch", "'B-9'"],
  ])("and deciding everything again tells the row and the column (%s.%s)", async (table, column, value) => {
    copy = await record.copy();
    await copy.query(`do $$ declare c record; begin
      for c in select conrelid::regclass as of, conname from pg_constraint where contype in ('c', 'x') and conrelid in ('batches'::regclass, 'steps'::regclass, 'sources'::regclass, 'context_locks'::regclass)
      loop execute format('alter table %s drop constraint %I', c.of, c.conname); end loop; end $$`);
    const [row] = await copy.query(
      `update ${table} set ${column} = ${value} where ctid = (select ctid from ${table} where ${column} is not null order by ctid limit 1) returning *`,
    );
    const { exit, report } = await withAnchors();
    expect(exit).toBe(1);
    expect(report.first).toMatchObject({ severity: "altered", table, column, key: { site: SITE } });
    for (const [name, is] of Object.entries(report.first?.key ?? {})) expect(String(row?.[name])).toBe(String(is));
    // the entries are as they were, so nothing else tells
    expect((await verify("--no-replay")).report).toMatchObject({ exit: 0, notCovered: expect.arrayContaining([expect.stringContaining("the present rows")]) });
  });
});

describe("A12: writes a false but well-formed entry through the service's own role", () => {
  test("and it is on record like any other: the log proves that it was not changed, not that it is true; unsigned, it is said to be", async () => {
    copy = await record.copy();
    await falseAct("never happened");
    const { exit, report } = await withAnchors();
    expect(exit).toBe(0);
    expect(report.unsigned).toMatchObject({ from: record.last + 1, to: record.last + 1 });
    measured("attacks", "A1 to A6, A8 to A11 detected; A7 and A12 said to be out of reach");
  });
});

const falseAct = (what: string, times = 1): Promise<unknown> => {
  const body = { object: what, old: null, new: null, reason: null, from: null };
  const entry = JSON.stringify({ signals: [{ ref: -1, kind: "act", type: "record.read", actor: "mallory", body }] });
  return copy.query("select record_act($1, 'mallory', 'record.read', $2::jsonb, array[]::text[], $3) from generate_series(1, $4)", [
    SITE,
    JSON.stringify(body),
    entry,
    times,
  ]);
};
