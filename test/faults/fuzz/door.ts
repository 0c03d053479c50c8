// What the fuzzing files share: how much is tried, how a failure is repeated, how much is sent at once and what came of each, and what must hold after everything.
//
// FUZZ_RUNS multiplies the amount; 1 is the default, and what CI has time for. Forty times as much, from a seed of one's own:
//   FUZZ_RUNS=40 SEED=7 npm run fuzz
// A failure prints the seed; SEED=… repeats the run, and fast-check's own report says how far it could make the example smaller.
import { readFileSync } from "node:fs";
import type { Parameters } from "fast-check";
import { expect } from "vitest";
import { SEED } from "../../support/measure.ts";
import { envelope, eventTopic, join, type Party, sourceOf } from "../../support/mqtt.ts";
import { findCommand } from "../../support/needs.ts";
import { type Plant, type PlantOptions, startPlant } from "../../support/plant.ts";
import type { Said } from "../../support/shapes.ts";

const TIMES = Math.max(0.1, Number(process.env["FUZZ_RUNS"] ?? 1));

/** A test may take as much longer as it tries more. */
export const TIMEOUT_MS = 300_000 * Math.max(1, TIMES);

/** fast-check's settings for a property that is tried `runs` times. Making an example smaller costs runs against real servers too, so it has an end. */
export const fuzzed = <T>(runs: number): Parameters<T> => ({
  seed: SEED % 2 ** 31,
  numRuns: Math.max(1, Math.round(runs * TIMES)),
  interruptAfterTimeLimit: TIMEOUT_MS * 0.6,
  markInterruptAsFailure: true,
});

/** Every code that docs/codes.md explains. */
export const DOCUMENTED_CODES: ReadonlySet<string> = new Set(
  [...readFileSync(new URL("../../../docs/codes.md", import.meta.url), "utf8").matchAll(/^\| `([A-Z0-9_]+)` \|/gm)].map(([, code]) => code ?? ""),
);
const FINAL: ReadonlySet<string> = new Set(["accepted", "accepted_with_exception", "duplicate", "rejected", "observed"]);

export interface Sent {
  readonly topic: string;
  readonly payload: string | Uint8Array;
}

export interface Door {
  readonly plant: Plant;
  readonly party: Party;
  readonly site: string;
  /** Registers a fresh piece of equipment and returns its source. */
  source(): Promise<string>;
  /** Publishes in this order and resolves with the first verdict on each, in the same order. Fails where anything gets none, or more than one. */
  deliver(sent: readonly Sent[]): Promise<Said[]>;
  /** All rounds on an equipment's branch, by position. REST must tell them exactly as they were published. */
  rounds(source: string): Promise<Said[]>;
  /** The service lives, is ready, and decides the next event of a good source. */
  goesOn(after: string): Promise<void>;
  stop(): Promise<void>;
}

/** The real broker where there is one, otherwise the embedded. */
export const brokerHere = (): "mosquitto" | "embedded" => (findCommand("mosquitto") === null ? "embedded" : "mosquitto");

/** A plant with one site, and a party that publishes into it and hears all of its verdicts. Nobody else publishes there: what is settled first came first. */
export async function openDoor(site: string, options: PlantOptions = { broker: brokerHere() }): Promise<Door> {
  const plant = await startPlant(options);
  const party = await join(plant.mqttUrl, { protocol: 4 });
  const verdicts = new Map<string, Said>();
  let absorbed = 0;
  let settled = 0;
  let count = 0;
  let good = 0;
  const firsts: Said[] = [];
  const absorb = (): void => {
    for (; absorbed < party.seen.length; absorbed += 1) {
      const seen = party.seen[absorbed];
      if (seen === undefined || !seen.topic.endsWith("/verdict")) continue;
      const { data } = seen.body;
      // what is published is published at least once
      if (verdicts.has(data.verdict)) continue;
      verdicts.set(data.verdict, data);
      if (data.round === 1) firsts.push(data);
    }
  };
  const GOOD = sourceOf(site, "1", "good");
  await plant.equipment(site, "good", "1", "unit");
  await party.subscribe(`site/${site}/line/+/eq/+/verdict`);

  async function deliver(sent: readonly Sent[]): Promise<Said[]> {
    await Promise.all(sent.map(({ topic, payload }) => party.publish(topic, payload)));
    await party.untilAll(
      `${sent.length} verdicts (seed ${SEED})`,
      () => {
        absorb();
        return firsts.length >= settled + sent.length;
      },
      60_000,
    );
    const of = firsts.slice(settled).sort((a, b) => a.position - b.position);
    expect(of.length, "verdicts on what was sent").toBe(sent.length);
    settled += sent.length;
    await belongTogether(sent, of);
    for (const verdict of of) documented(verdict);
    return of;
  }

  /** The record says which payload each verdict is about. */
  async function belongTogether(sent: readonly Sent[], of: readonly Said[]): Promise<void> {
    const rows = await plant.database.query(
      `select raw, topic from signals where site = '${site}' and position in (${of.map(({ position }) => Number(position)).join(",") || "0"}) order by position`,
    );
    expect(rows.length).toBe(sent.length);
    for (const [i, { topic, payload }] of sent.entries()) {
      const { raw, topic: kept } = rows[i] ?? {};
      const bytes = Buffer.from(payload);
      // of a payload that is too large the head alone is kept
      const same = Buffer.isBuffer(raw) && (raw.equals(bytes) || (raw.byteLength > 0 && bytes.subarray(0, raw.byteLength).equals(raw)));
      if (!same || kept !== topic) throw new Error(`verdict ${of[i]?.verdict} is about ${String(kept)}, not about what was sent in its place on ${topic}`);
    }
  }

  return {
    plant,
    party,
    site,
    async source() {
      count += 1;
      await plant.equipment(site, `unit-${count}`, "1", "unit");
      return sourceOf(site, "1", `unit-${count}`);
    },
    deliver,
    async rounds(source) {
      const found: Said[] = [];
      for (let cursor: string | null = ""; cursor !== null; ) {
        const { status, body }: { status: number; body: Said } = await plant.ask(
          "GET",
          `/v1/events?equipment=${source.split("/")[6]}&limit=500${cursor === "" ? "" : `&cursor=${cursor}`}`,
        );
        expect(status, JSON.stringify(body)).toBe(200);
        found.push(...body.items);
        cursor = body.cursor;
      }
      await party.untilAll("what REST shows to be published", () => {
        absorb();
        return found.every(({ verdict }) => verdicts.has(verdict));
      });
      for (const told of found) {
        documented(told);
        expect(verdicts.get(told.verdict)).toEqual(told);
      }
      return found;
    },
    async goesOn(after) {
      good += 1;
      const [verdict] = await deliver([{ topic: eventTopic(GOOD), payload: JSON.stringify(envelope(GOOD, 1, good, "call.raised", { call: "help" })) }]);
      expect(verdict, `the good source after ${after}, seed ${SEED}`).toMatchObject({ status: "accepted", event: { source: GOOD, sequence: String(good) } });
      const { status, body } = await plant.ask("GET", "/health/ready");
      expect([status, body.ready], `${JSON.stringify(body)} after ${after}, seed ${SEED}`).toEqual([200, true]);
    },
    async stop() {
      await party.end();
      await plant.stop();
    },
  };
}

/** A verdict has a status and a code that the documents explain, and is final exactly where nobody decides any more. */
export function documented(verdict: Said): void {
  if (verdict.status !== "accepted" && !DOCUMENTED_CODES.has(verdict.code)) throw new Error(`code ${verdict.code} of ${verdict.status} is in no document`);
  if (verdict.final !== FINAL.has(verdict.status)) throw new Error(`${verdict.status} ${verdict.code} says final: ${verdict.final}`);
}

/** Where REST tells of a source. */
export const pathOf = (source: string): string => {
  const [, , site, , line, , equipment] = source.split("/");
  return `/v1/sources/${site}/${line}/${equipment}`;
};

export { eventTopic, sourceOf };
