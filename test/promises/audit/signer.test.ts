// Promise: the signer signs each entry of a real database once, in order, and readers get proofs of any of them out of what it hands over; it stops where the database was changed.
// Attack: 70,000 entries, so that tiles of two levels are full and others are not; logs that begin while it looks; entries too large to be taken together; and an administrator's SQL.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openCheckpoint } from "../../../src/audit/checkpoint.ts";
import { disk } from "../../../src/audit/disk.file.ts";
import { Frontier } from "../../../src/audit/frontier.ts";
import { type Hash, leafHash } from "../../../src/audit/hash.ts";
import { handCheckpoint, lookAtLog, readLogs } from "../../../src/audit/log.store.ts";
import type { SigningKey } from "../../../src/audit/note-key.ts";
import { type ProofReader, proofReader } from "../../../src/audit/proofs.store.ts";
import { loadSigningKey } from "../../../src/audit/signer-key.file.ts";
import type { Step } from "../../../src/audit/signer-options.ts";
import { signerFiles } from "../../../src/audit/signer-state.file.ts";
import { createSigner } from "../../../src/audit/signing.ts";
import { refuseConsistency, refuseInclusion } from "../../../src/audit/verify-proof.ts";
import { type Db, openDatabase } from "../../../src/db/database.ts";
import { freshDatabase } from "../../support/postgres.ts";

const SITE = "rtm1";
const LOG = { log: 1, origin: "signalbox/rtm1/1", first: 1 };
const home = mkdtempSync(join(tmpdir(), "signalbox-signer-"));
let database: Awaited<ReturnType<typeof freshDatabase>>;
let opened: ReturnType<typeof openDatabase>;
let db: Db;
let key: SigningKey;

beforeAll(async () => {
  database = await freshDatabase();
  opened = openDatabase(database.runtimeUrl, { max: 4, applicationName: "signalbox signer" });
  db = opened.db;
  key = await loadSigningKey(disk, join(home, "signer.pem"), "signalbox/rtm1", true);
});
afterAll(async () => {
  await opened?.close();
  await database?.drop();
  rmSync(home, { recursive: true, force: true });
});

/** A site of its own for each part of this file. */
async function site(name: string): Promise<void> {
  await database.query(`insert into sites (site) values ('${name}'); select ensure_partitions(100000)`);
}

/** Entries from a position to another, as an administrator could write them. */
const write = (name: string, from: number, to: number, what = "entry"): Promise<unknown> =>
  database.query(
    `insert into audit_entries (site, position, entry) select '${name}', n, convert_to('${what} ' || n, 'UTF8') from generate_series(${from}, ${to}) n`,
  );

const leafOf = (position: number): Hash => leafHash(Buffer.from(`entry ${position}`));

function signer(name: string, adopt = false): { step(): Promise<Step> } {
  return createSigner({
    files: signerFiles({ disk, state: join(home, name, "state"), mirror: join(home, name, "mirror") }),
    look: (ask) => lookAtLog(db, name, ask),
    hand: (checkpoint, tiles) => handCheckpoint(db, name, checkpoint, tiles),
    keys: [key],
    adopt,
  });
}

async function run(name: string): Promise<readonly Step[]> {
  const { step } = signer(name);
  const steps: Step[] = [];
  for (;;) {
    steps.push(await step());
    const { kind } = steps.at(-1) ?? { kind: "idle" };
    if (kind === "idle" || kind === "refused") return steps;
  }
}

/** What an administrator does, past all triggers. */
const asAdministrator = (statement: string): Promise<unknown> => database.query(`set session_replication_role = replica; ${statement}`);

describe("70,000 entries", () => {
  const SIZE = 70_000;
  const roots = new Map<number, Hash>();
  let reader: ProofReader;

  beforeAll(async () => {
    await site(SITE);
    expect((await run(SITE)).map(({ kind }) => kind)).toEqual(["following", "idle"]);
    await write(SITE, 1, SIZE);
    const tree = new Frontier();
    for (let position = 1; position <= SIZE; position += 1) {
      tree.append(leafOf(position));
      roots.set(tree.size, tree.root());
    }
    reader = proofReader(db, SITE, LOG);
  });

  test("are signed in order, in batches, each checkpoint over the tree that they make", async () => {
    const steps = await run(SITE);
    expect(steps.at(-1)).toMatchObject({ kind: "idle", position: SIZE });
    expect(steps.filter(({ kind }) => kind === "signed")).toHaveLength(Math.ceil(SIZE / 4_096));
    const stored = await database.query(`select size::int, root, note from audit_checkpoints where site = '${SITE}' order by size`);
    expect(stored.map(({ size }) => size)).toEqual(steps.flatMap((step) => (step.kind === "signed" ? [step.size] : [])));
    for (const { size, root, note } of stored) {
      expect(root).toEqual(roots.get(Number(size)));
      expect(openCheckpoint(Buffer.from(String(note)), [key.verifier])).toMatchObject({ kind: "opened", checkpoint: { origin: LOG.origin, size, root } });
    }
    expect(await readLogs(db, SITE)).toEqual([LOG]);
  });

  test("have all their full tiles in the database", async () => {
    const tiles = await database.query(`select level::int, count(*)::int, max(n)::int from audit_tiles where site = '${SITE}' group by level order by level`);
    expect(tiles).toEqual([
      { level: 0, count: 273, max: 272 },
      { level: 1, count: 1, max: 0 },
    ]);
  });

  test("can each be proved, in the tree of any size that holds it", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: SIZE }), fc.nat({ max: SIZE - 1 }), async (size, anywhere) => {
        const index = anywhere % size;
        const root = roots.get(size) ?? Buffer.alloc(0);
        expect(refuseInclusion({ index, size, leaf: leafOf(index + 1), proof: (await reader.inclusion(index, size)) ?? [], root })).toBe(null);
      }),
      {
        numRuns: 200,
        examples: [
          [SIZE, 0],
          [SIZE, SIZE - 1],
          [1, 0],
          [256, 255],
          [65_536, 3],
          [65_537, 65_536],
        ],
      },
    );
    await expect(reader.inclusion(SIZE, SIZE)).rejects.toThrow(RangeError);
  });

  test("and every tree is shown to begin with every smaller one", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: SIZE }), fc.integer({ min: 1, max: SIZE }), async (one, other) => {
        const [first, second] = [Math.min(one, other), Math.max(one, other)];
        const [firstRoot, secondRoot] = [roots.get(first) ?? Buffer.alloc(0), roots.get(second) ?? Buffer.alloc(0)];
        expect(refuseConsistency({ first, second, firstRoot, secondRoot, proof: (await reader.consistency(first, second)) ?? [] })).toBe(null);
      }),
      { numRuns: 200 },
    );
    await expect(reader.consistency(0, SIZE)).rejects.toThrow(RangeError);
  });

  test("cannot be proved where a tile is gone that cannot be made anew, and falsely nowhere", async () => {
    const root = roots.get(SIZE) ?? Buffer.alloc(0);
    await asAdministrator(`update audit_tiles set hashes = set_byte(hashes, 33, get_byte(hashes, 33) # 1) where site = '${SITE}' and level = 0 and n = 3`);
    const altered = await proofReader(db, SITE, LOG).inclusion(3 * 256, SIZE);
    expect(refuseInclusion({ index: 3 * 256, size: SIZE, leaf: leafOf(3 * 256 + 1), proof: altered ?? [], root })).toBe("another-root");
    // a tile of leaf hashes is made anew from the entries that are there
    await asAdministrator(`delete from audit_tiles where site = '${SITE}' and level = 0 and n = 3`);
    const anew = await proofReader(db, SITE, LOG).inclusion(3 * 256, SIZE);
    expect(refuseInclusion({ index: 3 * 256, size: SIZE, leaf: leafOf(3 * 256 + 1), proof: anew ?? [], root })).toBe(null);
    // the roots above one that is gone are not
    await asAdministrator(`delete from audit_tiles where site = '${SITE}' and level = 0 and n = 260`);
    expect(await proofReader(db, SITE, LOG).inclusion(0, SIZE)).toBe(null);
  });

  test("are looked at again: an edit by an administrator stops the signer, and is named", async () => {
    await asAdministrator(`update audit_entries set entry = 'edited' where site = '${SITE}' and position = 200`);
    const { step } = signer(SITE);
    let last = await step();
    for (let steps = 0; steps < Math.ceil(SIZE / 64) && last.kind === "idle"; steps += 1) last = await step();
    expect(last).toMatchObject({ kind: "refused", because: "diverging", position: 200 });
  });
});

describe("an administrator's SQL", () => {
  // What is no text comes out of a text as U+FFFD, whose bytes are ef bf bd: an entry that held these could have been changed into what reads the same.
  test("that puts in the place of an entry's bytes what reads the same as text is refused by name", async () => {
    await site("unreadable");
    await run("unreadable");
    await database.query(
      "insert into audit_entries (site, position, entry) select 'unreadable', n, case n when 2 then '\\x00ff80fe' when 3 then '\\xefbfbd' else 'entry' end::bytea from generate_series(1, 4) n",
    );
    const tree = new Frontier();
    for (const bytes of [Buffer.from("entry"), Buffer.from("00ff80fe", "hex"), Buffer.from("efbfbd", "hex"), Buffer.from("entry")])
      tree.append(leafHash(bytes));
    expect((await run("unreadable")).slice(-2)).toMatchObject([
      { kind: "signed", root: tree.root() },
      { kind: "idle", position: 4 },
    ]);
    await asAdministrator("update audit_entries set entry = '\\xff' where site = 'unreadable' and position = 3");
    expect((await run("unreadable")).at(-1)).toMatchObject({ kind: "refused", because: "diverging", position: 3 });
  });

  test("that cuts the log off, or takes an entry out of it, or opens another log over it, is refused by name", async () => {
    await site("cut");
    await run("cut");
    await write("cut", 1, 120);
    await run("cut");
    await asAdministrator("delete from audit_entries where site = 'cut' and position > 99");
    expect((await run("cut")).at(-1)).toMatchObject({ kind: "refused", because: "shrunken", position: 100 });
    await write("cut", 100, 121);
    await asAdministrator("delete from audit_entries where site = 'cut' and position = 9");
    expect((await run("cut")).at(-1)).toMatchObject({ kind: "refused", because: "missing", position: 9 });
    await write("cut", 9, 9);
    await asAdministrator(
      "insert into audit_logs (site, log, generation, first_position, origin, why) values ('cut', 2, 2, 101, 'signalbox/cut/2', 'restore')",
    );
    expect((await run("cut")).at(-1)).toMatchObject({ kind: "refused", because: "broken-off", position: 101 });
    await asAdministrator("update audit_logs set origin = 'signalbox/other/1' where site = 'cut' and log = 1");
    expect((await run("cut")).at(-1)).toMatchObject({ kind: "refused", because: "foreign-log" });
  });
});

describe("a look", () => {
  test("takes no more than 4,096 entries and 8 MiB, and one entry whatever it weighs, in the order of positions", async () => {
    await site("heavy");
    await write("heavy", 1, 5_000);
    const { next, last, again } = await lookAtLog(db, "heavy", {
      log: 1,
      after: 0,
      again: [
        [8, 12],
        [99, 99],
      ],
    });
    expect(next.map(({ position }) => position)).toEqual(Array.from({ length: 4_096 }, (_, i) => i + 1));
    expect(last).toBe(5_000);
    expect(again.map(({ position, bytes }) => [position, Buffer.from(bytes).toString()]).sort(([one], [other]) => Number(one) - Number(other))).toEqual(
      [8, 9, 10, 11, 12, 99].map((position) => [position, `entry ${position}`]),
    );
    await database.query(`insert into audit_entries select 'heavy', n, convert_to(repeat('x', 3 * 1024 * 1024), 'UTF8') from generate_series(5001, 5004) n`);
    await database.query(`insert into audit_entries values ('heavy', 5005, convert_to(repeat('x', 9 * 1024 * 1024), 'UTF8')), ('heavy', 5006, 'x')`);
    const positionsAfter = async (after: number): Promise<readonly number[]> =>
      (await lookAtLog(db, "heavy", { log: 1, after, again: [] })).next.map(({ position }) => position);
    expect(await positionsAfter(5_000)).toEqual([5_001, 5_002, 5_003]);
    expect(await positionsAfter(5_003)).toEqual([5_004, 5_005]);
    expect(await positionsAfter(5_004)).toEqual([5_005]);
    expect(await positionsAfter(5_005)).toEqual([5_006]);
  });

  test("is of one moment: it never shows an entry of a log that it does not show", async () => {
    await site("moments");
    const opening = (async () => {
      for (let log = 2; log <= 40; log += 1)
        await database.query(
          `begin; insert into audit_logs (site, log, generation, first_position, origin, why) values ('moments', ${log}, 1, ${log - 1}, 'signalbox/moments/${log}', 'rotation');
           insert into audit_entries values ('moments', ${log - 1}, 'first of its log'); commit`,
        );
    })();
    let looks = 0;
    for (let reached = 1; reached < 40; looks += 1) {
      const { logs, last, next } = await lookAtLog(db, "moments", { log: 1, after: 0, again: [] });
      reached = logs.length;
      expect(last).toBe(reached - 1);
      expect(next).toHaveLength(reached - 1);
    }
    await opening;
    expect(looks).toBeGreaterThan(1);
  });

  test("of a site that has nothing shows nothing", async () => {
    expect(await lookAtLog(db, "nowhere", { log: null, after: 0, again: [[1, 2]] })).toEqual({ logs: [], last: 0, again: [], next: [], handed: 0 });
  });
});

test("what was handed over before is left as it was", async () => {
  await site("twice");
  await write("twice", 1, 3);
  const root = leafHash(Buffer.from("first"));
  const tile = { level: 0, n: 0, hashes: Buffer.alloc(8_192, 1) };
  await handCheckpoint(db, "twice", { log: 1, size: 3, root, note: "first" }, [tile]);
  await handCheckpoint(db, "twice", { log: 1, size: 3, root: leafHash(Buffer.from("second")), note: "second" }, [{ ...tile, hashes: Buffer.alloc(8_192, 2) }]);
  expect(await database.query("select note, root from audit_checkpoints where site = 'twice'")).toEqual([{ note: "first", root }]);
  expect(await database.query("select get_byte(hashes, 0) as byte from audit_tiles where site = 'twice'")).toEqual([{ byte: 1 }]);
  expect((await lookAtLog(db, "twice", { log: 1, after: null, again: [] })).handed).toBe(3);
  expect((await lookAtLog(db, "twice", { log: null, after: null, again: [] })).handed).toBe(0);
  // all or nothing: a tile that the database refuses takes the checkpoint with it
  await expect(handCheckpoint(db, "twice", { log: 1, size: 4, root, note: "more" }, [{ ...tile, n: 1, hashes: Buffer.alloc(5) }])).rejects.toThrow();
  expect((await lookAtLog(db, "twice", { log: 1, after: null, again: [] })).handed).toBe(3);
});
