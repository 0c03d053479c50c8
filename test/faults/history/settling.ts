// Whether everything came to rest after the last fault.
import { byNumber } from "./numbers.ts";
import type { Observed, Tell } from "./observed.ts";
import { textIn } from "./read-data.ts";
import { waitsItsTurn } from "./rounds.ts";

/**
 * The service answered in the end; and no event waits for its turn at a number that the last cursor of its source has passed, or that is next while the source is not
 * parked. What waits below a birth, or below numbers that a person gave up, stays open for the gap limit, and is no finding.
 */
export function settling({ history, settled, cursors }: Observed, tell: Tell): void {
  if (history.end === null) {
    tell("stuck", "The service never settled after the last fault.");
    return;
  }
  const replaced = new Set(history.replaced ?? []);
  const stands = new Map<string, { readonly epoch: string; readonly through: string; readonly parked: boolean }>();
  for (const list of cursors.values()) {
    const data = list.at(-1)?.data ?? {};
    const [source, epoch, through] = [textIn(data, "source"), textIn(data, "epoch"), textIn(data, "through")];
    if (source !== null && epoch !== null && through !== null) stands.set(source, { epoch, through, parked: data["parked"] === true });
  }
  const baselines = new Map<string, string>();
  for (const { first } of settled) {
    const { source, epoch, sequence, type } = first;
    if (type !== "signalbox.source.birth.v1" || sequence === null) continue;
    const before = baselines.get(`${source} ${epoch}`);
    if (before === undefined || byNumber(sequence, before) > 0) baselines.set(`${source} ${epoch}`, sequence);
  }
  for (const { source, epoch, to } of history.skipped ?? []) baselines.set(`${source} ${epoch}`, to);
  for (const { last } of settled) {
    const { source, epoch, sequence } = last;
    const at = source === null || replaced.has(source) || !waitsItsTurn(last) ? undefined : stands.get(source);
    if (at === undefined || sequence === null || epoch !== at.epoch) continue;
    const passed = byNumber(sequence, at.through) <= 0 && byNumber(sequence, baselines.get(`${source} ${epoch}`) ?? "0") > 0;
    const next = !at.parked && BigInt(sequence) === BigInt(at.through) + 1n;
    if (passed || next) tell("stuck", `${last.id} of ${source} still waits at ${epoch}.${sequence}, and the source is through ${at.through}.`);
  }
}
