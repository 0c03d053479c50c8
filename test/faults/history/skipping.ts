// Whether a source went on behind numbers that nobody gave up.
import { byNumber } from "./numbers.ts";
import { type Observed, put, type Tell } from "./observed.ts";
import { numberIn, objectIn, textIn } from "./read-data.ts";
import { acted, judgedInTurn, leavesNumber } from "./rounds.ts";

interface Range {
  readonly from: bigint;
  readonly to: bigint;
}

/**
 * Every number that a retained cursor says to have passed was taken by an event on record, or given up by a loss that the source declared, by the baseline of a birth,
 * or by a person. A device forgets what the cursor has passed, so that a number passed without a word would be lost for good.
 */
export function skipping(seen: Observed, tell: Tell): void {
  const { history } = seen;
  if (history.end === null) return;
  const passed = passedBy(seen);
  if (passed.size === 0) return;
  const covered = coveredBy(seen);
  const replaced = new Set(history.replaced ?? []);
  for (const [key, { source, epoch, through, at }] of passed) {
    if (replaced.has(source)) continue;
    const ranges = (covered.get(key) ?? []).sort((a, b) => (a.from < b.from ? -1 : 1));
    let reached = 0n;
    for (const { from, to } of [...ranges, { from: BigInt(through) + 1n, to: BigInt(through) + 1n }]) {
      if (reached >= BigInt(through)) break;
      if (from > reached + 1n) {
        const last = from - 1n < BigInt(through) ? from - 1n : BigInt(through);
        tell("misordered", `${source} went on behind ${reached + 1n} to ${last} of epoch ${epoch}, which nobody gave up.`, at);
        break;
      }
      if (to > reached) reached = to;
    }
  }
}

interface Passed {
  readonly source: string;
  readonly epoch: string;
  readonly through: string;
  readonly at: number;
}

/** How far the cursors of the last generation have gone in each epoch of each source. */
function passedBy({ cursors }: Observed): ReadonlyMap<string, Passed> {
  const passed = new Map<string, Passed>();
  for (const list of cursors.values()) {
    const generation = list.at(-1)?.generation;
    for (const { at, data, generation: its } of list) {
      const [source, epoch, through] = [textIn(data, "source"), textIn(data, "epoch"), textIn(data, "through")];
      if (source === null || epoch === null || through === null || its !== generation) continue;
      const key = `${source} ${epoch}`;
      const before = passed.get(key);
      if (before === undefined || byNumber(through, before.through) > 0) passed.set(key, { source, epoch, through, at });
    }
  }
  return passed;
}

/** The numbers that were taken or given up, by source and epoch. */
function coveredBy({ history, settled, outcomes }: Observed): Map<string, Range[]> {
  const covered = new Map<string, Range[]>();
  const births = new Map<string, bigint>();
  const began = new Map<string, bigint>();
  const speakers = new Map<string, { readonly source: string; readonly epoch: string; readonly sequence: bigint }>();
  for (const delivery of settled) {
    const { source, epoch, sequence, type } = delivery.first;
    if (source === null || epoch === null || sequence === null) continue;
    const key = `${source} ${epoch}`;
    const at = BigInt(sequence);
    if (!leavesNumber(delivery)) put(covered, key, { from: at, to: at });
    const birth = type === "signalbox.source.birth.v1" && acted(delivery.last);
    if (birth && at < (births.get(key) ?? at + 1n)) births.set(key, at);
    if (!birth && judgedInTurn(delivery) !== null && at < (began.get(key) ?? at + 1n)) began.set(key, at);
    if (type === "signalbox.source.lost.v1") for (const round of delivery.rounds) if (acted(round)) speakers.set(round.place, { source, epoch, sequence: at });
  }
  // an epoch that begins with a birth begins at its number
  for (const [key, birth] of births) if ((began.get(key) ?? birth) >= birth) put(covered, key, { from: 1n, to: birth });
  for (const { type, place, body } of outcomes) {
    const by = speakers.get(place);
    const report = objectIn(body.data, "report");
    if (type !== "source.loss-declared" || by === undefined || report === null) continue;
    const [from, to] = [numberOf(report, "from"), numberOf(report, "to")];
    if (from !== null && to !== null) put(covered, `${by.source} ${by.epoch}`, { from, to: to < by.sequence ? to : by.sequence });
  }
  for (const { source, epoch, from, to } of history.skipped ?? []) put(covered, `${source} ${epoch}`, { from: BigInt(from), to: BigInt(to) });
  return covered;
}

/** A device may write its numbers as text or as JSON integers. */
function numberOf(data: Readonly<Record<string, unknown>>, key: string): bigint | null {
  const text = textIn(data, key) ?? numberIn(data, key)?.toString() ?? null;
  return text === null || !/^\d+$/.test(text) ? null : BigInt(text);
}
