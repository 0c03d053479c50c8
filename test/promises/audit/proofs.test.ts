// Promise: whoever has the signer's public key needs to trust nothing else: over REST come the entry's bytes, a proof that leads from them to the root that was signed, and the signed note; and
// of two sizes of a log a proof that the one begins with the other. What is not signed is not proven, and what was altered is not either.
// Attack: entries anywhere in two logs, verified by code that shares none with the service; every part of a proof changed; the last tile altered and an entry edited by an administrator.
// SIGNALBOX_PROOF_ENTRIES=1000000 makes the first log that long, and measures.
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openCheckpoint } from "../../../src/audit/checkpoint.ts";
import { disk } from "../../../src/audit/disk.file.ts";
import { handCheckpoint, lookAtLog } from "../../../src/audit/log.store.ts";
import type { SigningKey } from "../../../src/audit/note-key.ts";
import { loadSigningKey } from "../../../src/audit/signer-key.file.ts";
import { signerFiles } from "../../../src/audit/signer-state.file.ts";
import { createSigner } from "../../../src/audit/signing.ts";
import { refuseConsistency, refuseInclusion } from "../../../src/audit/verify-proof.ts";
import { openDatabase } from "../../../src/db/database.ts";
import { measured, SEED, seeded } from "../../support/measure.ts";
import { type Plant, startPlant } from "../../support/plant.ts";

const SITE = "proofs";
const FIRST_LOG = Number(process.env["SIGNALBOX_PROOF_ENTRIES"] ?? 70_000);
const SECOND_LOG = 1_234;
const LAST = FIRST_LOG + SECOND_LOG;
const home = mkdtempSync(join(tmpdir(), "signalbox-proofs-"));
const random = seeded(SEED);
let plant: Plant;
let opened: ReturnType<typeof openDatabase>;
let key: SigningKey;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded" });
  opened = openDatabase(plant.database.runtimeUrl, { max: 2, applicationName: "signalbox signer" });
  key = await loadSigningKey(disk, join(home, "signer.pem"), `signalbox/${SITE}`, true);
  await plant.database.query(`insert into sites (site) values ('${SITE}'); select ensure_partitions(${LAST + 10})`);
  await write(1, FIRST_LOG);
  await sign();
  await plant.database.query(
    `insert into audit_logs (site, log, generation, first_position, origin, why) values ('${SITE}', 2, 1, ${FIRST_LOG + 1}, 'signalbox/${SITE}/2', 'rotation')`,
  );
  for (const [from, to] of [
    [1, 300],
    [301, 1_000],
    [1_001, SECOND_LOG],
  ] as const) {
    await write(FIRST_LOG + from, FIRST_LOG + to);
    await sign();
  }
  await write(LAST + 1, LAST + 2);
}, 600_000);
afterAll(async () => {
  await opened?.close();
  await plant?.stop();
  rmSync(home, { recursive: true, force: true });
});

const write = (from: number, to: number): Promise<unknown> =>
  plant.database.query(
    `insert into audit_entries (site, position, entry) select '${SITE}', n, convert_to('entry ' || n, 'UTF8') from generate_series(${from}, ${to}) n`,
  );
const asAdministrator = (statement: string): Promise<unknown> => plant.database.query(`set session_replication_role = replica; ${statement}`);

async function sign(): Promise<void> {
  const { step } = createSigner({
    files: signerFiles({ disk, state: join(home, "state"), mirror: join(home, "mirror") }),
    look: (ask) => lookAtLog(opened.db, SITE, ask),
    hand: (checkpoint, tiles) => handCheckpoint(opened.db, SITE, checkpoint, tiles),
    keys: [key],
    adopt: true,
  });
  for (;;) {
    const { kind } = await step();
    if (kind === "refused") throw new Error("the signer refuses");
    if (kind === "idle") return;
  }
}

interface Proof {
  readonly position: number;
  readonly entry: string;
  readonly leafHash: string;
  readonly log: number;
  readonly origin: string;
  readonly index: number;
  readonly proof: readonly string[];
  readonly checkpoint: { readonly size: number; readonly rootHash: string; readonly note: string };
}

const asked = (position: number) => plant.ask("GET", `/v1/audit/sites/${SITE}/entries/${position}/proof`);
async function proofOf(position: number): Promise<Proof> {
  const { status, body } = await asked(position);
  expect(status, JSON.stringify(body)).toBe(200);
  return Object(body);
}
const consistency = (query: string, log: number | null = 2) =>
  plant.ask("GET", `/v1/audit/sites/${SITE}/consistency?${query}${log === null ? "" : `&log=${log}`}`);

/** What the note says, when the key opens it. */
function opens(note: string): { readonly origin: string; readonly size: number; readonly root: Buffer } {
  const checkpoint = openCheckpoint(Buffer.from(note), [key.verifier]);
  if (checkpoint.kind !== "opened") throw new Error(`the note is refused: ${checkpoint.because}`);
  return checkpoint.checkpoint;
}

const sha256 = (...parts: readonly Uint8Array[]): Buffer => createHash("sha256").update(Buffer.concat(parts)).digest();

/** The root to which an inclusion proof leads, by the recursion of RFC 6962 section 2.1.1 read backwards. */
function rootBy(index: number, size: number, leaf: Buffer, proof: readonly Buffer[]): Buffer | null {
  if (size === 1) return proof.length === 0 ? leaf : null;
  const last = proof.at(-1);
  if (last === undefined) return null;
  let half = 1;
  while (half * 2 < size) half *= 2;
  const rest = proof.slice(0, -1);
  if (index < half) {
    const left = rootBy(index, half, leaf, rest);
    return left === null ? null : sha256(Buffer.of(1), left, last);
  }
  const right = rootBy(index - half, size - half, leaf, rest);
  return right === null ? null : sha256(Buffer.of(1), last, right);
}

const bytes = (text: string): Buffer => Buffer.from(text, "base64");

/** As whoever holds the public key would verify it; gives what is wrong. */
function wrongIn({ entry, leafHash, log, index, position, proof, checkpoint }: Proof): string | null {
  const { origin, size, root } = opens(checkpoint.note);
  if (origin !== `signalbox/${SITE}/${log}` || position !== (log === 1 ? 1 : FIRST_LOG + 1) + index) return "another place";
  const leaf = sha256(Buffer.of(0), bytes(entry));
  if (!leaf.equals(bytes(leafHash))) return "another leaf";
  const path = proof.map(bytes);
  const [ours, theirs] = [rootBy(index, size, leaf, path)?.equals(root) === true, refuseInclusion({ index, size, leaf, proof: path, root }) === null];
  expect(ours).toBe(theirs);
  return ours ? null : "another root";
}

describe("a proof", () => {
  test("of any entry leads from its bytes to the root that was signed", async () => {
    const anywhere = Array.from({ length: 60 }, () => 1 + Math.floor(random() * LAST));
    for (const position of [1, 256, 257, 65_536, 65_537, FIRST_LOG - 1, FIRST_LOG, FIRST_LOG + 1, LAST - 1, LAST, ...anywhere]) {
      const proof = await proofOf(position);
      expect([position, wrongIn(proof)]).toEqual([position, null]);
      expect(bytes(proof.entry).toString()).toBe(`entry ${position}`);
      // the latest checkpoint that covers it: of the log that has ended, its last one
      expect(proof.checkpoint.size).toBe(position <= FIRST_LOG ? FIRST_LOG : SECOND_LOG);
    }
  });

  test("that is changed anywhere leads elsewhere", async () => {
    const sound = await proofOf(FIRST_LOG - 100);
    const flipped = (text: string, at: number): string => {
      const changed = bytes(text);
      changed[at % changed.length] = (changed[at % changed.length] ?? 0) ^ 1;
      return changed.toString("base64");
    };
    const wrong: readonly Partial<Proof>[] = [
      { entry: bytes(`entry ${FIRST_LOG - 101}`).toString("base64") },
      { entry: flipped(sound.entry, 3) },
      { index: sound.index + 1, position: sound.position + 1 },
      { position: sound.position - 1 },
      { proof: sound.proof.slice(1) },
      { proof: sound.proof.slice(0, -1) },
      { proof: [...sound.proof, sound.leafHash] },
      { proof: [...sound.proof].reverse() },
      ...sound.proof.map((hash, n) => ({ proof: sound.proof.map((other, m) => (m === n ? flipped(hash, n) : other)) })),
      { log: 2 },
      { checkpoint: (await proofOf(LAST)).checkpoint },
    ];
    for (const change of wrong) expect(wrongIn({ ...sound, ...change }), JSON.stringify(change)).not.toBe(null);
    const { size, note } = sound.checkpoint;
    expect(() => opens(note.replace(String(size), String(size + 1)))).toThrow("false-signature");
  });

  test("of what is not signed yet is refused, with what to do; of what there is not, there is none", async () => {
    expect(await asked(LAST + 1)).toMatchObject({ status: 409, body: { code: "AUDIT_NOT_SIGNED", remedy: expect.stringContaining("Ask again") } });
    expect((await asked(LAST + 3)).status).toBe(404);
    expect((await asked(0)).status).toBe(404);
    expect((await plant.ask("GET", "/v1/audit/sites/nowhere/entries/1/proof")).status).toBe(404);
  });

  test("costs a handful of rows: it is read by key, however long the log", async () => {
    const took: number[] = [];
    for (let n = 0; n < 300; n += 1) {
      const position = 1 + Math.floor(random() * FIRST_LOG);
      const began = performance.now();
      const answer = await fetch(`${plant.url}/v1/audit/sites/${SITE}/entries/${position}/proof`);
      await answer.text();
      took.push(performance.now() - began);
      expect(answer.status).toBe(200);
    }
    took.sort((one, other) => one - other);
    const at = (share: number): string => (took[Math.floor(took.length * share)] ?? 0).toFixed(1);
    measured("proof", `${FIRST_LOG} entries: median ${at(0.5)} ms, 99 of 100 within ${at(0.99)} ms over REST`);
    const { length } = (await proofOf(1)).proof;
    expect(length).toBeLessThanOrEqual(Math.ceil(Math.log2(FIRST_LOG)));
  });
});

describe("a proof of consistency", () => {
  const holds = ({ body }: Awaited<ReturnType<typeof consistency>>): string | null => {
    const { from, to, proof } = Object(body);
    const [first, second] = [opens(from.checkpoint.note), opens(to.checkpoint.note)];
    expect([first.size, second.size]).toEqual([from.size, to.size]);
    return refuseConsistency({ first: first.size, second: second.size, firstRoot: first.root, secondRoot: second.root, proof: proof.map(bytes) });
  };

  test("shows that each checkpoint of a log begins with every earlier one", async () => {
    for (const [from, to] of [
      [300, 1_000],
      [300, SECOND_LOG],
      [1_000, SECOND_LOG],
      [300, 300],
    ])
      expect(holds(await consistency(`from=${from}&to=${to}`))).toBe(null);
    expect((await consistency("from=1000")).body).toMatchObject({ log: 2, to: { size: SECOND_LOG } });
    expect(holds(await consistency(`from=4096&to=${FIRST_LOG}`, 1))).toBe(null);
  });

  test("of sizes of which no checkpoint is kept comes without, for whoever kept one", async () => {
    const { body } = await consistency("from=299&to=1000");
    const { from, to, proof } = Object(body);
    expect([from.checkpoint, to.checkpoint.size]).toEqual([null, 1_000]);
    const tree = Array.from({ length: 299 }, (_, n) => sha256(Buffer.of(0), Buffer.from(`entry ${FIRST_LOG + 1 + n}`)));
    const mth = (leaves: readonly Buffer[]): Buffer => {
      if (leaves.length === 1) return leaves[0] ?? Buffer.alloc(0);
      let half = 1;
      while (half * 2 < leaves.length) half *= 2;
      return sha256(Buffer.of(1), mth(leaves.slice(0, half)), mth(leaves.slice(half)));
    };
    const second = opens(to.checkpoint.note);
    expect(refuseConsistency({ first: 299, second: 1_000, firstRoot: mth(tree), secondRoot: second.root, proof: proof.map(bytes) })).toBe(null);
    expect(refuseConsistency({ first: 298, second: 1_000, firstRoot: mth(tree.slice(0, 298)), secondRoot: second.root, proof: proof.map(bytes) })).not.toBe(
      null,
    );
  });

  test("is refused beyond what is signed, backwards, and of what there is not", async () => {
    expect(await consistency(`from=1&to=${SECOND_LOG + 1}`)).toMatchObject({ status: 409, body: { code: "AUDIT_NOT_SIGNED" } });
    expect(await consistency("from=1000&to=300")).toMatchObject({ status: 400, body: { code: "REQUEST_INVALID" } });
    expect((await consistency("from=0&to=300")).status).toBe(400);
    expect((await consistency("from=1&to=2", 3)).status).toBe(404);
    expect(await consistency(`from=1&to=${FIRST_LOG + 1}`, 1)).toMatchObject({ status: 409, body: { detail: expect.stringContaining("the log has ended") } });
    expect((await plant.ask("GET", "/v1/audit/sites/nowhere/consistency?from=1")).status).toBe(404);
  });
});

// whoever kept a checkpoint of the first log was given a proof about the second, or told that so much was not signed yet
test("of which log a checkpoint is has to be said as soon as there are several", async () => {
  const { status, body } = await consistency("from=300", null);
  expect([status, Object(body).code]).toEqual([400, "REQUEST_INVALID"]);
  expect(Object(body).detail).toBe(`Site ${SITE} has had 2 logs, each a tree of its own: say by log= which one your checkpoint is of.`);
  expect(Object(body).errors).toEqual([{ pointer: "/log", detail: expect.stringContaining(`as in signalbox/${SITE}/2`) }]);
});

describe("what an administrator has altered", () => {
  test("is proven to nobody: an edited entry, a changed tile, a checkpoint that was moved", async () => {
    const altered = { status: 409, body: { code: "AUDIT_ALTERED", remedy: expect.stringContaining("npx signalbox verify") } };
    await asAdministrator(`update audit_entries set entry = 'edited' where site = '${SITE}' and position = 500`);
    expect(await asked(500)).toMatchObject(altered);
    expect((await asked(501)).status).toBe(200);
    const flip = `update audit_tiles set hashes = set_byte(hashes, 33, get_byte(hashes, 33) # 1) where site = '${SITE}' and log = 2 and level = 0 and n = 1`;
    await asAdministrator(flip);
    expect(await asked(FIRST_LOG + 1 + 256 + 4)).toMatchObject(altered);
    expect(await consistency("from=300&to=1000")).toMatchObject(altered);
    // mended, it is proven again: nothing of what was read is kept
    await asAdministrator(flip);
    expect(wrongIn(await proofOf(FIRST_LOG + 1 + 256 + 4))).toBe(null);
    await asAdministrator(
      `update audit_checkpoints set note = (select note from audit_checkpoints where site = '${SITE}' and log = 2 and size = 300) where site = '${SITE}' and log = 2 and size = 1000`,
    );
    expect(await consistency("from=300&to=1000")).toMatchObject(altered);
  });
});
