// People and systems that ask over REST: readers of outcomes and verdicts, and job orders that compete for one mixer.
import { z } from "zod";
import type { LockOperation, Read } from "../history/history.ts";
import type { Fleet } from "./fleet.ts";
import { type Item, itemsOf } from "./items.ts";

export interface Callers {
  readonly reads: readonly Read[];
  readonly locks: readonly LockOperation[];
  readonly batches: readonly string[];
  stop(): Promise<void>;
}

/** Equipment that nobody but the competitors uses. */
export const CONTESTED = ["mixer-x", "mixer-y"];
const cancelled = z.looseObject({ execution: z.literal("cancelled") });
const READ_EVERY_MS = 700;
const LOCK_EVERY_MS = 250;

export function startCallers(options: { readonly site: string; readonly fleet: Fleet; readonly random: () => number; streams(): readonly string[] }): Callers {
  const { site, fleet, random } = options;
  const reads: Read[] = [];
  const locks: LockOperation[] = [];
  const batches: string[] = [];
  let stopping = false;
  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms * (0.5 + random())));

  async function read(): Promise<void> {
    for (let n = 1; !stopping; n += 1) {
      await pause(READ_EVERY_MS);
      const streams = options.streams();
      const stream = n % 6 === 0 ? null : (streams[Math.floor(random() * streams.length)] ?? null);
      const began = performance.now();
      const items = stream === null ? await verdicts(fleet, site) : await outcomes(fleet, site, stream);
      if (items !== null)
        reads.push({
          began,
          ended: performance.now(),
          of: stream === null ? "verdicts" : "outcomes",
          stream,
          ids: items.map((item) => String(stream === null ? item["verdict"] : item["id"])),
        });
    }
  }

  async function compete(equipment: string, who: number): Promise<void> {
    for (let n = 1; !stopping; n += 1) {
      const batch = `L-${equipment}-${who}-${n}`;
      batches.push(batch);
      const path = `/v1/sites/${site}/batches`;
      const job = {
        batch,
        jobOrder: `PO-${batch}`,
        line: "9",
        recipe: "blend",
        revision: 3,
        quantity: { value: "25.000", unit: "kg" },
        equipment: { mixer: equipment, scale: "scale-x" },
      };
      await fleet.insist("POST", path, job);
      await fleet.insist("POST", `${path}/${batch}/commands`, { command: "release-to-floor", reason: "chaos" }, { "idempotency-key": `${batch}-release` });
      const took = await ask(equipment, { kind: "take", batch }, `${path}/${batch}/commands`, "start");
      await pause(LOCK_EVERY_MS);
      // where no answer came it may be held all the same, and is given back; until that is answered, or nobody would ever take it again
      while (took !== false && !stopping) {
        if ((await ask(equipment, { kind: "free", batch }, `${path}/${batch}/commands`, "abort")) !== null) break;
        await pause(LOCK_EVERY_MS);
      }
      await pause(LOCK_EVERY_MS);
    }
  }

  /** Whether it was done; null: nobody knows. */
  async function ask(equipment: string, asks: Exclude<LockOperation["asks"], { kind: "read" }>, path: string, command: string): Promise<boolean | null> {
    const began = performance.now();
    const answer = await fleet.ask("POST", path, { command, reason: "chaos" });
    // a batch that never started holds nothing: aborting it frees nothing
    const done = answer === null ? null : answer.status < 300 && cancelled.safeParse(answer.body).success === false;
    locks.push({ began, ended: done === null ? null : performance.now(), equipment, asks, answer: done === null ? null : { done } });
    return done;
  }

  async function look(equipment: string): Promise<void> {
    while (!stopping) {
      await pause(LOCK_EVERY_MS * 2);
      const began = performance.now();
      const answer = await fleet.ask("GET", `/v1/context-locks?site=${site}&equipment=${equipment}`);
      if (answer === null || answer.status !== 200) continue;
      const holder = itemsOf(answer.body)[0]?.["batch"];
      locks.push({ began, ended: performance.now(), equipment, asks: { kind: "read" }, answer: { holder: holder === undefined ? null : String(holder) } });
    }
  }

  const running = [read(), read(), ...CONTESTED.flatMap((equipment) => [compete(equipment, 1), compete(equipment, 2), look(equipment)])];
  return {
    reads,
    locks,
    batches,
    async stop() {
      stopping = true;
      await Promise.all(running);
    },
  };
}

/** Every outcome of a stream (null: of the site) from its beginning; null when an answer did not come. */
export async function outcomes(fleet: Fleet, site: string, stream: string | null): Promise<readonly Item[] | null> {
  const all: Item[] = [];
  for (let after = 0; ; ) {
    const answer = await fleet.ask(
      "GET",
      `/v1/outcomes?site=${site}&after=${after}&limit=200${stream === null ? "" : `&stream=${encodeURIComponent(stream)}`}`,
    );
    if (answer === null || answer.status !== 200) return null;
    const items = itemsOf(answer.body);
    if (items.length === 0) return all;
    all.push(...items);
    after = Number((answer.body as { after: number }).after);
  }
}

/** Every round of every event of the site from its beginning; null when an answer did not come. */
export async function verdicts(fleet: Fleet, site: string): Promise<readonly Item[] | null> {
  const all: Item[] = [];
  for (let cursor: string | null = null; ; ) {
    const answer = await fleet.ask("GET", `/v1/events?site=${site}&limit=200${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`);
    if (answer === null || answer.status !== 200) return null;
    all.push(...itemsOf(answer.body));
    cursor = (answer.body as { cursor: string | null }).cursor;
    if (cursor === null) return all;
  }
}
