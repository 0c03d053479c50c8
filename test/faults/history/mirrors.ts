// Whether what is retained only ever becomes newer.

import { byNumber } from "./numbers.ts";
import type { Mirror, Observed, Tell } from "./observed.ts";
import { textIn } from "./read-data.ts";
import { same } from "./same.ts";

/**
 * Between two connections of the subscriber generation and version of a retained topic never fall, the same version always says the same, and a cursor never goes
 * back, unless it begins to count anew (its epoch is null for a moment, or its generation rises).
 */
export function mirrors({ history, cursors, mirrors: batches }: Observed, tell: Tell): void {
  const cuts = [...(history.reconnected ?? []), ...history.brokerForgot].map(({ at }) => at);
  const replaced = new Set(history.replaced ?? []);
  for (const [topic, list] of [...cursors, ...batches]) {
    for (let n = 1; n < list.length; n += 1) {
      const [before, after] = [list[n - 1], list[n]];
      if (before === undefined || after === undefined || cuts.some((at) => at >= before.at && at <= after.at)) continue;
      const wrong = regressed(before, after, replaced);
      if (wrong !== null) tell("regressed", `${topic} ${wrong}.`, after.at);
    }
  }
}

const named = ({ generation, version }: Mirror): string => `version ${version} of generation ${generation}`;

function regressed(before: Mirror, after: Mirror, replaced: ReadonlySet<string>): string | null {
  if (after.generation !== before.generation) return after.generation > before.generation ? null : `went from ${named(before)} to ${named(after)}`;
  if (after.version < before.version) return `went from ${named(before)} to ${named(after)}`;
  if (after.version === before.version) return same(before.data, after.data) ? null : `says two things under ${named(after)}`;
  const [epoch, now] = [textIn(before.data, "epoch"), textIn(after.data, "epoch")];
  const [through, reached] = [textIn(before.data, "through"), textIn(after.data, "through")];
  if (epoch === null || now === null || through === null || reached === null || replaced.has(textIn(after.data, "source") ?? "")) return null;
  const back = byNumber(now, epoch) < 0 || (now === epoch && byNumber(reached, through) < 0);
  return back ? `went back from ${epoch}.${through} to ${now}.${reached} with ${named(after)}` : null;
}
