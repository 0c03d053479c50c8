// `npm run bench:audit`: what the audit log costs where a site's record has a million entries (BENCH_ENTRIES): a proof over REST, and appending, with a signer and without one, in turn.
// Without a signer there is no tree; the entries are rows in both. Figures only: what they must be stands in `npm run show -- 3`.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openCheckpoint } from "../../../src/audit/checkpoint.ts";
import { parseVerifierKey } from "../../../src/audit/note-key.ts";
import { refuseInclusion } from "../../../src/audit/verify-proof.ts";
import { measured, SEED, seeded } from "../../support/measure.ts";
import { type Mosquitto, startMosquitto } from "../../support/mosquitto.ts";
import { envelope, eventTopic, join, type Party, sourceOf } from "../../support/mqtt.ts";
import { startPlant } from "../../support/plant.ts";
import { freshDatabase, type TestDatabase } from "../../support/postgres.ts";

const ENTRIES = Number(process.env["BENCH_ENTRIES"] ?? 1_000_000);
const EVENTS = 5_000;
const WARM_UP = 1_000;
const PAIRS = 5;
const PROOFS = 500;
const SITE = "million";
const program = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));
const home = mkdtempSync(path(tmpdir(), "signalbox-bench-"));
const signing = { AUDIT_DIR: path(home, "state"), AUDIT_MIRROR_DIR: path(home, "mirror") };
const sources = Array.from({ length: 20 }, (_, n) => sourceOf(SITE, "1", `unit-${n + 1}`));
let database: TestDatabase;
let broker: Mosquitto;
let party: Party;
let said = 0;

interface Running {
  readonly url: string;
  stop(): Promise<void>;
}

/** The service as a process of its own. */
async function start(settings: Readonly<Record<string, string>>): Promise<Running> {
  const child: ChildProcess = spawn(process.execPath, [program, "serve"], {
    env: {
      ...process.env,
      DATABASE_URL: database.runtimeUrl,
      DATABASE_OWNER_URL: database.ownerUrl,
      MQTT_URL: broker.url,
      HTTP_PORT: "0",
      // what is measured is the answer, not the refusal of whoever asks too often
      HTTP_RATE_LIMIT: "0",
      LOG_LEVEL: "warn",
      DATA_DIR: path(home, "data"),
      ...settings,
    },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = await new Promise<string>((resolve, reject) => {
    let out = "";
    void ended.then(() => reject(new Error(`the service ended before it was ready: ${out}`)));
    child.stdout?.on("data", (chunk: Buffer) => {
      out = `${out}${chunk.toString()}`.slice(-10_000);
      const [at] = /http:\/\/(127\.0\.0\.1|localhost):\d+/.exec(out) ?? [];
      if (at !== undefined) resolve(at);
    });
  });
  await until(async () => (await fetch(`${url}/health/ready`)).ok);
  return {
    url,
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds().catch(() => false))) await new Promise((resolve) => setTimeout(resolve, 20));
}

const position = async (): Promise<number> => Number((await database.query(`select position from sites where site = '${SITE}'`))[0]?.["position"]);
async function allSigned(url: string): Promise<void> {
  await until(async () => {
    const { position, signed } = Object(await (await fetch(`${url}/v1/audit/sites/${SITE}`)).json());
    return position === signed;
  });
}

/** Milliseconds from the first publish until so many events are decided and committed. */
async function send(events: number): Promise<number> {
  const end = (await position()) + events;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: events }, () => {
      const source = sources[said % sources.length] ?? "";
      said += 1;
      return party.publish(eventTopic(source), envelope(source, 1, Math.ceil(said / sources.length), "call.raised", { call: "help" }));
    }),
  );
  await until(async () => (await position()) >= end);
  return performance.now() - began;
}

beforeAll(async () => {
  database = await freshDatabase();
  broker = await startMosquitto();
  const plant = await startPlant({ database, broker: { url: broker.url } });
  for (const [n] of sources.entries()) await plant.equipment(SITE, `unit-${n + 1}`, "1", "unit");
  await plant.stop();
  // what was decided is of no account here: entries as long as those of events, at the site's next positions
  await database.query(`select ensure_partitions(${ENTRIES + EVENTS * PAIRS * 3})`);
  await database.query(`set session_replication_role = replica;
    insert into audit_entries (site, position, entry) select '${SITE}', s.position + n,
      convert_to(format(E'{"site":"${SITE}","position":%s}\\n{"filler":"%s"}', s.position + n, repeat(md5(n::text), 25)), 'UTF8')
      from sites s, generate_series(1, ${ENTRIES}) n where s.site = '${SITE}';
    update sites set position = position + ${ENTRIES} where site = '${SITE}';
    set session_replication_role = origin; analyze audit_entries;`);
  party = await join(broker.url);
}, 900_000);
afterAll(async () => {
  await party?.end();
  await broker?.remove();
  await database?.drop();
  rmSync(home, { recursive: true, force: true });
});

test(`a record of ${ENTRIES} entries is signed, and a proof of each is given over REST`, { timeout: 1_200_000 }, async () => {
  const began = performance.now();
  const { url, stop } = await start(signing);
  await allSigned(url);
  const seconds = (performance.now() - began) / 1_000;
  measured("signed", `${ENTRIES} entries in ${Math.round(seconds)} s, with the start`);
  const random = seeded(SEED);
  const head = await position();
  const took: number[] = [];
  const { origin } = Object(await (await fetch(`${url}/v1/audit/sites/${SITE}/entries/${head}/proof`)).json());
  const key = parseVerifierKey(readFileSync(path(signing.AUDIT_DIR, SITE, "signer.vkey"), "utf8").trim());
  if (typeof key === "string") throw new Error(`the key is refused: ${key}`);
  expect(origin).toBe(`signalbox/${SITE}/1`);
  for (let n = 0; n < PROOFS; n += 1) {
    const wanted = 1 + Math.floor(random() * head);
    const asked = performance.now();
    const response = await fetch(`${url}/v1/audit/sites/${SITE}/entries/${wanted}/proof`);
    const answer = await response.json();
    took.push(performance.now() - asked);
    expect(response.status, `position ${wanted}, seed ${SEED}`).toBe(200);
    if (n % 25 !== 0) continue;
    const { index, leafHash, proof, checkpoint } = Object(answer);
    const opened = openCheckpoint(Buffer.from(checkpoint.note), [key]);
    if (opened.kind === "refused") throw new Error(`position ${wanted}, seed ${SEED}: ${opened.because}`);
    const { size, root } = opened.checkpoint;
    const hashes = proof.map((hash: string) => Buffer.from(hash, "base64"));
    expect(refuseInclusion({ index, size, leaf: Buffer.from(leafHash, "base64"), proof: hashes, root }), `position ${wanted}, seed ${SEED}`).toBeNull();
  }
  await stop();
  const [median, most] = [at(took, 0.5), at(took, 0.99)];
  measured("proof", `median ${median.toFixed(1)} ms, 99th percentile ${most.toFixed(1)} ms, ${PROOFS} positions of ${head} (seed ${SEED})`);
  measured("proof.most", most.toFixed(1));
  console.log(`signed in ${seconds.toFixed(0)} s; proofs: median ${median.toFixed(1)} ms, 99 % ${most.toFixed(1)} ms`);
});

test("appending costs about the same with a signer as without", { timeout: 1_200_000 }, async () => {
  const took: Record<"with" | "without", number[]> = { with: [], without: [] };
  for (let n = 0; n < PAIRS * 2; n += 1) {
    const how = n % 2 === 0 ? "without" : "with";
    const { url, stop } = await start(how === "with" ? signing : {});
    if (how === "with") await allSigned(url);
    await send(WARM_UP);
    if (how === "with") await allSigned(url);
    took[how].push(await send(EVENTS));
    await stop();
  }
  const [withSigner, without] = [at(took.with, 0.5), at(took.without, 0.5)];
  const cost = (withSigner / without - 1) * 100;
  const figure = `${cost.toFixed(1)} %: ${EVENTS} events in ${Math.round(withSigner)} ms with, ${Math.round(without)} ms without a signer (medians of ${PAIRS} alternating runs: ${took.with.map(Math.round).join(", ")} and ${took.without.map(Math.round).join(", ")})`;
  measured("append", figure);
  measured("append.cost", cost.toFixed(1));
  console.log(figure);
  expect(took.with).toHaveLength(PAIRS);
});

const at = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;
