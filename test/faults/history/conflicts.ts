// Whether two events that claim one identity were told apart.
import { type Observed, put, type Tell } from "./observed.ts";
import { acted, judgedInTurn, type Settled } from "./rounds.ts";

/**
 * Of an id that came with several contents, each but the first leaves a conflict (`DUP_ID_REUSED`), and of several ids that claim one number only one is judged under
 * it. What leaves a conflict never acts, in no round. An id of which a delivery was not believed, not kept or only looked at is not judged, nor is one of which the
 * broker or a restore may have lost a content.
 */
export function conflicts(seen: Observed, tell: Tell): void {
  reusedIds(seen, tell);
  reusedNumbers(seen, tell);
  for (const { rounds } of seen.settled) {
    const conflict = rounds.find(({ code, status }) => status === "quarantined" && (code === "DUP_ID_REUSED" || code === "SEQ_REUSED"));
    const later = conflict === undefined ? undefined : rounds.find(acted);
    if (later !== undefined) tell("conflict", `${later.id} of ${later.source} conflicts by ${conflict?.verdict}, and acted by ${later.verdict}.`);
  }
}

function reusedIds({ history, sent, byId }: Observed, tell: Tell): void {
  if (history.end === null) return;
  const unsure = Math.max(...[...history.brokerForgot, ...history.restores].map(({ at }) => at), Number.NEGATIVE_INFINITY);
  for (const [key, all] of sent) {
    if (all.length === 1 || all.some(({ acknowledgedAt, at }) => acknowledgedAt === null || at <= unsure)) continue;
    const contents = new Set(all.map(({ content }) => content)).size;
    if (contents === 1) continue;
    const deliveries = byId.get(key) ?? [];
    if (deliveries.some(({ rounds }) => rounds.some(({ code }) => code !== null && /^(IDN_|ENV_|SEQ_WAITING_FULL)/.test(code)))) continue;
    const found = deliveries.filter(({ first }) => first.status === "quarantined" && first.code === "DUP_ID_REUSED").length;
    if (found < contents - 1) tell("conflict", `${key} came with ${contents} contents and left ${found} conflict${found === 1 ? "" : "s"}.`);
  }
}

function reusedNumbers({ history, settled }: Observed, tell: Tell): void {
  const replaced = new Set(history.replaced ?? []);
  const byNumber = new Map<string, Settled[]>();
  for (const delivery of settled) {
    const { source, id, epoch, sequence } = delivery.first;
    if (source === null || id === null || epoch === null || sequence === null || replaced.has(source)) continue;
    if (judgedInTurn(delivery) === null && !delivery.rounds.some((round) => round.ahead && acted(round))) continue;
    put(byNumber, `${source} ${epoch}.${sequence}`, delivery);
  }
  for (const [number, deliveries] of byNumber) {
    const ids = new Set(deliveries.map(({ first }) => first.id));
    if (ids.size > 1) tell("conflict", `Number ${number} was judged for ${[...ids].join(" and ")}.`);
  }
}
