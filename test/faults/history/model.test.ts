import fc from "fast-check";
import { expect, test } from "vitest";
import { alterHeard, alterOutcomes, alterVerdicts, type Data, eventIn } from "./alter.ts";
import { check } from "./check.ts";
import { renumbered } from "./examples.ts";
import type { Heard, History, Invariant } from "./history.ts";
import { runs } from "./random-runs.ts";

// Promise: what the service does is found to be right, and what it never does is found. Attack: random runs of the in-memory model, as they are, and with one thing changed.

test("whatever the model does is found to be right", () => {
  fc.assert(
    fc.property(runs, (history) => {
      expect(check(history)).toEqual([]);
    }),
    { numRuns: 40 },
  );
}, 120_000);

type Body = NonNullable<Heard["body"]>;

const isAccepted = (data: Data): boolean => data["status"] === "accepted" && data["round"] === 1 && data["ahead"] !== true;
const eventOf = (data: Data): string => `${eventIn(data)["source"]} ${eventIn(data)["id"]}`;
const outcomesOf = (history: History): readonly Body[] => history.end?.outcomes ?? [];
const verdictsOf = (history: History): readonly Data[] => history.end?.verdicts ?? [];
const one = <T>(list: readonly T[], n: number): T | undefined => list[n % Math.max(1, list.length)];
const is = (a: Body | undefined, b: Body): boolean => a !== undefined && a.source === b.source && a.id === b.id;

/** A change to a history, by a random number; null: there is nothing to change. */
type Change = (history: History, n: number) => History | null;

const CHANGES: Readonly<Record<string, readonly [Change, readonly Invariant[]]>> = {
  "an outcome is dropped everywhere": [
    (history, n) => {
      const gone = one(outcomesOf(history), n);
      return alterOutcomes(history, (body) => (is(gone, body) ? [] : [body]));
    },
    ["holes", "lost", "disagree"],
  ],
  "the last outcome of an event is dropped everywhere": [
    (history) => {
      const gone = outcomesOf(history).findLast(({ source, causationid }) => source.includes("/equipment/") && causationid !== undefined);
      return gone === undefined ? null : alterOutcomes(history, (body) => (is(gone, body) ? [] : [body]));
    },
    ["lost", "holes"],
  ],
  "an outcome is told again under a new id": [
    (history, n) => {
      const twice = one(outcomesOf(history), n);
      const last = Math.max(
        ...outcomesOf(history)
          .filter(({ source }) => source === twice?.source)
          .map(({ sequence }) => Number(sequence)),
      );
      const again = twice === undefined ? [] : [renumbered(twice, last + 1 - Number(twice.sequence))];
      const at = 1 + Math.max(...history.heard.map((message) => message.at));
      const heard = [...history.heard, ...again.map((body) => ({ at, topic: "site/rtm1/outcome", retained: false, body }))];
      return { ...history, heard, end: history.end && { ...history.end, outcomes: [...history.end.outcomes, ...again] } };
    },
    ["doubled"],
  ],
  "two accepted events of one source change places": [
    (history, n) => {
      const [first] = [one(verdictsOf(history).filter(isAccepted), n)];
      const other = verdictsOf(history).find(
        (data) => isAccepted(data) && first !== undefined && eventIn(data)["source"] === eventIn(first)["source"] && data !== first,
      );
      if (first === undefined || other === undefined) return null;
      return alterVerdicts(history, (data) =>
        data["verdict"] === first["verdict"]
          ? { ...data, event: other["event"] }
          : data["verdict"] === other["verdict"]
            ? { ...data, event: first["event"] }
            : data,
      );
    },
    ["misordered", "doubled"],
  ],
  "a verdict names another number": [
    (history, n) => {
      const shifted = one(verdictsOf(history).filter(isAccepted), n);
      if (shifted === undefined) return null;
      const event = eventIn(shifted);
      return alterVerdicts(history, (data) =>
        data["verdict"] === shifted["verdict"] ? { ...data, event: { ...event, sequence: String(BigInt(String(event["sequence"])) + 50n) } } : data,
      );
    },
    ["misordered"],
  ],
  "an outcome has another number": [
    (history, n) => {
      const shifted = one(outcomesOf(history), n);
      return alterOutcomes(history, (body) => (is(shifted, body) ? [renumbered(body, 50)] : [body]));
    },
    ["holes"],
  ],
  "an event has no verdict": [
    (history, n) => {
      const gone = one(history.sent, n);
      return alterVerdicts(history, (data) => (eventOf(data) === `${gone?.source} ${gone?.id}` ? null : data));
    },
    ["lost"],
  ],
  "a read leaves one out": [
    (history, n) => {
      const read = one(
        history.reads.filter(({ ids }) => ids.length > 1),
        n,
      );
      return { ...history, reads: history.reads.map((its) => (its === read ? { ...its, ids: its.ids.toSpliced(n % (its.ids.length - 1), 1) } : its)) };
    },
    ["prefix"],
  ],
  "the last reader lacks the last": [
    (history, n) => {
      const last = Math.max(...history.reads.map(({ began }) => began));
      const read = one(
        history.reads.filter(({ began }) => began === last),
        n,
      );
      return { ...history, reads: history.reads.map((its) => (its === read ? { ...its, ids: its.ids.slice(0, -1) } : its)) };
    },
    ["stale", "prefix"],
  ],
  "a message was heard otherwise": [
    (history, n) => {
      const other = one(
        history.heard.filter(({ retained }) => !retained),
        n,
      );
      return alterHeard(history, (message) =>
        message === other && message.body !== null ? [{ ...message, body: { ...message.body, data: { ...message.body.data, context: "x" } } }] : [message],
      );
    },
    ["disagree"],
  ],
  "a message was not heard": [
    (history, n) => {
      const other = one(
        history.heard.filter(({ retained }) => !retained),
        n,
      );
      return alterHeard(history, (message) => (message === other ? [] : [message]));
    },
    ["disagree"],
  ],
  "a cursor is told again that is older": [
    (history, n) => {
      const older = one(
        history.heard.filter(({ topic, body }) =>
          history.heard.some((later) => later.topic === topic && later.body !== null && Number(later.body.data["version"]) > Number(body?.data["version"])),
        ),
        n,
      );
      const at = 1 + Math.max(...history.heard.map((message) => message.at));
      return older === undefined ? null : { ...history, heard: [...history.heard, { ...older, at }] };
    },
    ["regressed"],
  ],
};

test.each(Object.entries(CHANGES))(
  "of a run, when %s, that is found",
  (_, [change, invariants]) => {
    fc.assert(
      fc.property(runs, fc.nat(), (history, n) => {
        const changed = change(history, n);
        fc.pre(changed !== null);
        if (changed === null) return;
        const found = new Set<string>(check(changed).map(({ invariant }) => invariant));
        expect([...found].filter((invariant) => invariants.some((wanted) => wanted === invariant))).not.toEqual([]);
      }),
      { numRuns: 8 },
    );
  },
  120_000,
);
