// Promise: what yields an agreeing source, epoch and sequence takes its number however bad the rest is; a report is refused for good only for its shape, its identity, forgery or
// a claim; the cursor never goes back, a number is accepted once, and every event ends in one status.
// Attack: envelopes of every type with each attribute dropped, emptied, mistyped or at its extreme; and one source's numbers in any disorder, held against a model of the table.
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EVENT_TYPES, type EventTypeName } from "../../../src/decode/event-types.ts";
import { measured, SEED } from "../../support/measure.ts";
import { envelope } from "../../support/mqtt.ts";
import type { Said } from "../../support/shapes.ts";
import { brokerHere, type Door, eventTopic, fuzzed, openDoor, pathOf, TIMEOUT_MS } from "./door.ts";
import { PLAIN, raw, string, type Text, textOf, write } from "./json-texts.ts";

let door: Door;
beforeAll(async () => {
  door = await openDoor("envelopes", { broker: brokerHere() });
});
afterAll(async () => {
  await door?.stop();
});

const QUANTITY = { value: "1.50", unit: "kg" };
const MATERIAL = { material: "M-1", lot: "L-1", quantity: QUANTITY };
const LABEL = { label: "box", revision: "2" };
/** Data that fits, for every type; types not named here need none. */
const DATA: Partial<Record<EventTypeName, Record<string, unknown>>> = {
  "source.lost": { from: "1", to: "2" },
  "step.evidence": { evidence: "net-weight", ...QUANTITY },
  "material.check": MATERIAL,
  "material.consumed": MATERIAL,
  "material.produced": MATERIAL,
  "material.returned": MATERIAL,
  "material.scrapped": MATERIAL,
  "material.transferred": { ...MATERIAL, to: "bin" },
  "count.reported": { counter: "c", value: "12.500" },
  "label.check": LABEL,
  "label.printed": LABEL,
  "label.applied": LABEL,
  "label.verified": LABEL,
  "label.voided": LABEL,
  "check.performed": { check: "seal", result: "pass" },
  "sample.taken": { sample: "S-1" },
  "equipment.state": { state: "Execute" },
  "equipment.changed": { what: "tool" },
  "downtime.reported": { reason: "jam" },
  "alarm.raised": { alarm: "a" },
  "alarm.cleared": { alarm: "a" },
  "call.raised": { call: "help" },
  "call.closed": { call: "help" },
  "quality.signal": { signal: "odour" },
};
// a birth in the running epoch says where its source stands, and is tried by the model below
const TYPES = (Object.keys(EVENT_TYPES) as EventTypeName[]).filter((name) => name !== "source.birth");

const ATTRIBUTES = [
  "specversion",
  "id",
  "type",
  "time",
  "timesource",
  "batchid",
  "stepid",
  "attempt",
  "occurred",
  "reciperevision",
  "evidenceref",
  "correlationid",
  "causationid",
  "traceparent",
  "tracestate",
  "subject",
  "dataschema",
  "datacontenttype",
  "data",
  "unknownext",
] as const;
const NUMBERING = ["source", "epoch", "sequence"] as const;

const value: fc.Arbitrary<Text> = fc.oneof(
  fc.constantFrom("null", "true", "0", "-1", "1", "1.5", "1e400", "-0", "9223372036854775807", "9223372036854775808", "[]", "{}", '["x"]', '{"a":1}').map(raw),
  fc
    .constantFrom(
      "",
      " ",
      "x",
      "B-1",
      "weigh",
      "blend@3",
      "blend@0",
      "1.0",
      "none",
      "ntp",
      "true",
      "application/json",
      "text/plain",
      "\u0000",
      "\ud800",
      "a\nb",
    )
    .map(string),
  fc
    .constantFrom(
      "2016-12-31T23:59:60Z",
      "9999-12-31T23:59:59.999999999Z",
      "0001-01-01T00:00:00Z",
      "0000-01-01T00:00:00Z",
      "2026-02-29T00:00:00Z",
      "2028-02-29T00:00:00+15:59",
    )
    .map(string),
  fc
    .constantFrom(
      "2026-11-22T08:00:00-00:00",
      "2026-11-22T08:00:00+16:00",
      "2026-11-22t08:00:00z",
      "2026-11-22T24:00:00Z",
      "10000-01-01T00:00:00Z",
      "0001-01-01T00:00:00+14:00",
      "9999-12-31T23:59:59-15:59",
    )
    .map(string),
  fc.constantFrom(64, 65, 256, 257, 512, 513, 5_000).map((n) => string("y".repeat(n))),
  fc.constantFrom("signalbox.step.start.v2", "signalbox.step.approved.v1", "signalbox.nothing.v1", "constructor").map(string),
);
/** What is no number of a count, so that the event takes none. */
const noNumber: fc.Arbitrary<Text | null> = fc.oneof(
  fc.constantFrom("007", "-1", "1.0", "1e3", "9223372036854775808", "99999999999999999999", "", " 1", "one", "+1", "١").map(string),
  fc.constantFrom("-1", "1.0", "1e2", "1e400", "true", "[1]", "9223372036854775808").map(raw),
  fc.constant(null),
);

const FORM = /^(ENV|SCH|TOP|APR|IDN)_|^SEQ_WAITING_FULL$/;

const mutation = fc.oneof(
  { weight: 6, arbitrary: fc.record({ name: fc.constantFrom<string>(...ATTRIBUTES), to: fc.option(value, { freq: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ name: fc.constantFrom<string>(...NUMBERING), to: noNumber }) },
);

test(
  "an envelope with anything wrong in it takes its number where it can be read, and a report is not lost for anything but its form",
  async () => {
    const seen = new Set<string>();
    let total = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ type: fc.constantFrom(...TYPES), changes: fc.array(mutation, { maxLength: 3 }), claims: fc.boolean() }), {
          minLength: 1,
          maxLength: 200,
          size: "max",
        }),
        async (all) => {
          const source = await door.source();
          let next = 1;
          const expected: (number | null)[] = [];
          const moods: ("request" | "report" | "unknown")[] = [];
          const sent = all.map(({ type, changes, claims }, i) => {
            const claim = claims ? { batchid: "no-such-batch", stepid: "weigh" } : {};
            const event = envelope(source, 1, next, type, DATA[type] ?? {}, { ...claim, id: `e-${i}` });
            const members = new Map<string, Text>(Object.entries(event).map(([name, content]) => [name, textOf(content)]));
            for (const { name, to } of changes) {
              if (to === null) members.delete(name);
              else members.set(name, to);
            }
            const numbered = !changes.some(({ name }) => NUMBERING.some((one) => one === name));
            expected.push(numbered ? next : null);
            if (numbered) next += 1;
            // a request that says so tells of something done
            const done = members.get("occurred");
            const report = EVENT_TYPES[type].mood === "report" || (done !== undefined && "text" in done && done.text === "true");
            moods.push(changes.some(({ name }) => name === "type") ? "unknown" : report ? "report" : "request");
            return { topic: eventTopic(source), payload: write({ kind: "object", members: [...members] }, PLAIN) };
          });
          const verdicts = await door.deliver(sent);
          total += verdicts.length;
          for (const [i, { status, code, event, reason }] of verdicts.entries()) {
            const about = `${status} ${code}: ${reason} for ${sent[i]?.payload.slice(0, 500)} (seed ${SEED})`;
            const number = expected[i];
            if (number !== null && event.sequence !== String(number)) throw new Error(`number ${number} was not taken: ${about}`);
            if (number === null && event.source !== undefined && event.sequence !== undefined) throw new Error(`a number was read: ${about}`);
            // mood: a report that can be read is quarantined rather than refused, and a request is never quarantined but for its identity
            if (status === "rejected" && moods[i] === "report" && !FORM.test(code)) throw new Error(`a report was refused: ${about}`);
            if (status === "quarantined" && moods[i] === "request" && !/^(DUP|SEQ|SYS)_/.test(code)) throw new Error(`a request was quarantined: ${about}`);
            seen.add(`${status} ${code ?? ""}`);
          }
          const { body } = await door.plant.ask("GET", pathOf(source));
          expect([body.through, body.missing, body.parked], `seed ${SEED}`).toEqual([String(next - 1), [], null]);
          await door.goesOn("a batch of envelopes");
        },
      ),
      fuzzed(8),
    );
    measured("fuzz.envelopes", `seed ${SEED}: ${total} envelopes, ${seen.size} kinds of verdict`);
    console.log(`envelopes, seed ${SEED}: ${total} envelopes; ${[...seen].join(", ")}`);
  },
  TIMEOUT_MS,
);

type Step = { readonly does: "next" | "again" | "other content" | "reuse" | "late copy" | "newer" | "birth" } | { readonly does: "early"; readonly by: number };
const step: fc.Arbitrary<Step & { readonly pick: number }> = fc
  .tuple(
    fc.oneof(
      { weight: 6, arbitrary: fc.constant<Step>({ does: "next" }) },
      { weight: 3, arbitrary: fc.integer({ min: 1, max: 4 }).map((by): Step => ({ does: "early", by })) },
      { weight: 2, arbitrary: fc.constant<Step>({ does: "again" }) },
      { weight: 1, arbitrary: fc.constantFrom<Step>({ does: "other content" }, { does: "reuse" }, { does: "newer" }, { does: "birth" }) },
    ),
    fc.nat(),
  )
  .map(([one, pick]) => ({ ...one, pick }));

interface Remembered {
  readonly id: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly text: string;
}

/** The table of the design for events that wait their turn: a source's place, what waits, what is known. */
class Model {
  epoch = 0;
  through = 0;
  parked = false;
  #reused = 0;
  readonly #taken = new Set<string>();
  readonly #waiting = new Map<string, string>();
  readonly sent: Remembered[] = [];
  readonly #ids = new Map<string, string>();
  readonly #conflicts = new Set<string>();

  /** What is settled on an event, by the place in which it comes. */
  settle({ id, epoch, sequence, text }: Remembered, birth: boolean): string {
    const key = `${epoch}.${sequence}`;
    const known = this.#ids.get(id);
    if (known !== undefined && known !== text) {
      const again = this.#conflicts.has(`${id} ${text}`);
      this.#conflicts.add(`${id} ${text}`);
      return again ? "duplicate DUP_EXACT" : "quarantined DUP_ID_REUSED";
    }
    if (known !== undefined) return "duplicate DUP_EXACT";
    this.#ids.set(id, text);
    if (birth && epoch > this.epoch) {
      this.#take(epoch, sequence);
      return "accepted";
    }
    if (epoch < this.epoch) return "quarantined SEQ_EPOCH_OLD";
    const expected = epoch > this.epoch ? 1 : this.through + 1;
    if (sequence < expected) {
      if (!this.#taken.has(key)) return "quarantined SEQ_SKIPPED";
      this.#reused += 1;
      if (this.#reused >= 2) this.parked = true;
      return "quarantined SEQ_REUSED";
    }
    if (this.#waiting.has(key)) return "quarantined SEQ_REUSED";
    if (sequence > expected || (this.parked && epoch === this.epoch)) {
      this.#waiting.set(key, id);
      return this.parked ? "deferred SEQ_REUSED" : "deferred SEQ_GAP";
    }
    this.#take(epoch, sequence);
    return "accepted";
  }

  #take(epoch: number, sequence: number): void {
    if (epoch > this.epoch) this.parked = false;
    this.epoch = epoch;
    this.through = sequence;
    this.#reused = 0;
    this.#taken.add(`${epoch}.${sequence}`);
    while (this.#waiting.delete(`${epoch}.${this.through + 1}`)) {
      this.through += 1;
      this.#taken.add(`${epoch}.${this.through}`);
    }
  }

  /** Numbers that are missing before something that waits. */
  missing(): number[] {
    const ahead = [...this.#waiting.keys()].flatMap((key) => (key.startsWith(`${this.epoch}.`) ? [Number(key.split(".")[1])] : []));
    const last = Math.max(this.through, ...ahead);
    return Array.from({ length: last - this.through }, (_, i) => this.through + 1 + i).filter((n) => !this.#waiting.has(`${this.epoch}.${n}`));
  }
}

test(
  "one source's numbers in any disorder are settled as the table says; the cursor never goes back and each number is accepted once",
  async () => {
    let total = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 80, size: "max" }), async (steps) => {
        const source = await door.source();
        const model = new Model();
        const cursors = door.party.seen.length;
        await door.party.subscribe(`${source.slice(1)}/cursor`);
        const sent: { topic: string; payload: string }[] = [];
        const expected: string[] = [];
        let count = 0;
        const say = (epoch: number, sequence: number, more: { readonly id?: string; readonly call?: string; readonly birth?: boolean } = {}): void => {
          count += 1;
          const id = more.id ?? `e-${count}`;
          const birth = more.birth === true;
          const data = birth ? { next: String(sequence + 1) } : { call: more.call ?? "help" };
          const remembered = { id, epoch, sequence, text: JSON.stringify(data) };
          sent.push({
            topic: eventTopic(source),
            payload: JSON.stringify(envelope(source, epoch, sequence, birth ? "source.birth" : "call.raised", data, { id, time: "2026-11-22T08:00:00.000Z" })),
          });
          model.sent.push(remembered);
          expected.push(model.settle(remembered, birth));
        };
        for (const one of steps) {
          const before = model.sent[one.pick % Math.max(1, model.sent.length)];
          const epoch = Math.max(1, model.epoch);
          if (one.does === "early") say(epoch, model.through + 1 + one.by);
          else if (one.does === "newer") say(epoch + 1, 1);
          else if (one.does === "birth") say(epoch + 1, 1 + (one.pick % 50), { birth: true });
          else if (one.does === "next" || before === undefined) say(epoch, model.through + 1);
          else if (one.does === "again") {
            const { id, epoch: e, sequence, text } = before;
            // the very same event; a birth is one by its data
            const data: { call?: string; next?: string } = JSON.parse(text);
            if (data.next !== undefined || e !== model.epoch) continue;
            say(e, sequence, { id, ...(data.call === undefined ? {} : { call: data.call }) });
          } else if (one.does === "other content")
            say(before.epoch, Math.min(before.sequence, model.epoch === before.epoch ? model.through : before.sequence) || 1, {
              id: before.id,
              call: `other-${one.pick % 3}`,
            });
          else say(before.epoch, before.sequence);
        }
        // what is missing of the running epoch comes in the end, unless a person has to say how the source goes on
        if (!model.parked) for (const n of model.missing()) say(model.epoch, n);
        const verdicts = await door.deliver(sent);
        total += verdicts.length;
        const told = verdicts.map(({ status, code }, i) => `${status === "accepted" ? status : `${status} ${code}`} <- ${sent[i]?.payload}`);
        expect(told, `seed ${SEED}`).toEqual(expected.map((one, i) => `${one} <- ${sent[i]?.payload}`));

        const rounds = await door.rounds(source);
        const { body } = await door.plant.ask("GET", pathOf(source));
        expect([body.parked === null, Number(body.through)], `seed ${SEED}`).toEqual([!model.parked, model.through]);
        const accepted = rounds.filter(({ status }) => status === "accepted").map(({ event }) => `${event.epoch}.${event.sequence}`);
        expect(new Set(accepted).size, `each number once, seed ${SEED}`).toBe(accepted.length);
        const last = new Map<string, Said>();
        for (const round of rounds) {
          const first = round.firstRound ?? round.verdict;
          if (last.get(first)?.final === true) throw new Error(`${first} was settled again after it was final, seed ${SEED}`);
          last.set(first, round);
        }
        for (const { status, event } of last.values())
          if (status === "deferred" && event.epoch === String(model.epoch) && !model.parked) throw new Error(`${event.id} is still open, seed ${SEED}`);
        const positions = door.party.seen.slice(cursors).flatMap(({ topic, body: cursor }) => (topic === `${source.slice(1)}/cursor` ? [cursor.data] : []));
        for (const [i, { epoch, through }] of positions.entries()) {
          const [e, t] = [Number(positions[i - 1]?.epoch ?? 0), Number(positions[i - 1]?.through ?? 0)];
          if (Number(epoch ?? 0) < e || (Number(epoch ?? 0) === e && Number(through) < t))
            throw new Error(`the cursor went back from ${e}.${t} to ${epoch}.${through}, seed ${SEED}`);
        }
      }),
      fuzzed(20),
    );
    measured("fuzz.numbers", `seed ${SEED}: ${total} deliveries as the model says`);
    console.log(`numbers, seed ${SEED}: ${total} deliveries`);
  },
  TIMEOUT_MS,
);
