// Promise: every delivery on an event topic gets one verdict, over MQTT as over REST, with a status and a code that are documented. What says the same is the same event,
// however it is spelled; what says something else under its identity is a conflict.
// Attack: generated JSON texts, damaged on the way, hundreds at a time; then one event in many spellings. What is JSON is judged by the language's own reader.
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { measured, SEED } from "../../support/measure.ts";
import { envelope } from "../../support/mqtt.ts";
import type { Said } from "../../support/shapes.ts";
import { brokerHere, type Door, eventTopic, fuzzed, openDoor, pathOf, TIMEOUT_MS } from "./door.ts";
import { anyText, heavyText, numberText, object, PLAIN, raw, type Spelling, spelling, string, type Text, textOf, write } from "./json-texts.ts";

const SITE = "jsonfuzz";
const MOST_BYTES = 256 * 1024;
let door: Door;

/** The first verdicts on what names a batch that nobody knows: it waits for that batch, as long as its patience lasts. */
const forABatch = new Set<string>();

beforeAll(async () => {
  door = await openDoor(SITE, { broker: brokerHere() });
  // there is one in every run
  const source = await door.source();
  const event = envelope(source, 1, 1, "call.raised", { call: "help" }, { batchid: "no-such-batch" });
  for (const { verdict } of await door.deliver([{ topic: eventTopic(source), payload: JSON.stringify(event) }])) forABatch.add(verdict);
});
afterAll(async () => {
  await door?.stop();
});

/** Where a generated value stands in an event that is otherwise in order. */
const PLACES = ["whole", "data", "data.text", "data.more", "extension", "id", "time", "type", "epoch", "sequence", "source", "batchid", "specversion"] as const;
type Place = (typeof PLACES)[number];

/** What happens to the bytes on the way: cut off at a place, something put in there, or one byte replaced. */
type Damage = { readonly how: "none" | "cut" | "insert" | "replace"; readonly at: number; readonly bytes: string };

const damage: fc.Arbitrary<Damage> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Damage>({ how: "none", at: 0, bytes: "" }) },
  {
    weight: 4,
    arbitrary: fc.record({
      how: fc.constantFrom("cut", "insert", "replace"),
      at: fc.nat(),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 3 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      how: fc.constant("insert"),
      // before everything, or behind it
      at: fc.constantFrom(0, -1),
      bytes: fc.constantFrom("\u00ef\u00bb\u00bf", "\u0000", "{}", "//", ",", " x", "\n\n"),
    }),
  },
);

function damaged(bytes: Buffer, { how, at, bytes: more }: Damage): Buffer {
  const place = at === -1 ? bytes.length : at % (bytes.length + 1);
  if (how === "none") return bytes;
  if (how === "cut") return bytes.subarray(0, place);
  return Buffer.concat([bytes.subarray(0, place), Buffer.from(more, "latin1"), bytes.subarray(how === "insert" ? place : place + 1)]);
}

const payload = fc.record({
  place: fc.constantFrom(...PLACES),
  value: fc.oneof({ weight: 20, arbitrary: anyText }, { weight: 4, arbitrary: numberText.map(raw) }, { weight: 1, arbitrary: heavyText }),
  repeat: fc.boolean(),
  how: spelling,
  damage,
});

function placed(place: Place, value: Text, repeat: boolean, event: Readonly<Record<string, unknown>>): Text {
  if (place === "whole") return value;
  const members = Object.entries(event).map(([name, content]): readonly [string, Text] => [name, textOf(content)]);
  if (place === "data.text" || place === "data.more") {
    const data: Text = object({ call: string("help"), [place === "data.text" ? "text" : "more"]: value });
    return { kind: "object", members: members.map(([name, content]) => [name, name === "data" ? data : content]) };
  }
  const name = place === "extension" ? "myext" : place;
  const others = repeat ? members : members.filter(([known]) => known !== name);
  return { kind: "object", members: [...others, [name, value]] };
}

/** What the language itself makes of the bytes. */
function kindOf(bytes: Uint8Array): "too large" | "not utf8" | "not json" | "value" | "list" | "object" {
  if (bytes.byteLength > MOST_BYTES) return "too large";
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return "not utf8";
  }
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? "list" : typeof value === "object" && value !== null ? "object" : "value";
  } catch {
    return "not json";
  }
}

const UNREAD = ["ENV_NOT_UTF8", "ENV_NOT_JSON", "ENV_TOO_LARGE", "ENV_BARE_VALUE"];
const EXPECTED: Readonly<Record<ReturnType<typeof kindOf>, (code: string | undefined) => boolean>> = {
  "too large": (code) => code === "ENV_TOO_LARGE",
  "not utf8": (code) => code === "ENV_NOT_UTF8",
  "not json": (code) => code === "ENV_NOT_JSON" || code === "ENV_BARE_VALUE",
  value: (code) => code === "ENV_BARE_VALUE",
  list: (code) => code === "ENV_MISSING_FIELD",
  object: (code) => code === undefined || !UNREAD.includes(code),
};

test(
  "any text at all gets one documented verdict, published as REST tells it, and is JSON exactly where the language says so",
  async () => {
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(fc.array(payload, { minLength: 1, maxLength: 250, size: "max" }), async (payloads) => {
        const source = await door.source();
        const at = (n: number): Record<string, unknown> => envelope(source, 1, n, "call.raised", { call: "help" });
        const sent = payloads.map(({ place, value, repeat, how, damage: hurt }, i) => ({
          topic: eventTopic(source),
          payload: damaged(Buffer.from(write(placed(place, value, repeat, at(i + 1)), how)), hurt),
        }));
        const verdicts = await door.deliver(sent);
        for (const [i, { code, status, reason }] of verdicts.entries()) {
          const kind = kindOf(sent[i]?.payload ?? Buffer.alloc(0));
          if (!EXPECTED[kind](code)) throw new Error(`${kind} got ${status} ${code}: ${reason} (seed ${SEED}): ${String(sent[i]?.payload).slice(0, 400)}`);
        }
        // a number that could not be read is still free: once it is used, nothing behind it waits any more
        const free = verdicts.flatMap(({ event }, i) => (event.source === source && event.epoch === "1" && event.sequence === String(i + 1) ? [] : [i + 1]));
        await door.deliver(free.map((n) => ({ topic: eventTopic(source), payload: JSON.stringify({ ...at(n), id: `again-${n}` }) })));
        const last = new Map<string, Said>();
        for (const round of await door.rounds(source)) last.set(round.firstRound ?? round.verdict, round);
        const { body: told } = await door.plant.ask("GET", pathOf(source));
        for (const [first, { status, code, event, reason, context }] of last) {
          // in another epoch than the source's it waits for that one, or for its own limit
          const ahead = event.epoch !== "1" || BigInt(event.sequence ?? 0) > BigInt(payloads.length);
          if (status === "deferred" && code === "CTX_UNKNOWN_BATCH" && context.batch !== null) forABatch.add(first);
          else if (status === "deferred" && !ahead && told.parked === null)
            throw new Error(`${event.id} waits at ${event.epoch}.${event.sequence}, ${code}: ${reason}; its source is at ${told.through}, seed ${SEED}`);
          seen.set(`${status} ${code ?? ""}`, (seen.get(`${status} ${code ?? ""}`) ?? 0) + 1);
        }
        await door.goesOn("a batch of texts");
      }),
      fuzzed(14),
    );
    const total = [...seen.values()].reduce((a, b) => a + b, 0);
    measured("fuzz.json", `seed ${SEED}: ${total} texts, ${seen.size} kinds of verdict`);
    console.log(`json, seed ${SEED}: ${total} texts; ${[...seen].map(([what, n]) => `${what.trim()} ${n}`).join(", ")}`);
    expect(seen.has("accepted ")).toBe(true);
  },
  TIMEOUT_MS,
);

/** Changes that leave what an event says as it is, and changes that do not. */
const SAME: readonly ((event: Record<string, unknown>) => Record<string, unknown>)[] = [
  (event) => event,
  (event) => ({ ...event, subject: null }),
  (event) => ({ ...event, unknownext: "x" }),
  (event) => ({ ...event, occurred: false }),
  (event) => ({ ...event, traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", correlationid: "c" }),
  (event) => ({ ...event, epoch: Number(event["epoch"]), sequence: Number(event["sequence"]) }),
];
const OTHER: readonly ((event: Record<string, unknown>) => Record<string, unknown>)[] = [
  (event) => ({ ...event, time: "2026-11-22T08:00:00.001Z" }),
  (event) => ({ ...event, data: { call: "other" } }),
  (event) => ({ ...event, subject: "something" }),
  (event) => ({ ...event, timesource: "gps" }),
  (event) => ({ ...event, occurred: true }),
  (event) => ({ ...event, batchid: "B-1" }),
];
const COUNTS = ["1", "1.0", "1.00", "0", "-0", "12.500", "12.5", "100", "9007199254740991"];

test(
  "an event in any spelling is a duplicate of itself, and with other content under its identity a conflict, told once for each content",
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            text: fc.oneof(fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }), fc.constantFrom('\\/"', "ä ö", "😀", "\u2028", "<>&'")),
            count: fc.constantFrom(...COUNTS),
            otherCount: fc.constantFrom(...COUNTS),
            copies: fc.array(fc.tuple(spelling, fc.constantFrom(...SAME.keys())), { minLength: 1, maxLength: 4 }),
            other: fc.constantFrom(...OTHER.keys()),
            how: spelling,
          }),
          { minLength: 1, maxLength: 30, size: "max" },
        ),
        async (events) => {
          const source = await door.source();
          const topic = eventTopic(source);
          const sent: { topic: string; payload: string }[] = [];
          const expected: string[] = [];
          const say = (event: Record<string, unknown>, how: Spelling, becomes: string, count?: string): void => {
            const text = textOf(event);
            // a count is written as it is: its digits are part of what is said
            const members = text.kind === "object" ? text.members : [];
            const data: Text = object({ counter: string("c"), value: raw(count ?? "0") });
            const whole: Text = count === undefined ? text : { kind: "object", members: members.map(([n, v]) => [n, n === "data" ? data : v]) };
            sent.push({ topic, payload: write(whole, how) });
            expected.push(becomes);
          };
          for (const [i, { text, count, otherCount, copies, other, how }] of events.entries()) {
            const time = { time: "2026-11-22T08:00:00.000Z" };
            const call = envelope(source, 1, 2 * i + 1, "call.raised", { call: "help", text }, time);
            const counted = envelope(source, 1, 2 * i + 2, "count.reported", {}, time);
            say(call, PLAIN, "accepted ");
            say(counted, PLAIN, "accepted ", count);
            for (const [spelled, same] of copies) {
              say(SAME[same]?.(call) ?? call, spelled, "duplicate DUP_EXACT");
              say(counted, spelled, "duplicate DUP_EXACT", count);
            }
            say(OTHER[other]?.(call) ?? call, how, "quarantined DUP_ID_REUSED");
            say(OTHER[other]?.(call) ?? call, PLAIN, "duplicate DUP_EXACT");
            // one value in other digits says something else
            if (otherCount !== count) say(counted, how, "quarantined DUP_ID_REUSED", otherCount);
          }
          const verdicts = await door.deliver(sent);
          const told = verdicts.map(({ status, code }, i) => `${status} ${code ?? ""} <- ${sent[i]?.payload}`);
          expect(told, `seed ${SEED}`).toEqual(expected.map((becomes, i) => `${becomes} <- ${sent[i]?.payload}`));
          const { body } = await door.plant.ask("GET", pathOf(source));
          expect([body.through, body.missing]).toEqual([String(2 * events.length), []]);
        },
      ),
      fuzzed(12),
    );
    await door.goesOn("spellings");
  },
  TIMEOUT_MS,
);

// the last of this file, since what it waits for takes its time while the others run
test(
  "what names a batch that never comes is quarantined when its patience ends",
  async () => {
    await door.party.untilAll(
      `the end of the patience of ${forABatch.size} events (seed ${SEED})`,
      (all) => {
        const ended = new Map(all.flatMap(({ body: { data } }) => (data.round > 1 ? [[data.firstRound, `${data.status} ${data.code}`]] : [])));
        return [...forABatch].every((first) => ended.get(first) === "quarantined CTX_UNKNOWN_BATCH");
      },
      60_000,
    );
  },
  TIMEOUT_MS,
);
