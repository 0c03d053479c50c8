// Promise: `signalbox verify` finds a record sound that nobody touched, names the column of the row that is wrong in one that somebody did, and says what it cannot tell.
// Attack: one column of each table of a real record, changed by a superuser; rows added and taken away; no key, another's key, no database.
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signingKey } from "../../../src/audit/note-key.ts";
import { type Copy, runVerify, SITE, type SignedRecord, signedRecord, type Verification } from "../../support/signed-record.ts";

let record: SignedRecord;
let copy: Copy;

beforeAll(async () => {
  record = await signedRecord();
  copy = await record.copy();
});
afterAll(async () => {
  await record?.drop();
});

const verify = (...args: string[]): Promise<Verification> => runVerify(["--key", record.vkey, ...args], { DATABASE_URL: copy.runtimeUrl });

test("a record that nobody touched is sound, and all of it is covered by checkpoints and anchors", async () => {
  const { exit, report } = await verify("--anchors", record.mirror);
  expect(report.findings).toEqual([]);
  expect(exit).toBe(0);
  expect(report).toMatchObject({
    site: SITE,
    result: "sound",
    positions: { from: 1, to: record.last },
    entries: record.last,
    unsigned: null,
    unanchored: null,
    first: null,
  });
  expect(report.checkpoints).toBeGreaterThan(3);
  expect(report.anchors).toBe(report.checkpoints);
});

test("one column of each table of the record, changed: each is named, the first by position first", async () => {
  copy = await record.copy();
  const changes = [
    ["evidence", "value", "'12.500'"],
    ["exceptions", "reason", "'nothing of note'"],
    ["audit_numbers", "number", "number + 1000"],
    ["verdicts", "reason", "'all is well'"],
    ["facts", "data", 'data || \'{"call":"other"}\''],
    ["outcomes", "sequence", "sequence + 1000"],
    ["signals", "source", "source || 'x'"],
    ["verdicts", "explanation", '\'{"permitted":[],"guards":[{"ok":false}]}\''],
    ["signals", "received_at", "received_at + interval '1 microsecond'"],
  ] as const;
  const made: { readonly table: string; readonly column: string; readonly position: number }[] = [];
  for (const [table, column, value] of changes) {
    const taken = made.map(({ position }) => position);
    const rows = await copy.query(
      `select position::int as position from ${table} where site = $1 and position > 8 and not position = any ($2::bigint[]) order by position`,
      [SITE, taken],
    );
    const position = Number(rows[0]?.["position"]);
    expect(position, table).toBeGreaterThan(0);
    await copy.query(`update ${table} set ${column} = ${value} where site = $1 and position = $2`, [SITE, position]);
    made.push({ table, column, position });
  }
  const { exit, report } = await verify();
  expect(exit).toBe(1);
  const found = report.findings.map(({ table, column, key }) => ({ table, column, position: Number(key["position"]) }));
  for (const change of made) expect(found).toContainEqual(change);
  expect(found).toHaveLength(made.length);
  expect(report.first?.position).toBe(Math.min(...made.map(({ position }) => position)));
});

test("rows that no entry tells of, and rows that are gone", async () => {
  copy = await record.copy();
  const [fact] = await copy.query("select position::int as position from facts where batch is null order by position desc limit 1");
  const [outcome] = await copy.query("select position::int as position from outcomes order by position limit 1");
  await copy.query(
    "insert into facts select opened_on, site, position, 9::smallint, kind, batch, number, step, attempt, equipment, from_state, to_state, state_machine, data, recorded_at from facts where position = $1 limit 1",
    [fact?.["position"]],
  );
  await copy.query("delete from outcomes where position = $1", [outcome?.["position"]]);
  const { exit, report } = await verify();
  expect(exit).toBe(1);
  expect(report.findings).toMatchObject([
    { severity: "altered", table: "facts", position: fact?.["position"], stored: "a row", expected: null },
    { severity: "incomplete", table: "outcomes", position: outcome?.["position"], stored: null, expected: "a row" },
  ]);
  await copy.query("delete from facts where ordinal = 9");
  expect((await verify()).exit).toBe(3);
});

describe("what cannot be told ends with 4", () => {
  beforeAll(async () => {
    copy = await record.copy();
  });
  test("without a key", async () => {
    const { exit, report } = await runVerify([], { DATABASE_URL: copy.runtimeUrl });
    expect(exit).toBe(4);
    expect(report).toMatchObject({ result: "cannot tell", findings: [{ severity: "unclear", detail: expect.stringContaining("No key was given") }] });
  });
  test("with the key of another site", async () => {
    const other = join(record.home, "other.vkey");
    writeFileSync(other, `${signingKey("signalbox/elsewhere", generateKeyPairSync("ed25519").privateKey).verifier.text}\n`);
    const { exit, report } = await runVerify(["--key", other], { DATABASE_URL: copy.runtimeUrl });
    expect([exit, report.first?.severity, report.checkpoints]).toEqual([4, "unclear", 0]);
  });
  test("with a database that is away, a key file that is none, anchors that are not there", async () => {
    for (const [args, url] of [
      [["--key", record.vkey], "postgres://nobody@127.0.0.1:1/nothing"],
      [["--key", join(record.state, SITE, "signer.pem")], copy.runtimeUrl],
      [["--key", record.vkey, "--anchors", join(record.home, "nowhere")], copy.runtimeUrl],
    ] as const) {
      const { exit, report, err } = await runVerify(args, { DATABASE_URL: url });
      expect([exit, report]).toEqual([4, null]);
      expect(err).toContain("Cannot tell.");
    }
  });
  test("but a changed entry is seen without a key", async () => {
    await copy.query("update audit_entries set entry = set_byte(entry, 9, get_byte(entry, 9) # 1) where position = 20");
    expect((await runVerify([], { DATABASE_URL: copy.runtimeUrl })).exit).toBe(1);
  });
});
