import { createHash } from "node:crypto";
import type { Signal } from "../../src/decide/signal.ts";
import { canonicalJson } from "../../src/registry/canonical.ts";
import type { Model } from "../support/model.ts";
import type { TestDatabase } from "../support/postgres.ts";
import { writeRecord } from "../support/written-record.ts";
import { EVIDENCE, lineName, RECIPE, REPORTS, roleName, SITE, STEPS, sourceName, stepName, topicOf, UNITS, unitName } from "./plan.ts";

// Some turns of the plant of the bench, decided by the service's own code and committed by its own function: what a filling is copied from. In each turn every cell makes one batch, from
// its order to its closing, and all cells do the same, one cell after the other. So what differs between cells and turns is only what counts on.

export interface Turns {
  /** The last position before the first turn, and at the end of each. */
  readonly ends: readonly number[];
  /** The texts of which something on record is the SHA-256, by that in hex. */
  readonly hashed: ReadonlyMap<string, string>;
  /** The number that an event's id is made from. */
  readonly numbers: ReadonlyMap<string, number>;
}

export interface TurnsOptions {
  readonly cells: number;
  readonly turns: number;
  /** Milliseconds since 1970 at which each turn begins. */
  readonly begins: (turn: number) => number;
  /** Called when a turn is in the database. */
  readonly after: (turn: number) => Promise<void>;
}

const sourceOf = (cell: number, unit: number): string => sourceName({ site: SITE, cell, unit });
const batchOf = (cell: number, turn: number): string => `F-${cell + 1}-${turn + 1}`;

/** The n-th id of an event, as random as any. */
function idOf(n: number): string {
  const hex = createHash("md5").update(`event ${n}`).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** Before the one in which the load of the bench counts. */
const EPOCH = "0";
/** What one commit takes of each cell. */
const TOGETHER = 8;
/** Between two commits of a turn. */
const COMMIT_MS = 1_000;

interface Event {
  readonly part: "event";
  readonly unit: number;
  readonly type: string;
  readonly step: string | null;
  readonly data: string;
  /** Its number is the one after the next, and then the one that was left free. */
  readonly order?: "early" | "late";
}

/** `again`: what the unit has said last, once more. The others are commands. */
type Part = Event | { readonly part: "again"; readonly unit: number } | { readonly part: "order" | "resolve" | "release-to-floor" | "close" };

type Slot = readonly Part[];

/** What a cell does in its turn, by what is committed together: a slot is said by one cell before the next says the same. */
function turnOfACell(): readonly (readonly Slot[])[] {
  const event = (unit: number, nth: number, type: string, data = "{}", order?: "early" | "late"): Part => ({
    part: "event",
    unit,
    type,
    step: stepName(unit, nth),
    data,
    ...(order === undefined ? {} : { order }),
  });
  const all: Slot[] = [[{ part: "order" }], [{ part: "release-to-floor" }], [{ part: "event", unit: 0, type: "batch.start", step: null, data: "{}" }]];
  for (let nth = 0; nth < STEPS; nth += 1)
    for (let i = 0; i < EVIDENCE + 3; i += 1)
      for (let unit = 0; unit < UNITS; unit += 1) {
        const [report = "", told = ""] = REPORTS[(unit * STEPS + nth) % REPORTS.length]?.(() => 0.5) ?? [];
        const weight = event(unit, nth, "step.evidence", measurement(unit, i));
        const is = (a: number, b: number, c: number): boolean => unit === a && nth === b && i === c;
        if (i === 0) all.push([event(unit, nth, "step.start")]);
        else if (i === 4) all.push([event(unit, nth, report, told)]);
        // in each batch one comes before the one before it, one is asked too early, and one is against the rules
        else if (is(2, 0, 2))
          all.push([event(unit, nth, "step.evidence", measurement(unit, i), "early"), event(unit, nth, "alarm.raised", '{"alarm":"door-open"}', "late")]);
        else if (is(1, 0, EVIDENCE + 1)) all.push([event(unit, nth, "step.complete"), weight]);
        else if (i === EVIDENCE + 2) all.push(is(1, 0, i) ? [] : [event(unit, nth, "step.complete")]);
        else if (is(3, 0, 3)) all.push([weight, event(unit, nth, "step.start")]);
        // and four come twice
        else if (nth === 1 && i === 5) all.push([weight, { part: "again", unit }]);
        else all.push([weight]);
      }
  // one measurement comes when its step is complete: a person decides
  all.push([event(UNITS - 1, STEPS - 1, "step.evidence", measurement(UNITS - 1, 0))]);
  const groups = Array.from({ length: Math.ceil(all.length / TOGETHER) }, (_, n) => all.slice(n * TOGETHER, (n + 1) * TOGETHER));
  return [...groups, [[{ part: "resolve" }]], [[{ part: "close" }]]];
}

function measurement(unit: number, i: number): string {
  return unit % 2 === 0
    ? `{"evidence":"weight","value":"${(12.45 + i * 0.011).toFixed(3)}","unit":"kg"}`
    : `{"evidence":"temperature","value":"${(21 + i * 1.3).toFixed(1)}","unit":"Cel"}`;
}

/** How many events a cell sends in its turn. */
export const EVENTS_OF_A_CELL = turnOfACell()
  .flat(2)
  .filter(({ part }) => part === "event" || part === "again").length;

/** What the plant says, with what it counts. */
class Telling {
  readonly hashed = new Map<string, string>();
  readonly numbers = new Map<string, number>();
  readonly #last = new Map<string, { readonly sequence: number; readonly sent: Signal }>();
  readonly #model: Model;

  constructor(model: Model) {
    this.#model = model;
  }

  /** `n`: the number of its id, where it has one. */
  say(part: Part, cell: number, turn: number, n: number): Signal {
    const batch = batchOf(cell, turn);
    switch (part.part) {
      case "event":
        return this.#event(part, cell, batch, n);
      case "again":
        return this.#again(sourceOf(cell, part.unit));
      case "order":
        return this.#order(batch, cell);
      case "resolve":
        return this.#resolve(batch);
      default:
        return this.#model.command({ kind: "batch.command", batch, command: part.part, reason: "as planned" });
    }
  }

  #event({ unit, type, step, data, order }: Event, cell: number, batch: string, n: number): Signal {
    const source = sourceOf(cell, unit);
    const last = this.#last.get(source)?.sequence ?? 0;
    const id = idOf(n);
    this.numbers.set(id, n);
    const content = {
      specversion: "1.0",
      id,
      source,
      type: `signalbox.${type}.v1`,
      time: `${this.#model.clock.slice(0, 23)}Z`,
      timesource: "ntp",
      batchid: batch,
      ...(step === null ? {} : { stepid: step }),
      data: JSON.parse(data),
    };
    const raw = JSON.stringify({ ...content, epoch: EPOCH, sequence: String(last + (order === "early" ? 2 : 1)) });
    this.#hash(raw);
    this.#hash(canonicalJson({ ...content, occurred: false }));
    this.#hash(`id\n${id}`, 40);
    const sent = this.#model.signal(this.#model.delivery(topicOf({ site: SITE, cell, unit }), raw));
    this.#last.set(source, { sequence: last + { early: 0, late: 2, next: 1 }[order ?? "next"], sent });
    return sent;
  }

  #again(source: string): Signal {
    const sent = this.#last.get(source)?.sent;
    if (sent?.kind !== "event") throw new Error(`${source} has said nothing`);
    return this.#model.signal({ ...sent.delivery, dup: true });
  }

  /** As the REST interface asks for a batch. */
  #order(batch: string, cell: number): Signal {
    const { recipe, revision, quantity } = RECIPE;
    const [line, jobOrder] = [lineName(cell), `PO-${batch}`];
    const equipment = Object.fromEntries(Array.from({ length: UNITS }, (_, unit) => [roleName(unit), unitName(cell, unit)] as const).sort());
    const asked = this.#hash(JSON.stringify([batch, jobOrder, line, recipe, revision, quantity.value, quantity.unit, equipment]));
    return this.#model.command({ kind: "batch.create", batch, jobOrder, line, recipe, revision, quantity, equipment, asked });
  }

  #resolve(batch: string): Signal {
    const event = [...this.#model.quarantine.values()].find((row) => row.batch === batch && row.resolution === null);
    if (event === undefined) throw new Error(`nothing of ${batch} is quarantined`);
    return this.#model.command({ kind: "quarantine.resolve", event: event.position, action: "reject", reason: "measured after the end" });
  }

  #hash(text: string, digits = 64): string {
    const hash = createHash("sha256").update(text).digest("hex").slice(0, digits);
    this.hashed.set(hash, text);
    return hash;
  }
}

/** Registers the plant in a fresh database, and decides and commits its first turns. */
export async function decideTurns(database: TestDatabase, { cells, turns, begins, after }: TurnsOptions): Promise<Turns> {
  const units = Array.from({ length: cells * UNITS }, (_, n) => ({ cell: Math.floor(n / UNITS), unit: n % UNITS }));
  const writer = await writeRecord(database, {
    site: SITE,
    recipes: [RECIPE],
    equipment: units.map(({ cell, unit }) => ({ equipment: unitName(cell, unit), line: lineName(cell), class: roleName(unit) })),
    now: begins(0),
    careful: false,
  });
  const { model } = writer;
  const telling = new Telling(model);
  const groups = turnOfACell();
  const ends = [model.position];
  let said = 0;
  for (let turn = 0; turn < turns; turn += 1) {
    model.now = begins(turn);
    for (const slots of groups) {
      const signals: Signal[] = [];
      for (const slot of slots)
        for (let cell = 0; cell < cells; cell += 1)
          for (const part of slot) {
            signals.push(telling.say(part, cell, turn, said));
            said += 1;
          }
      model.run(signals, [signals.length]);
      model.now += COMMIT_MS;
    }
    await writer.flush();
    ends.push(model.position);
    await after(turn);
  }
  await writer.close();
  return { ends, hashed: telling.hashed, numbers: telling.numbers };
}
