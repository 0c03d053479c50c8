// A history with everything that was heard put in its place once, so that each check finds it there.
import type { Heard, History, Invariant, Sent } from "./history.ts";
import { numberIn } from "./read-data.ts";
import { type Round, roundOf, type Settled, settled } from "./rounds.ts";
import { same } from "./same.ts";

/** How a check tells what it found: which invariant is broken, one sentence, and when it was seen. */
export type Tell = (invariant: Invariant, what: string, at?: number | null) => void;

export type Body = NonNullable<Heard["body"]>;

/** An outcome, with the numbers that are in it. */
export interface Outcome {
  /** `/site/rtm1/batch/B-1`: the source of its CloudEvent. */
  readonly stream: string;
  readonly generation: number;
  readonly sequence: number;
  readonly position: number;
  /** `1.1207`: generation and position. */
  readonly place: string;
  /** Without prefix and version: `step.started`. */
  readonly type: string;
  readonly body: Body;
}

/** Something as it was heard for the first time. */
export interface First<T> {
  readonly at: number;
  readonly topic: string;
  readonly body: Body;
  readonly said: T;
}

/** A retained cursor or mirror as it was heard. */
export interface Mirror {
  readonly at: number;
  readonly generation: number;
  readonly version: number;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Observed {
  readonly history: History;
  /** What REST shows in the end, in its order; where there is no end, what was heard. */
  readonly rounds: readonly Round[];
  readonly settled: readonly Settled[];
  /** By source and id, in the order in which devices published. */
  readonly sent: ReadonlyMap<string, readonly Sent[]>;
  /** The deliveries of each event, by its source and id. */
  readonly byId: ReadonlyMap<string, readonly Settled[]>;
  readonly outcomes: readonly Outcome[];
  /** By the id of the verdict, in the order in which they were heard. */
  readonly heardVerdicts: ReadonlyMap<string, First<Round>>;
  /** By stream and id, in the order in which they were heard. */
  readonly heardOutcomes: ReadonlyMap<string, First<Outcome>>;
  /** Repeats that do not say what was said first. */
  readonly contradictions: readonly { readonly at: number; readonly id: string }[];
  /** By topic, in the order in which they were heard. */
  readonly cursors: ReadonlyMap<string, readonly Mirror[]>;
  readonly mirrors: ReadonlyMap<string, readonly Mirror[]>;
}

export const keyOf = (source: string, id: string): string => `${source} ${id}`;

/** Whether a restore may have taken what a generation said: it is gone from the end, and heard nevertheless. */
export const mayBeRestored = ({ restores }: History, generation: number): boolean => restores.some((restore) => restore.generation > generation);

export function observe(history: History): Observed {
  const heard = sort(history.heard);
  const rounds = history.end === null ? survivors(heard.verdicts) : history.end.verdicts.flatMap((data) => roundOf(data) ?? []);
  const outcomes = history.end === null ? survivors(heard.outcomes) : history.end.outcomes.flatMap((body) => outcomeOf(body) ?? []);
  const deliveries = settled(rounds);
  const byId = new Map<string, Settled[]>();
  for (const delivery of deliveries) {
    const { source, id } = delivery.first;
    if (source !== null && id !== null) put(byId, keyOf(source, id), delivery);
  }
  const sent = new Map<string, Sent[]>();
  for (const each of history.sent) put(sent, keyOf(each.source, each.id), each);
  return {
    history,
    sent,
    rounds,
    settled: deliveries,
    byId,
    outcomes,
    heardVerdicts: heard.verdicts,
    heardOutcomes: heard.outcomes,
    contradictions: heard.contradictions,
    cursors: heard.cursors,
    mirrors: heard.mirrors,
  };
}

function sort(all: readonly Heard[]) {
  const verdicts = new Map<string, First<Round>>();
  const outcomes = new Map<string, First<Outcome>>();
  const contradictions: { at: number; id: string }[] = [];
  const cursors = new Map<string, Mirror[]>();
  const mirrors = new Map<string, Mirror[]>();
  for (const { at, topic, body } of all) {
    if (body === null) mirrors.delete(topic);
    else if (body.type === "signalbox.source.cursor.v1") put(cursors, topic, mirrorOf(at, body));
    else if (body.type === "signalbox.batch.state.v1") put(mirrors, topic, mirrorOf(at, body));
    else if (body.type === "signalbox.event.decided.v1") {
      const first = verdicts.get(body.id);
      if (first !== undefined) {
        if (!sameBody(first.body, body)) contradictions.push({ at, id: body.id });
        continue;
      }
      const said = roundOf(body.data);
      if (said !== null) verdicts.set(body.id, { at, topic, body, said });
    } else if (body.sequence !== undefined) {
      const key = keyOf(body.source, body.id);
      const first = outcomes.get(key);
      if (first !== undefined) {
        if (!sameBody(first.body, body)) contradictions.push({ at, id: key });
        continue;
      }
      const said = outcomeOf(body);
      if (said !== null) outcomes.set(key, { at, topic, body, said });
    }
  }
  return { verdicts, outcomes, contradictions, cursors, mirrors };
}

export const sameBody = (a: Body, b: Body): boolean =>
  a === b || (a.type === b.type && a.source === b.source && a.sequence === b.sequence && a.causationid === b.causationid && same(a.data, b.data));

export function outcomeOf(body: Body): Outcome | null {
  const sequence = Number(body.sequence);
  const position = numberIn(body.data, "position");
  const generation = numberIn(body.data, "generation");
  if (!Number.isInteger(sequence) || position === null || generation === null) return null;
  return { stream: body.source, generation, sequence, position, place: `${generation}.${position}`, type: shortType(body.type), body };
}

function shortType(type: string): string {
  const from = type.startsWith("signalbox.") ? 10 : 0;
  const version = type.lastIndexOf(".v");
  return type.slice(from, version < from ? undefined : version);
}

const mirrorOf = (at: number, { data }: Body): Mirror => ({
  at,
  generation: numberIn(data, "generation") ?? 0,
  version: numberIn(data, "version") ?? 0,
  data,
});

/** Where REST showed nothing in the end, only the last generation is sure to have stayed. */
function survivors<T extends { readonly generation: number; readonly position: number }>(heard: ReadonlyMap<string, First<T>>): readonly T[] {
  const all = [...heard.values()].map(({ said }) => said);
  const last = all.reduce((generation, said) => Math.max(generation, said.generation), 0);
  return all.filter(({ generation }) => generation === last).sort((a, b) => a.position - b.position);
}

export function put<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const known = lists.get(key);
  if (known === undefined) lists.set(key, [value]);
  else known.push(value);
}
