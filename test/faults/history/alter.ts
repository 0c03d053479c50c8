// Changes to a history that run through all who saw it: subscriber, reader and REST in the end.
import type { Heard, History } from "./history.ts";

export type Data = Readonly<Record<string, unknown>>;
type Body = NonNullable<Heard["body"]>;

const listOf = <T>(value: T | null): readonly T[] => (value === null ? [] : [value]);
const isVerdict = (body: Body): boolean => body.type === "signalbox.event.decided.v1";
const isOutcome = (body: Body): boolean => body.sequence !== undefined;

/** Changes verdicts everywhere; null takes one out. */
export function alterVerdicts(history: History, change: (data: Data) => Data | null): History {
  const ids = new Map<string, string | null>();
  const changed = (data: Data): Data | null => {
    const next = change(data);
    ids.set(String(data["verdict"]), next === null ? null : String(next["verdict"]));
    return next;
  };
  const end = history.end && { ...history.end, verdicts: history.end.verdicts.flatMap((data): readonly Data[] => listOf(changed(data))) };
  const heard = history.heard.flatMap((message): Heard | readonly Heard[] => {
    if (message.body === null || !isVerdict(message.body)) return message;
    const data = changed(message.body.data);
    return data === null ? [] : { ...message, body: { ...message.body, id: String(data["verdict"]), data } };
  });
  const reads = history.reads.map((read) =>
    read.of === "outcomes" ? read : { ...read, ids: read.ids.flatMap((id) => (ids.has(id) ? (ids.get(id) ?? []) : id)) },
  );
  return { ...history, end, heard, reads };
}

/** Changes outcomes everywhere; an empty list takes one out. */
export function alterOutcomes(history: History, change: (body: Body) => readonly Body[]): History {
  const ids = new Map<string, readonly string[]>();
  const changed = (body: Body): readonly Body[] => {
    const next = change(body);
    ids.set(
      `${body.source} ${body.id}`,
      next.map(({ id }) => id),
    );
    return next;
  };
  const end = history.end && { ...history.end, outcomes: history.end.outcomes.flatMap(changed) };
  const heard = history.heard.flatMap((message): readonly Heard[] => {
    const { body } = message;
    return body === null || !isOutcome(body) ? [message] : changed(body).map((next) => ({ ...message, body: next }));
  });
  const reads = history.reads.map((read) => {
    const source = read.stream === "site" ? `/site/${history.site}` : `/site/${history.site}/${read.stream}`;
    return read.of === "verdicts" ? read : { ...read, ids: read.ids.flatMap((id) => ids.get(`${source} ${id}`) ?? id) };
  });
  return { ...history, end, heard, reads };
}

/** Only what was heard changes, message by message. */
export const alterHeard = (history: History, change: (message: Heard, n: number) => readonly Heard[]): History => ({
  ...history,
  heard: history.heard.flatMap(change),
});

export const eventIn = (data: Data): Data => (typeof data["event"] === "object" && data["event"] !== null ? { ...data["event"] } : {});

/** Two parts of what was heard change places, where both are there. */
export function swapHeard(history: History, one: (message: Heard) => boolean, other: (message: Heard) => boolean): History {
  const heard = [...history.heard];
  const [a, b] = [heard.findIndex(one), heard.findIndex(other)];
  const [first, second] = [heard[a], heard[b]];
  if (first !== undefined && second !== undefined) {
    heard[a] = { ...second, at: first.at };
    heard[b] = { ...first, at: second.at };
  }
  return { ...history, heard };
}

/** What came after a position is decided anew in the next generation, after a restore at a time behind all others; until then it had been heard. */
export function restoredBehind(history: History, position: number): History {
  const at = 1 + Math.max(...history.heard.map((message) => message.at), ...history.sent.map((sent) => sent.at));
  const anew = (id: unknown): string => {
    const text = String(id);
    const [, site, , its] = /^(.*)\.(\d+)\.(\d+)$/.exec(text) ?? [];
    return site !== undefined && Number(its) > position ? `${site}.2.${its}` : text;
  };
  const verdict = (data: Data): Data => ({
    ...data,
    verdict: anew(data["verdict"]),
    ...(data["firstRound"] === undefined ? {} : { firstRound: anew(data["firstRound"]) }),
    ...(typeof data["first"] === "object" && data["first"] !== null && "verdict" in data["first"]
      ? { first: { ...data["first"], verdict: anew(data["first"].verdict) } }
      : {}),
  });
  const outcome = (body: Body): Body =>
    Number(body.data["position"]) > position ? { ...body, id: `2.${body.sequence}`, data: { ...body.data, generation: 2 } } : body;
  const again = history.heard.flatMap((message): readonly Heard[] => {
    const { body } = message;
    if (body === null) return [];
    const later = { ...message, at: message.at + at };
    if (isVerdict(body)) return Number(body.data["position"]) > position ? [{ ...later, body: { ...body, id: anew(body.id), data: verdict(body.data) } }] : [];
    if (isOutcome(body)) return [{ ...later, body: outcome(body) }];
    return [{ ...later, body: { ...body, data: { ...body.data, generation: 2 } } }];
  });
  return {
    ...history,
    heard: [...history.heard, ...again],
    end: history.end && { ...history.end, verdicts: history.end.verdicts.map(verdict), outcomes: history.end.outcomes.map(outcome) },
    restores: [{ at, generation: 2 }],
  };
}
