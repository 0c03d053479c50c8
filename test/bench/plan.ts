import { seeded } from "../support/measure.ts";

// What the plant of the bench sends, in the order in which it is sent: a pure function of the seed. Fifty cells of four units each; every unit is a source. A cell makes batch after batch.

export const SITE = "bench";
/** Where several sites share the cells, each has every so manieth; the first is called as the one site is. */
export const siteName = (cell: number, sites: number): string => (cell % sites === 0 ? SITE : `${SITE}-${(cell % sites) + 1}`);
export const CELLS = 50;
export const UNITS = 4;
export const LINES = 5;
/** Of each unit, one after the other. */
export const STEPS = 2;
/** Of each step: with its start, its completion and one report that makes 7 of 10. */
export const EVIDENCE = 7;

/** Of the events, how many are sent once more, before the one before them, with other content, or against the rules; the last two befall evidence alone, seven events of ten. */
const SHARES = { duplicate: 0.05, reordered: 0.01, conflict: 0.001 / 0.7, illegal: 0.005 / 0.7 } as const;

export const RECIPE = {
  recipe: "bench",
  revision: 1,
  product: "P-1",
  quantity: { value: "25.000", unit: "kg" },
  stateMachines: { batch: "batch/governed@1", step: "step/governed@1" },
  parameters: { salt: { unit: "kg", default: "12.500", min: "10.000", max: "15.000", scaled: true } },
  steps: Array.from({ length: UNITS * STEPS }, (_, n) => ({ unit: Math.floor(n / STEPS), nth: n % STEPS })).map(({ unit, nth }) => ({
    step: stepName(unit, nth),
    ...(nth === 0 ? {} : { after: [stepName(unit, nth - 1)] }),
    // two of the units belong to the batch as a whole, two to a step alone
    equipment: [{ role: roleName(unit), class: roleName(unit), locked: unit < UNITS / 2 ? "step" : "batch" }],
    evidence: [
      unit % 2 === 0
        ? { evidence: "weight", kind: "measurement", unit: "kg", count: EVIDENCE, limits: { parameter: "salt", tolerance: "0.5 %" } }
        : { evidence: "temperature", kind: "measurement", unit: "Cel", count: EVIDENCE, limits: { low: "20", high: "35" } },
    ],
  })),
};

export interface Delivery {
  /** Its place in the order of sending. */
  readonly n: number;
  /** The place of the first delivery with this event id. */
  readonly event: number;
  /** `event` and `early` (sent before the one before it) are accepted, with one outcome each; `illegal` and `conflict` are refused; `flood` comes of a unit that sends without end. */
  readonly kind: "event" | "early" | "duplicate" | "conflict" | "illegal" | "flood";
  readonly site: string;
  readonly cell: number;
  readonly unit: number;
  readonly sequence: number;
  /** Without prefix and version: `step.start`. */
  readonly type: string;
  readonly batch: string | null;
  readonly step: string | null;
  /** As JSON. */
  readonly data: string;
}

type Unit = Pick<Delivery, "site" | "cell" | "unit">;

export const unitName = (cell: number, unit: number): string => `${roleName(unit)}-${cell + 1}`;
export const lineName = (cell: number): string => String((cell % LINES) + 1);
export const sourceName = ({ site, cell, unit }: Unit): string => `/site/${site}/line/${lineName(cell)}/eq/${unitName(cell, unit)}`;
export const topicOf = (unit: Unit): string => `${sourceName(unit).slice(1)}/event`;
export const batchName = (cell: number, nth: number): string => `B-${cell + 1}-${nth + 1}`;
export function roleName(unit: number): string {
  return ["scale", "mixer", "filler", "oven"][unit] ?? `unit${unit}`;
}
export function stepName(unit: number, nth: number): string {
  return `${roleName(unit)}-${nth + 1}`;
}

/** The text of an event's id: as long as a UUID, with the place of its first delivery at its end. */
export const eventId = (event: number): string =>
  `${(Math.imul(event + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, "0")}-0000-7000-8000-${event.toString(16).padStart(12, "0")}`;
/** Of an event that nobody waits for: as long, and it names no place. */
const floodId = (event: number): string => `flood-${String(event).padStart(30, "-")}`;
/** The place that the last twelve digits of an id name. */
export const eventOf = (digits: string): number => Number.parseInt(digits, 16);

/** An event before it has its number. */
interface Said {
  readonly unit: number;
  readonly type: string;
  readonly step: string | null;
  readonly data: string;
}

interface Cell {
  batches: number;
  batch: string;
  /** What each unit still has to say of the batch. */
  units: Said[][];
  /** Repetitions, sent when it is the cell's turn again. */
  readonly again: Omit<Delivery, "n">[];
}

/** Which of the cells send, as the first so many of them, and how many sites share them. */
export interface Sending {
  readonly seed: number;
  readonly cells: number;
  readonly sites: number;
}

/** Every delivery, without end. */
export function* plan({ seed, cells: count, sites }: Sending): Generator<Delivery, never> {
  const random = seeded(seed);
  const cells: Cell[] = Array.from({ length: count }, () => ({ batches: 0, batch: "", units: [], again: [] }));
  const numbers = new Map<string, number>();
  const numbered = (source: string): number => {
    const next = (numbers.get(source) ?? 0) + 1;
    numbers.set(source, next);
    return next;
  };
  let n = 0;
  for (;;) {
    const at = Math.floor(random() * count);
    const cell = cells[at];
    if (cell === undefined) continue;
    const repeated = cell.again.shift();
    if (repeated !== undefined) {
      yield { ...repeated, n };
      n += 1;
      continue;
    }
    if (cell.units.every((left) => left.length === 0)) begin(cell, at, random);
    // the start of a batch comes before everything else of it
    const open = cell.units.filter((left) => left.length > 0);
    const unit = open[0]?.[0]?.type === "batch.start" ? open[0] : open[Math.floor(random() * open.length)];
    const said = unit?.shift();
    if (unit === undefined || said === undefined) continue;
    const together: { readonly said: Said; readonly kind: Delivery["kind"] }[] = [{ said, kind: "event" }];
    if (said.type === "step.evidence" && random() < SHARES.illegal) together.unshift({ said: { ...said, type: "step.start", data: "{}" }, kind: "illegal" });
    const next = unit[0];
    const swapped = said.type !== "batch.start" && next !== undefined && random() < SHARES.reordered;
    if (swapped) together.push({ said: next, kind: "early" });
    if (swapped) unit.shift();
    const site = siteName(at, sites);
    const sent = together.map(({ said, kind }) => ({ kind, site, cell: at, sequence: numbered(unitName(at, said.unit)), batch: cell.batch, ...said }));
    if (swapped) sent.splice(-2, 2, ...sent.slice(-2).reverse());
    for (const one of sent) {
      const delivery = { ...one, n, event: n };
      yield delivery;
      n += 1;
      if (one.kind === "illegal") continue;
      const chance = random();
      if (chance < SHARES.duplicate) cell.again.push({ ...delivery, kind: "duplicate" });
      else if (one.type === "step.evidence" && chance < SHARES.duplicate + SHARES.conflict)
        cell.again.push({ ...delivery, kind: "conflict", data: one.data.replace("}", ',"quality":"uncertain"}') });
    }
  }
}

/** What a unit in a loop sends, without end: each of its reports is new. It is none of the cells that send otherwise. */
export function* flood(): Generator<Delivery, never> {
  for (let n = 0; ; n += 1)
    yield {
      n,
      event: n,
      kind: "flood",
      site: SITE,
      cell: CELLS - 1,
      unit: 0,
      sequence: n + 1,
      type: "call.raised",
      batch: null,
      step: null,
      data: '{"call":"material","text":"The hopper is nearly empty."}',
    };
}

/** The next batch of a cell, from its start to the completion of its last step. */
function begin(cell: Cell, at: number, random: () => number): void {
  cell.batch = batchName(at, cell.batches);
  cell.batches += 1;
  cell.units = Array.from({ length: UNITS }, (_, unit) =>
    Array.from({ length: STEPS }, (_, nth) => stepName(unit, nth)).flatMap((step) => {
      const about = (type: string, data: string): Said => ({ unit, type, step, data });
      const told = Array.from({ length: EVIDENCE }, () => about("step.evidence", evidence(unit, random)));
      told.splice(Math.floor(random() * (EVIDENCE + 1)), 0, report(unit, step, random));
      return [about("step.start", "{}"), ...told, about("step.complete", "{}")];
    }),
  );
  cell.units[0]?.unshift({ unit: 0, type: "batch.start", step: null, data: "{}" });
}

/** A measurement within its limits. */
function evidence(unit: number, random: () => number): string {
  return unit % 2 === 0
    ? `{"evidence":"weight","value":"${(12.44 + random() * 0.12).toFixed(3)}","unit":"kg"}`
    : `{"evidence":"temperature","value":"${(20.5 + random() * 14).toFixed(1)}","unit":"Cel"}`;
}

export const REPORTS = [
  (random: () => number) => ["count.reported", `{"counter":"strokes","value":"${Math.floor(random() * 100_000)}","unit":"1"}`],
  () => ["alarm.raised", '{"alarm":"door-open","severity":"low","text":"The door of the guard is open."}'],
  () => ["call.raised", '{"call":"material","text":"The hopper is nearly empty."}'],
  () => ["equipment.changed", '{"what":"nozzle","part":"N-3","from":"old","to":"new"}'],
] as const;

function report(unit: number, step: string, random: () => number): Said {
  const [type = "", data = ""] = REPORTS[Math.floor(random() * REPORTS.length)]?.(random) ?? [];
  return { unit, type, step, data };
}

/** A delivery as it is sent, but for the time, which is filled in when it is. */
export const TIME = "2026-01-01T00:00:00.000Z";
export function payloadOf({ event, kind, sequence, type, batch, step, data, ...unit }: Delivery): string {
  const id = kind === "flood" ? floodId(event) : eventId(event);
  const context = `${batch === null ? "" : `,"batchid":"${batch}"`}${step === null ? "" : `,"stepid":"${step}"`}`;
  return `{"specversion":"1.0","id":"${id}","source":"${sourceName(unit)}","type":"signalbox.${type}.v1","time":"${TIME}","timesource":"ntp","epoch":"1","sequence":"${sequence}"${context},"data":${data}}`;
}
