import type { Signal } from "../../src/decide/signal.ts";
import { BLEND } from "./blend.ts";
import { type Act, commands, creates, Line, type Speaker, speaker } from "./given.ts";
import type { ModelOptions } from "./model.ts";
import type { TestDatabase } from "./postgres.ts";
import { writeRecord } from "./written-record.ts";

// A long record of an ordinary plant: batch after batch on twenty pairs of scale and mixer, with what happens on the way: alarms and counts, events that come twice, or one after the
// other in the wrong order, and questions that are asked too early.

const PAIRS = 20;

/** The blend, without waiting for the mixer. */
export const RECIPE = {
  ...BLEND,
  steps: [BLEND.steps[0], { step: "blend", after: ["weigh"], equipment: BLEND.steps[1].equipment, evidence: BLEND.steps[1].evidence }],
};

/** The same with a tolerance of 0.2 % instead of 0.5 %. */
export const TIGHTENED = {
  ...RECIPE,
  steps: [{ ...RECIPE.steps[0], evidence: [{ ...BLEND.steps[0].evidence[0], limits: { parameter: "salt", tolerance: "0.2 %" } }] }, ...RECIPE.steps.slice(1)],
};

export interface LongRecord {
  readonly site: string;
  readonly signals: number;
  /** The ids of the weights that are within 0.5 % of what is asked, and not within 0.2 %. */
  readonly tightened: readonly string[];
}

/** Writes a record of at least so many signals. `seed`: of what is left to chance. */
export async function writeLongRecord(
  database: TestDatabase,
  signals: number,
  options: { readonly seed?: number; readonly group?: number } = {},
): Promise<LongRecord> {
  const chance = chanceOf(options.seed ?? 1);
  const numbers = Array.from({ length: PAIRS }, (_, n) => n + 1);
  const plant: ModelOptions = {
    site: "long1",
    recipes: [RECIPE],
    equipment: numbers.flatMap((n) => [
      { equipment: `scale-${n}`, line: "4", class: "scale" },
      { equipment: `mixer-${n}`, line: "4", class: "mixer" },
    ]),
    careful: false,
  };
  const writer = await writeRecord(database, plant);
  const { model } = writer;
  const line = new Line(model);
  const pairs = numbers.map((n) => ({ scale: speaker(`scale-${n}`, { site: plant.site }), mixer: speaker(`mixer-${n}`, { site: plant.site }), n }));
  const tightened: string[] = [];
  let made = 0;
  for (let batch = 1; made < signals; ) {
    const acts: Act[] = [];
    while (acts.length < (options.group ?? 500) && made + acts.length < signals) {
      const pair = pairs[batch % PAIRS];
      if (pair !== undefined) acts.push(...lifeOf(`B-${batch}`, pair, chance, (id) => tightened.push(id)));
      batch += 1;
    }
    made += acts.length;
    line.together(...acts);
    model.now += 20_000;
    await writer.flush();
    // what was decided is in the database now
    line.sent.length = 0;
    model.record.length = 0;
  }
  await writer.close();
  return { site: plant.site, signals: made, tightened };
}

function lifeOf(batch: string, { scale, mixer, n }: { scale: Speaker; mixer: Speaker; n: number }, chance: () => number, tighter: (id: string) => void): Act[] {
  const about = (step: string) => ({ batch, step });
  // in thousandths of a kilogram around 12.500: 0.5 % are 62.5, 0.2 % are 25
  const off = Math.round((chance() - 0.5) * 124);
  const id = `weight-${batch}`;
  if (Math.abs(off) > 25) tighter(id);
  const [weighs, weighsAgain] = twice(scale.weighs(((12_500 + off) / 1000).toFixed(3), { ...about("weigh"), id }));
  const begins = [creates(batch, { equipment: { scale: `scale-${n}`, mixer: `mixer-${n}` } }), commands("release-to-floor", batch), commands("start", batch)];
  const weighed = [
    scale.starts("weigh", about("weigh")),
    ...(chance() < 0.03 ? [scale.completes("weigh", about("weigh")), weighs] : [weighs, scale.completes("weigh", about("weigh"))]),
  ];
  const blended = [
    mixer.starts("blend", about("blend")),
    mixer.gives("blend", "end-temperature", "24.5", "Cel", about("blend")),
    mixer.completes("blend", about("blend")),
  ];
  const told = [
    ...(chance() < 0.3 ? [mixer.says("count.reported", { data: { counter: "strokes", value: "12", unit: "1" } })] : []),
    ...(chance() < 0.05 ? [scale.alarms()] : []),
    ...(chance() < 0.02 ? [mixer.starts("rinse", about("rinse"))] : []),
    ...(chance() < 0.02 ? [weighsAgain] : []),
  ];
  return [...begins, ...weighed, ...blended, ...told];
}

/** An act, and its delivery again, byte by byte. */
function twice(act: Act): [Act, Act] {
  let sent: readonly Signal[] = [];
  return [
    (line) => {
      sent = [act(line)].flat();
      return sent;
    },
    (line) => sent.map((signal) => (signal.kind === "event" ? line.model.signal({ ...signal.delivery, dup: true }) : signal)),
  ];
}

/** Chance by seed (mulberry32). */
function chanceOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
