import { describe, expect, test } from "vitest";
import { openCheckpoint, signCheckpoint } from "../../../src/audit/checkpoint.ts";
import { leafHash } from "../../../src/audit/hash.ts";
import { introductionOf } from "../../../src/audit/key-ring.ts";
import { mirrored } from "../../../src/audit/mirror.ts";
import { lookAgain, type Refused } from "../../../src/audit/signer.ts";
import type { Step } from "../../../src/audit/signer-options.ts";
import { rootInTile } from "../../../src/audit/tiles.ts";
import { testKey } from "../../support/keys.ts";
import { recursiveTree } from "./recursive-tree.ts";
import { filesOf, KEY, mirrorOf, outcome, run, SITE, signer, type World, world } from "./signer-world.ts";

// Promise: the signer signs what it holds itself, and stops as soon as the database shows less, or something else; a new one begins from the anchors alone.
// Attack: everything that an administrator of the database can do to its tables, and every loss of files, by name.

const kinds = (steps: readonly Step[]): readonly string[] => steps.map(({ kind }) => kind);
const rootOf = (at: World, from: number, to: number): Buffer => {
  const bytes = Array.from({ length: to - from + 1 }, (_, i) => at.db.entries.get(from + i) ?? Buffer.alloc(0));
  return recursiveTree(bytes).root(0, bytes.length);
};
const refusal = (because: Refused["because"], position: number | null, log: number | null = 1): object => ({ kind: "refused", because, position, log });

/** A log of so many signed entries. */
async function signed(count: number, change: Partial<World> = {}): Promise<World> {
  const at = world(change);
  expect(await outcome(at)).toEqual({ kind: "idle", checkpoint: null, position: 0 });
  at.db.commit(count);
  await run(signer(at));
  return at;
}

describe("signing", () => {
  test("covers every entry, in the mirror, in the database and for whoever asks", async () => {
    const at = world();
    const signing = signer(at);
    expect(kinds(await run(signing))).toEqual(["following", "idle"]);
    at.db.commit(7);
    const [step, idle] = await run(signing);
    expect(step).toMatchObject({ kind: "signed", log: 1, size: 7, position: 7, root: rootOf(at, 1, 7) });
    const note = step?.kind === "signed" ? step.note : "";
    expect(openCheckpoint(Buffer.from(note), [KEY.verifier])).toMatchObject({
      kind: "opened",
      checkpoint: { origin: "signalbox/rtm1/1", size: 7, root: rootOf(at, 1, 7), extensions: [] },
    });
    expect(idle).toMatchObject({ kind: "idle", checkpoint: { log: 1, size: 7, note }, position: 7 });
    expect((await mirrorOf(at)).notes).toEqual([note]);
    expect(at.db.checkpoints).toEqual([{ log: 1, size: 7, note }]);
  });

  test("takes a log at whatever position it begins, in batches, and goes on after a restart", async () => {
    const at = world({ batch: 4 });
    at.db.logs = [{ log: 1, origin: `${SITE}/1`, first: 100 }];
    await run(signer(at));
    at.db.entries.set(99, Buffer.from("before the log began"));
    at.db.commit(10);
    expect(kinds(await run(signer(at)))).toEqual(["signed", "signed", "signed", "idle"]);
    at.db.commit(1);
    expect(await signer(at).step()).toMatchObject({ kind: "signed", size: 11, position: 110, root: rootOf(at, 100, 110) });
    expect(await outcome(at)).toMatchObject({ kind: "idle", position: 110 });
  });

  test("hands over the tiles that it fills, once they are full", async () => {
    const at = await signed(255);
    expect(at.db.tiles.size).toBe(0);
    at.db.commit(258);
    await run(signer(at));
    expect([...at.db.tiles.keys()]).toEqual(["1:0:0", "1:0:1"]);
    expect(rootInTile(at.db.tiles.get("1:0:1")?.hashes ?? Buffer.alloc(0), 0, 256)).toEqual(rootOf(at, 257, 512));
  });

  test("hands over again what a database that was away lacks, tiles and all", async () => {
    const at = await signed(300);
    at.db.commit(300);
    const away = signer(at, { hand: () => Promise.reject(new Error("the database is away")) });
    await expect(away.step()).rejects.toThrow("the database is away");
    expect(at.db.checkpoints.map(({ size }) => size)).toEqual([300]);
    const again = signer(at);
    expect(await again.step()).toMatchObject({ kind: "idle", checkpoint: { size: 600 } });
    expect(at.db.checkpoints.map(({ size }) => size)).toEqual([300, 600]);
    expect([...at.db.tiles.keys()]).toEqual(["1:0:0", "1:0:1"]);
    // and the same within one process, where nothing is read anew
    at.db.commit(200);
    let reachable = false;
    const { hand } = {
      hand: async (...given: Parameters<NonNullable<Parameters<typeof signer>[1]>["hand"] & object>) => {
        if (!reachable) throw new Error("the database is away");
        at.db.checkpoints.push(given[0]);
        for (const tile of given[1]) at.db.tiles.set(`1:${tile.level}:${tile.n}`, tile);
      },
    };
    const same = signer(at, { hand });
    await expect(same.step()).rejects.toThrow("the database is away");
    await expect(same.step()).rejects.toThrow("the database is away");
    reachable = true;
    expect(await same.step()).toMatchObject({ kind: "idle" });
    expect(at.db.checkpoints.map(({ size }) => size)).toEqual([300, 600, 800]);
    expect([...at.db.tiles.keys()]).toEqual(["1:0:0", "1:0:1", "1:0:2"]);
  });
});

describe("a database that was changed behind its back is not signed any more", () => {
  const more = async (at: World): Promise<Step | undefined> => {
    at.db.commit(1);
    return outcome(at);
  };

  test("cut off", async () => {
    const at = await signed(10);
    at.db.entries.delete(10);
    expect(await outcome(at)).toMatchObject(refusal("shrunken", 10));
    for (let position = 4; position < 10; position += 1) at.db.entries.delete(position);
    expect(await outcome(at)).toMatchObject(refusal("shrunken", 4));
  });

  test("cut off and grown again", async () => {
    const at = await signed(10);
    for (const position of [8, 9, 10]) at.db.entries.delete(position);
    at.db.entries.set(8, Buffer.from("another history"));
    at.db.commit(5);
    expect(await outcome(at)).toMatchObject(refusal("diverging", 8));
  });

  test.each([1, 5, 10])("edited at %d", async (position) => {
    const at = await signed(10);
    at.db.entries.set(position, Buffer.from("edited"));
    expect(await more(at)).toMatchObject({
      ...refusal("diverging", position),
      detail: expect.stringContaining(leafHash(Buffer.from("edited")).toString("hex")),
    });
  });

  test("deleted from the middle, the first of what is wrong named", async () => {
    const at = await signed(10);
    at.db.entries.delete(5);
    at.db.entries.set(7, Buffer.from("edited"));
    expect(await more(at)).toMatchObject(refusal("missing", 5));
  });

  test("two entries swapped", async () => {
    const at = await signed(10);
    const [third, fourth] = [at.db.entries.get(3), at.db.entries.get(4)] as const;
    at.db.entries.set(3, fourth ?? Buffer.alloc(0)).set(4, third ?? Buffer.alloc(0));
    expect(await more(at)).toMatchObject(refusal("diverging", 3));
  });

  test("with a hole before the next entry, or within the next ones", async () => {
    const at = await signed(10);
    at.db.commit(3);
    at.db.entries.delete(11);
    expect(await outcome(at)).toMatchObject(refusal("gap", 11));
    at.db.entries.set(11, Buffer.from("11")).delete(12);
    expect(await outcome(at)).toMatchObject(refusal("gap", 12));
  });

  test("the log taken away, renamed, moved, or followed by one that is not the next", async () => {
    const at = await signed(10);
    const [log = { log: 1, origin: "", first: 1 }] = at.db.logs;
    at.db.logs = [];
    expect(await outcome(at)).toMatchObject(refusal("foreign-log", null));
    at.db.logs = [{ ...log, origin: "signalbox/other/1" }];
    expect(await outcome(at)).toMatchObject(refusal("foreign-log", null));
    at.db.logs = [{ ...log, first: 2 }];
    expect(await outcome(at)).toMatchObject(refusal("foreign-log", null));
    at.db.logs = [log, { log: 3, origin: `${SITE}/3`, first: 11 }];
    expect(await outcome(at)).toMatchObject(refusal("foreign-log", 11));
  });

  test("until it is put back as it was", async () => {
    const at = await signed(10);
    const signing = signer(at);
    const entry = at.db.entries.get(4) ?? Buffer.alloc(0);
    at.db.entries.set(4, Buffer.from("edited"));
    expect(kinds(await run(signing))).toEqual(["refused"]);
    expect(kinds(await run(signing))).toEqual(["refused"]);
    at.db.entries.set(4, entry);
    expect(kinds(await run(signing))).toEqual(["idle"]);
    expect((await mirrorOf(at)).notes).toHaveLength(1);
  });

  test("wherever it is, within as many steps as it takes to look at every leaf again", async () => {
    const at = await signed(1_000);
    for (const position of [1, 256, 257, 600, 999, 1_000]) {
      const entry = at.db.entries.get(position) ?? Buffer.alloc(0);
      at.db.entries.set(position, Buffer.from("edited"));
      const signing = signer(at);
      let last: Step | undefined;
      for (let steps = 0; steps < 16; steps += 1) last = await signing.step();
      expect(last).toMatchObject(refusal("diverging", position));
      at.db.entries.set(position, entry);
    }
  });
});

describe("what a step looks at again", () => {
  test.each([0, 1, 255, 256, 257, 1_000, 3_600 * 256, 3_600 * 256 + 1, 10_000_000])(
    "is every leaf of %d within 3,600 steps, but no more than 256 in one",
    (size) => {
      let at = 0;
      let seen = 0;
      let steps = 0;
      do {
        const { begin, end, next } = lookAgain(size, at);
        expect(begin).toBe(at);
        expect(end - begin).toBeLessThanOrEqual(256);
        seen += end - begin;
        at = next;
        steps += 1;
      } while (at !== 0);
      expect(seen).toBe(size);
      expect(steps).toBeLessThanOrEqual(Math.max(3_600, Math.ceil(size / 256)));
    },
  );

  test("begins anew where a log is smaller than the place to go on from", () => {
    expect(lookAgain(10, 300)).toEqual({ begin: 0, end: 10, next: 0 });
    expect(lookAgain(300, 300)).toEqual({ begin: 0, end: 64, next: 64 });
  });
});

describe("a signer without its state", () => {
  const forget = async (at: World): Promise<void> => {
    const files = filesOf(at);
    for (const name of [...files.keys()].filter((path) => path.startsWith("/state"))) files.delete(name);
  };

  async function anchoredThrice(): Promise<World> {
    const at = await signed(4, { batch: 3 });
    for (const count of [3, 5]) {
      at.db.commit(count);
      await run(signer(at));
    }
    await forget(at);
    return at;
  }

  test("begins from the anchors, and goes on", async () => {
    const at = await anchoredThrice();
    at.db.commit(2);
    const steps = await run(signer(at));
    expect(kinds(steps)).toEqual(["following", "following", "following", "following", "signed", "idle"]);
    expect(steps[3]).toEqual({ kind: "following", log: 1, size: 12, of: 12 });
    expect(steps[4]).toMatchObject({ size: 14, root: rootOf(at, 1, 14) });
    expect(kinds(await run(signer(at)))).toEqual(["idle"]);
  });

  test("refuses a database that does not give every anchored root, and says between which positions", async () => {
    const at = await anchoredThrice();
    at.db.entries.set(6, Buffer.from("edited"));
    expect(await outcome(at)).toMatchObject({ ...refusal("anchor-disagrees", null), detail: expect.stringContaining("from 5 to 7") });
  });

  test("refuses a database that is shorter than an anchor, or has a hole", async () => {
    const at = await anchoredThrice();
    at.db.entries.delete(12);
    expect(await outcome(at)).toMatchObject(refusal("shrunken", 12));
    at.db.commit(1);
    at.db.entries.delete(3);
    expect(await outcome(at)).toMatchObject(refusal("gap", 3));
    for (const position of [1, 2]) at.db.entries.delete(position);
    expect(await outcome(at)).toMatchObject(refusal("gap", 1));
  });

  test("refuses a log that has entries and no anchor, unless it is told to adopt it", async () => {
    const at = world();
    at.db.commit(3);
    expect(await outcome(at)).toMatchObject(refusal("no-anchor", 1));
    expect(at.db.checkpoints).toEqual([]);
    expect(kinds(await run(signer(at, { adopt: true })))).toEqual(["following", "signed", "idle"]);
    expect(kinds(await run(signer(at)))).toEqual(["idle"]);
  });

  test("refuses a mirror with notes of a stranger, of another log, altered ones, and two that contradict each other", async () => {
    const at = await anchoredThrice();
    const notes = (await mirrorOf(at)).notes;
    const root = leafHash(Buffer.from("another history"));
    const write = (...lines: readonly string[]): Promise<void> =>
      at.disk.replace("/mirror/log-1.notes", Buffer.from([...notes, ...lines].map((note) => mirrored(note, false)).join("")));
    const stranger = testKey(SITE, 9);
    await write(signCheckpoint({ origin: `${SITE}/1`, size: 20, root, extensions: [] }, [stranger]));
    expect(await outcome(at)).toMatchObject(refusal("unknown-key", null));
    await write(signCheckpoint({ origin: `${SITE}/2`, size: 20, root, extensions: [] }, [KEY]));
    expect(await outcome(at)).toMatchObject(refusal("mirror-disagrees", null));
    await write(notes[0]?.replace("\n3\n", "\n5\n") ?? "");
    expect(await outcome(at)).toMatchObject({ ...refusal("mirror-disagrees", null), detail: expect.stringContaining("false-signature") });
    await write(signCheckpoint({ origin: `${SITE}/1`, size: 4, root, extensions: [] }, [KEY]));
    expect(await outcome(at)).toMatchObject({ ...refusal("mirror-disagrees", null), detail: expect.stringContaining("two roots for size 4") });
    await write(notes[0] ?? "");
    expect(await outcome(at)).toMatchObject({ kind: "idle", position: 12 });
  });

  test("goes on from an older state over the anchors behind it", async () => {
    const at = await signed(4);
    const files = filesOf(at);
    const old = [...files].filter(([path]) => path.startsWith("/state"));
    at.db.commit(5);
    await run(signer(at));
    for (const [path, bytes] of old) files.set(path, bytes);
    at.db.commit(1);
    expect(kinds(await run(signer(at)))).toEqual(["following", "signed", "idle"]);
    for (const [path, bytes] of old) files.set(path, bytes);
    at.db.entries.set(7, Buffer.from("edited"));
    expect(await outcome(at)).toMatchObject({ ...refusal("anchor-disagrees", null), detail: expect.stringContaining("from 5 to 9") });
  });
});

test("leaves behind what was signed are forgotten at the start, and read again", async () => {
  const at = await signed(10);
  await at.disk.append("/state/log-1/leaves", Buffer.alloc(40, 7));
  expect(await outcome(at)).toMatchObject({ kind: "idle", position: 10 });
  expect(await at.disk.size("/state/log-1/leaves")).toBe(320);
});

describe("files that contradict each other are refused", () => {
  test.each([
    ["a state that is no JSON", "/state/log-1/state.json", () => Buffer.from("{")],
    ["a state of another log", "/state/log-1/state.json", (bytes: Buffer) => Buffer.from(bytes.toString().replace('"log": 1', '"log": 2'))],
    ["a state with another size", "/state/log-1/state.json", (bytes: Buffer) => Buffer.from(bytes.toString().replace('"size": 10', '"size": 9'))],
    ["a state beyond its leaves", "/state/log-1/state.json", (bytes: Buffer) => Buffer.from(bytes.toString().replace('"size": 10', '"size": 11'))],
    ["a state with a short root", "/state/log-1/state.json", (bytes: Buffer) => Buffer.from(bytes.toString().replace(/"root": ".{4}/, '"root": "'))],
    ["a state with a key that is none", "/state/log-1/state.json", (bytes: Buffer) => Buffer.from(bytes.toString().replace(`${SITE}+`, `${SITE}x+`))],
    ["a leaf with a bit turned", "/state/log-1/leaves", (bytes: Buffer) => Buffer.concat([Buffer.of((bytes[0] ?? 0) ^ 1), bytes.subarray(1)])],
    ["leaves that were cut", "/state/log-1/leaves", (bytes: Buffer) => bytes.subarray(0, -1)],
  ])("%s", async (_, path, change) => {
    const at = await signed(10);
    await at.disk.replace(path, change(await at.disk.read(path, 0, 10_000)));
    expect(await outcome(at)).toMatchObject({ kind: "refused", because: "damaged-state" });
  });

  test("leaves that were cut while it ran", async () => {
    const at = await signed(10);
    const signing = signer(at);
    await run(signing);
    await at.disk.cut("/state/log-1/leaves", 300);
    expect(await signing.step()).toMatchObject(refusal("damaged-state", null));
  });

  test.each([
    ["a mirror that was cut", (bytes: Buffer) => bytes.subarray(0, -10)],
    ["an empty mirror", () => Buffer.alloc(0)],
    ["a mirror with another text of the same length", (bytes: Buffer) => Buffer.from(bytes.toString().replace("rtm1/1", "rtm2/1"))],
  ])("%s", async (_, change) => {
    const at = await signed(10);
    const signing = signer(at);
    await run(signing);
    const whole = await at.disk.read("/mirror/log-1.notes", 0, 10_000);
    await at.disk.replace("/mirror/log-1.notes", change(whole));
    expect(await outcome(at)).toMatchObject(refusal("mirror-disagrees", null));
    if (change(whole).length !== whole.length) expect(await signing.step()).toMatchObject(refusal("mirror-disagrees", null));
  });

  test("but an empty mirror may be adopted, and holds the last checkpoint from then on", async () => {
    const at = await signed(10);
    const { notes } = await mirrorOf(at);
    await at.disk.replace("/mirror/log-1.notes", Buffer.alloc(0));
    expect(await outcome(at, { adopt: true })).toMatchObject({ kind: "idle", position: 10 });
    expect((await mirrorOf(at)).notes).toEqual(notes);
    await at.disk.replace("/mirror/log-1.notes", Buffer.from("something\n\n"));
    expect(await outcome(at, { adopt: true })).toMatchObject(refusal("mirror-disagrees", null));
  });

  test("a mirror to which somebody else writes", async () => {
    const at = await signed(10);
    const signing = signer(at);
    await run(signing);
    await at.disk.append("/mirror/log-1.notes", Buffer.from("more"));
    expect(await signing.step()).toMatchObject(refusal("mirror-disagrees", null));
  });
});

describe("keys follow each other", () => {
  const second = testKey(SITE, 2);

  test("by one checkpoint that both signed; what came before stays, and what comes after is the new one's", async () => {
    const at = await signed(3);
    at.db.commit(1);
    const [step] = await run(signer(at, { keys: [KEY, second] }));
    const note = step?.kind === "signed" ? step.note : "";
    expect(openCheckpoint(Buffer.from(note), [KEY.verifier, second.verifier])).toMatchObject({
      checkpoint: { size: 4, extensions: [introductionOf(second.verifier)] },
      by: [{ id: KEY.verifier.id }, { id: second.verifier.id }],
    });
    at.db.commit(1);
    const [after] = await run(signer(at, { keys: [KEY, second] }));
    expect(openCheckpoint(Buffer.from(after?.kind === "signed" ? after.note : ""), [second.verifier])).toMatchObject({
      checkpoint: { size: 5, extensions: [] },
      by: [{ id: second.verifier.id }],
    });
    at.db.commit(1);
    expect(await outcome(at, { keys: [KEY] })).toMatchObject(refusal("unknown-key", null));
    expect(await outcome(at, { keys: [second] })).toMatchObject({ kind: "idle", position: 6 });
    expect((await mirrorOf(at)).notes).toHaveLength(4);
  });

  test("also for a signer that begins from the anchors, if it is told whom to trust first", async () => {
    const at = await signed(3);
    for (const keys of [[KEY, second] as const, [second] as const]) {
      at.db.commit(1);
      await run(signer(at, { keys }));
    }
    const files = filesOf(at);
    for (const name of [...files.keys()].filter((path) => path.startsWith("/state"))) files.delete(name);
    expect(await outcome(at, { keys: [second] })).toMatchObject(refusal("unknown-key", null));
    expect(await outcome(at, { keys: [second], trust: [KEY.verifier] })).toMatchObject({ kind: "idle", position: 5 });
    at.db.commit(1);
    expect(kinds(await run(signer(at, { keys: [second] })))).toEqual(["signed", "idle"]);
  });

  test("and nobody signs for a key that is not the one that signs now", async () => {
    const at = await signed(3);
    at.db.commit(1);
    expect(await outcome(at, { keys: [second] })).toMatchObject(refusal("unknown-key", null));
    expect((await mirrorOf(at)).notes).toHaveLength(1);
  });
});

describe("logs follow each other", () => {
  const opens = (at: World, log: number, first: number): void => void at.db.logs.push({ log, origin: `${SITE}/${log}`, first });

  test("the former one is signed to its end before the first checkpoint of the next", async () => {
    const at = await signed(3);
    at.db.commit(6);
    opens(at, 2, 8);
    expect(kinds(await run(signer(at)))).toEqual(["signed", "ended", "following", "signed", "idle"]);
    expect(at.db.checkpoints.map(({ log, size }) => [log, size])).toEqual([
      [1, 3],
      [1, 7],
      [2, 2],
    ]);
    expect(openCheckpoint(Buffer.from(at.db.checkpoints[2]?.note ?? ""), [KEY.verifier])).toMatchObject({
      checkpoint: { origin: `${SITE}/2`, size: 2, root: rootOf(at, 8, 9) },
    });
    at.db.commit(1);
    expect(await outcome(at)).toMatchObject({ kind: "idle", checkpoint: { log: 2, size: 3 }, position: 10 });
  });

  test("the key that signs now goes with them", async () => {
    const second = testKey(SITE, 2);
    const at = await signed(3);
    at.db.commit(1);
    await run(signer(at, { keys: [KEY, second] }));
    at.db.commit(1);
    opens(at, 2, 5);
    expect(kinds(await run(signer(at, { keys: [second] })))).toEqual(["ended", "following", "signed", "idle"]);
  });

  test("an entry that is missing at the end of the former one is a gap, not its end", async () => {
    const at = await signed(3);
    at.db.commit(3);
    opens(at, 2, 6);
    at.db.entries.delete(4);
    at.db.entries.delete(5);
    expect(await outcome(at)).toMatchObject(refusal("gap", 4));
  });

  test("a next log that begins before the end of what was signed is a break, which somebody must have told the signer of", async () => {
    const at = await signed(10);
    for (let position = 7; position <= 10; position += 1) at.db.entries.delete(position);
    expect(await outcome(at)).toMatchObject(refusal("shrunken", 7));
    opens(at, 2, 7);
    at.db.commit(2);
    expect(await outcome(at)).toMatchObject(refusal("broken-off", 7));
    expect(await outcome(at, { breaks: [{ log: 3, first: 7 }] })).toMatchObject(refusal("broken-off", 7));
    expect(await outcome(at, { breaks: [{ log: 2, first: 8 }] }), "a break that was told for another place").toMatchObject(refusal("broken-off", 7));
    const edited = at.db.entries.get(2) ?? Buffer.alloc(0);
    at.db.entries.set(2, Buffer.from("edited"));
    expect(await outcome(at, { breaks: [{ log: 2, first: 7 }] })).toMatchObject(refusal("diverging", 2));
    at.db.entries.set(2, edited);
    const steps = await run(signer(at, { breaks: [{ log: 2, first: 7 }] }));
    expect(steps[0]).toEqual({ kind: "ended", log: 1, how: "broken", next: 2 });
    expect(steps.at(-1)).toMatchObject({ kind: "idle", checkpoint: { log: 2, size: 2 }, position: 8 });
    expect(kinds(await run(signer(at)))).toEqual(["idle"]);
  });

  test("a restore of a backup that is older than the whole log begins the next one in its place, if the signer was told of it", async () => {
    const at = await signed(6);
    at.db.commit(2);
    opens(at, 2, 9);
    at.db.commit(4);
    await run(signer(at));
    // the backup has log 1 up to position 5, and knows nothing of log 2
    for (let position = 6; position <= 12; position += 1) at.db.entries.delete(position);
    at.db.logs.pop();
    expect(await outcome(at)).toMatchObject({ because: "foreign-log" });
    opens(at, 3, 6);
    at.db.commit(2);
    expect(await outcome(at)).toMatchObject({ because: "foreign-log" });
    const steps = await run(signer(at, { breaks: [{ log: 3, first: 6 }] }));
    expect(steps[0]).toEqual({ kind: "ended", log: 2, how: "broken", next: 3 });
    expect(steps.at(-1)).toMatchObject({ kind: "idle", checkpoint: { log: 3, size: 2 }, position: 7 });
  });

  test("an entry of a log that has ended is looked at again too", async () => {
    const at = await signed(600);
    opens(at, 2, 601);
    at.db.commit(3);
    await run(signer(at));
    const { step } = signer(at);
    at.db.entries.set(555, Buffer.from("edited"));
    const steps: Step[] = [];
    while (steps.at(-1)?.kind !== "refused" && steps.length < 10) steps.push(await step());
    expect(steps.at(-1)).toMatchObject(refusal("diverging", 555));
  });

  test("a signer without state follows them all from their anchors, over a break if it is told of it", async () => {
    const at = await signed(4);
    at.db.commit(6);
    await run(signer(at));
    for (let position = 7; position <= 10; position += 1) at.db.entries.delete(position);
    opens(at, 2, 7);
    at.db.commit(2);
    const breaks = [{ log: 2, first: 7 }];
    await run(signer(at, { breaks }));
    const files = filesOf(at);
    for (const name of [...files.keys()].filter((path) => path.startsWith("/state"))) files.delete(name);
    expect(await outcome(at)).toMatchObject(refusal("broken-off", 7));
    const before = await mirrorOf(at);
    const steps = await run(signer(at, { breaks }));
    expect(await mirrorOf(at)).toEqual(before);
    expect(steps).toMatchObject([
      { kind: "ended", log: 1, how: "broken" },
      { kind: "following", log: 2, size: 2, of: 2 },
      { kind: "idle", position: 8 },
    ]);
  });

  test("a next log that is gone again is a foreign one", async () => {
    const at = await signed(3);
    opens(at, 2, 4);
    at.db.commit(1);
    await signer(at).step();
    at.db.logs = at.db.logs.slice(0, 1);
    expect(await outcome(at)).toMatchObject(refusal("foreign-log", null));
  });
});

describe("a disposal", () => {
  const gone = (at: World, from: number, to: number): void => {
    for (let position = from; position <= to; position += 1) at.db.entries.delete(position);
  };
  const told = (through: number) => ({ disposed: async () => through });
  /** What the checkpoints say, one after the other, beside origin, size and root. */
  const saying = async (at: World): Promise<readonly (readonly string[])[]> =>
    (await mirrorOf(at)).notes.map((note) => {
      const opened = openCheckpoint(Buffer.from(note), [KEY.verifier]);
      return opened.kind === "opened" ? opened.checkpoint.extensions : [opened.because];
    });

  test("of which the signer was told is no loss, and its next checkpoint says so, once", async () => {
    const at = await signed(600);
    gone(at, 1, 300);
    expect(await outcome(at, told(300))).toMatchObject({ kind: "idle", position: 600 });
    for (const _ of [1, 2]) {
      at.db.commit(1);
      await run(signer(at, told(300)));
    }
    expect(await saying(at)).toEqual([[], ["disposed 300"], []]);
    // and from its own state it knows it for good
    expect(await outcome(at)).toMatchObject({ kind: "idle", position: 602 });
  });

  test("is said again in the first checkpoint of each next log: a restore may have lost the one that said it first", async () => {
    const at = await signed(600);
    gone(at, 1, 300);
    at.db.commit(1);
    await run(signer(at, told(300)));
    at.db.logs = [...at.db.logs, { log: 2, origin: `${SITE}/2`, first: 602 }];
    for (const _ of [1, 2]) {
      at.db.commit(1);
      await run(signer(at));
    }
    const said = (await mirrorOf(at, 2)).notes.map((note) => note.split("\n").filter((line) => line.startsWith("disposed")));
    expect(said).toEqual([["disposed 300"], []]);
  });

  test("of which nobody has told it is found by looking again, and so is more than it was told of", async () => {
    const at = await signed(600);
    gone(at, 1, 300);
    expect(await outcome(at)).toMatchObject(refusal("missing", 1));
    gone(at, 301, 301);
    expect(await outcome(at, told(300))).toMatchObject(refusal("missing", 301));
  });

  test("is known to a signer without state from the mirror; it takes the leaves that were kept as far as they give the anchored roots", async () => {
    const at = await signed(600);
    at.db.commit(1);
    gone(at, 1, 300);
    await run(signer(at, told(300)));
    const files = filesOf(at);
    const loseState = (): void => {
      for (const name of [...files.keys()].filter((path) => path.startsWith("/state"))) files.delete(name);
    };
    loseState();
    expect(await run(signer(at))).toMatchObject([
      { kind: "following", size: 601 },
      { kind: "idle", position: 601 },
    ]);
    loseState();
    const tile = at.db.tiles.get("1:0:0");
    if (tile === undefined) throw new Error("there is no tile");
    const hashes = Buffer.from(tile.hashes);
    hashes[40] = (hashes[40] ?? 0) ^ 1;
    at.db.tiles.set("1:0:0", { ...tile, hashes });
    expect(await outcome(at)).toMatchObject({ kind: "refused", because: "anchor-disagrees" });
    loseState();
    at.db.tiles.delete("1:0:0");
    expect(await outcome(at)).toMatchObject(refusal("gap", 1));
  });
});
