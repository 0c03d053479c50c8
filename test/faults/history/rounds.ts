// Verdicts as outsiders read them, put together by the delivery that they are about.
import { numberIn, objectIn, textIn } from "./read-data.ts";

/** One round of one delivery of an event. */
export interface Round {
  /** `rtm1.1.1207`: site, generation, position. */
  readonly verdict: string;
  readonly generation: number;
  readonly position: number;
  /** `1.1207`: generation and position. */
  readonly place: string;
  readonly round: number;
  readonly source: string | null;
  readonly id: string | null;
  readonly type: string | null;
  readonly epoch: string | null;
  readonly sequence: string | null;
  readonly status: string;
  readonly final: boolean;
  readonly code: string | null;
  readonly ahead: boolean;
  readonly explained: boolean;
  readonly reason: string;
  /** The verdict of its first round. */
  readonly firstRound: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What became of one delivery: its rounds, in their order. */
export interface Settled {
  readonly first: Round;
  readonly last: Round;
  readonly rounds: readonly Round[];
}

/** Null for what is no verdict. */
export function roundOf(data: Readonly<Record<string, unknown>>): Round | null {
  const verdict = textIn(data, "verdict");
  const status = textIn(data, "status");
  const at = verdict === null ? null : placeOf(verdict);
  if (verdict === null || status === null || at === null) return null;
  const event = objectIn(data, "event") ?? {};
  return {
    verdict,
    ...at,
    round: numberIn(data, "round") ?? 1,
    source: textIn(event, "source"),
    id: textIn(event, "id"),
    type: textIn(event, "type"),
    epoch: textIn(event, "epoch"),
    sequence: textIn(event, "sequence"),
    status,
    final: data["final"] === true,
    code: textIn(data, "code"),
    ahead: data["ahead"] === true,
    explained: objectIn(data, "explanation") !== null,
    reason: textIn(data, "reason") ?? "",
    firstRound: textIn(data, "firstRound") ?? verdict,
    data,
  };
}

/** The generation and position that a verdict's id ends with. */
export function placeOf(verdict: string): { readonly generation: number; readonly position: number; readonly place: string } | null {
  const last = verdict.lastIndexOf(".");
  const before = verdict.lastIndexOf(".", last - 1);
  const place = verdict.slice(before + 1);
  const generation = Number(verdict.slice(before + 1, last));
  const position = Number(verdict.slice(last + 1));
  return before > 0 && Number.isInteger(generation) && Number.isInteger(position) ? { generation, position, place } : null;
}

/** By their first rounds, in the order of positions. */
export function settled(rounds: readonly Round[]): readonly Settled[] {
  const byFirst = new Map<string, Round[]>();
  for (const round of rounds) {
    const known = byFirst.get(round.firstRound);
    if (known === undefined) byFirst.set(round.firstRound, [round]);
    else known.push(round);
  }
  const all: Settled[] = [];
  for (const found of byFirst.values()) {
    if (found.length > 1) found.sort((a, b) => a.round - b.round || a.position - b.position);
    const [first] = found;
    const last = found.at(-1);
    if (first !== undefined && last !== undefined) all.push({ first, last, rounds: found });
  }
  return all;
}

export const acted = ({ status }: Round): boolean => status === "accepted" || status === "accepted_with_exception";

/** Deferred since its turn has not come, and not since something else is missing: it has no number yet. */
export const waitsItsTurn = ({ status, code, explained, reason }: Round): boolean =>
  status === "deferred" && !explained && (code === "SEQ_GAP" || code === "SEQ_REUSED" || code === "SYS_POISON") && !reason.includes("waits behind");

/**
 * The round in which a delivery was judged in its turn: null where it never was, since it acted ahead, repeated or contradicted something, came too late, could not
 * be read or believed, or still waits. What is judged again afterwards has a later round and a cause, and no turn.
 */
export function judgedInTurn({ rounds }: Settled): Round | null {
  const judged = rounds.find((round) => !waitsItsTurn(round));
  if (judged === undefined || judged.ahead || judged.status === "duplicate") return null;
  if (acted(judged)) return judged;
  if (judged.code !== null && /^(SEQ_(?!GAP)|DUP_|IDN_|SYS_|ENV_RETAINED)/.test(judged.code)) return null;
  return judged.status === "rejected" && !judged.explained ? null : judged;
}

/** Whether a delivery left its number free: it was not believed, came too late, or found the number taken. */
export const leavesNumber = ({ rounds }: Settled): boolean =>
  rounds.every(({ code }) => code !== null && /^(SEQ_SKIPPED|SEQ_EPOCH_OLD|SEQ_WAITING_FULL|SEQ_REUSED|IDN_|ENV_RETAINED)/.test(code));
