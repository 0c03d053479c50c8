// Whether what each source reported was decided in its order.

import { byTurn, type Turn } from "./numbers.ts";
import { type Observed, put, type Tell } from "./observed.ts";
import { judgedInTurn } from "./rounds.ts";

/**
 * The rounds in which the events of a source were judged in their turn are, by position, in the order of their numbers; each event was decided under a number under
 * which it was sent; and on each topic the verdicts are first heard in the order of their positions.
 */
export function order(seen: Observed, tell: Tell): void {
  const { history } = seen;
  const replaced = new Set(history.replaced ?? []);
  const judged = new Map<string, (Turn & { readonly position: number; readonly id: string | null; readonly verdict: string })[]>();
  for (const delivery of seen.settled) {
    const round = judgedInTurn(delivery);
    if (round === null || round.source === null || round.epoch === null || round.sequence === null || replaced.has(round.source)) continue;
    put(judged, round.source, { epoch: round.epoch, sequence: round.sequence, position: round.position, id: round.id, verdict: round.verdict });
  }
  for (const [source, turns] of judged) {
    turns.sort((a, b) => a.position - b.position);
    for (let n = 1; n < turns.length; n += 1) {
      const [before, after] = [turns[n - 1], turns[n]];
      if (before !== undefined && after !== undefined && byTurn(before, after) > 0)
        tell(
          "misordered",
          `${source} was decided on ${before.epoch}.${before.sequence} (${before.verdict}) before ${after.epoch}.${after.sequence} (${after.verdict}).`,
        );
    }
  }
  underItsNumber(seen, tell);
  heardInOrder(seen, tell);
}

function underItsNumber({ sent, byId }: Observed, tell: Tell): void {
  for (const [key, all] of sent) {
    for (const { first } of byId.get(key) ?? []) {
      if (first.epoch !== null && first.sequence !== null && !all.some(({ epoch, sequence }) => sequence === first.sequence && epoch === first.epoch))
        tell("misordered", `${first.verdict} gives ${first.id} of ${first.source} the number ${first.epoch}.${first.sequence}, under which it was never sent.`);
    }
  }
}

function heardInOrder({ heardVerdicts }: Observed, tell: Tell): void {
  const last = new Map<string, { readonly generation: number; readonly position: number; readonly verdict: string }>();
  for (const { at, topic, said } of heardVerdicts.values()) {
    const before = last.get(topic);
    if (before !== undefined && (said.generation < before.generation || (said.generation === before.generation && said.position < before.position)))
      tell("misordered", `${said.verdict} was first heard on ${topic} after ${before.verdict}.`, at);
    else last.set(topic, said);
  }
}
