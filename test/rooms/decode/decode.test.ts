import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, eventText } from "../../../src/decode/decode.ts";
import { HOSTILE } from "../../support/hostile.ts";
import { runs } from "../../support/runs.ts";
import { binary, decoded, delivery, digest, event, OPTIONS, refused, SOURCE, structured, weight } from "./deliveries.ts";

/** What the database could not store: NUL, or half of a surrogate pair. */
const storable = (value: unknown): boolean =>
  !/\\u0000|\\ud[89a-f]/i.test(JSON.stringify(value, (_, item) => (typeof item === "bigint" ? String(item) : item)));

/** What people who ask later read. */
const readable = (sent: ReturnType<typeof structured>): unknown => JSON.parse(eventText(sent, OPTIONS) ?? "null");

const plantIds = fc.constantFrom("B-1042", "weigh", "a", "x_.:-9");
const texts = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }).filter((text) => !/[\p{Cc}\p{Surrogate}]/u.test(text));
const decimals = fc.constantFrom("12.503", "-0.10", "0", "99999999999999999999.5");
const numbers = fc.bigInt(1n, 2n ** 63n - 1n).map(String);
const events = fc
  .record(
    {
      id: fc.oneof(texts, fc.constantFrom("true", "false", "null", "1", "{}")),
      type: fc.constantFrom("step.evidence", "alarm.raised", "material.consumed", "batch.start", "count.reported").map((name) => `signalbox.${name}.v1`),
      epoch: numbers,
      sequence: numbers,
      batchid: plantIds,
      stepid: plantIds,
      attempt: fc.integer({ min: 1, max: 99 }),
      occurred: fc.boolean(),
      reciperevision: fc.constant("blend@3"),
      evidenceref: texts,
      timesource: fc.constantFrom("ntp", "rtc", "none"),
      correlationid: texts,
      causationid: texts,
      traceparent: fc.constant("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
      subject: texts,
      vendor: texts,
    },
    { requiredKeys: ["id", "type", "epoch", "sequence"] },
  )
  .chain((attributes) =>
    fc.record({ value: decimals, text: texts }).map(({ value, text }) => {
      const data: Readonly<Record<string, unknown>> = {
        "signalbox.step.evidence.v1": { evidence: "net-weight", value, unit: "kg" },
        "signalbox.alarm.raised.v1": { alarm: "door", severity: "high", text },
        "signalbox.material.consumed.v1": { material: "salt", lot: text, quantity: { value, unit: "kg" } },
        "signalbox.batch.start.v1": {},
        "signalbox.count.reported.v1": { counter: "good", value },
      };
      return { specversion: "1.0", source: SOURCE, time: "2026-11-22T08:00:08.700Z", ...attributes, data: data[attributes.type] };
    }),
  );

describe("an event", () => {
  test("is read from the contract's example", () => {
    const { digest: _, ...said } = event(structured(weight));
    expect(said).toEqual({
      source: SOURCE,
      address: { site: "rtm1", line: "4", equipment: "scale-1", device: null },
      id: "s1-7-42",
      type: "step.evidence",
      time: "2026-11-22T08:00:08.700Z",
      timesource: null,
      epoch: 7n,
      sequence: 42n,
      batch: "B-1042",
      step: "weigh",
      attempt: null,
      occurred: false,
      recipeRevision: null,
      evidenceRef: null,
      correlationId: null,
      causationId: null,
      traceparent: null,
      tracestate: null,
      data: { evidence: "net-weight", value: "12.503", unit: "kg" },
    });
    expect(readable(structured(weight))).toEqual(weight);
  });

  test("is the same in structured and in binary mode, and has one digest", () => {
    fc.assert(
      fc.property(events, (sent) => {
        expect(event(binary(sent))).toEqual(event(structured(sent)));
        expect(readable(structured(sent))).toEqual(sent);
        expect(readable(binary(sent))).toMatchObject({ id: sent.id, data: sent.data });
      }),
    );
  });

  test("has a digest that does not depend on white space, order, numbering, tracing or unknown attributes", () => {
    fc.assert(
      fc.property(events, numbers, numbers, fc.string(), (sent, epoch, sequence, seen) => {
        const again = {
          recordedtime: seen.length,
          traceparent: "00-x",
          tracestate: "a=b",
          correlationid: "c",
          ...sent,
          epoch,
          sequence,
          passedby: "bridge-2",
          batchid: sent.batchid ?? null,
        };
        const backwards = Object.fromEntries(Object.entries(again).reverse());
        expect(digest(delivery(JSON.stringify(backwards, null, 2)))).toBe(digest(structured(sent)));
      }),
    );
  });

  test.each([
    { id: "s1-7-43" },
    { time: "2026-11-22T08:00:08.701Z" },
    { type: "signalbox.step.pause.v1", data: {} },
    { batchid: "B-1043" },
    { stepid: "blend" },
    { attempt: 1 },
    { occurred: true },
    { timesource: "ntp" },
    { reciperevision: "blend@3" },
    { causationid: "x" },
    { evidenceref: "x" },
    { source: `${SOURCE}/device/d` },
    { data: { ...weight.data, value: "12.5030" } },
    { data: { ...weight.data, quality: "good" } },
    { dataschema: "urn:other" },
    { subject: "other" },
  ])("has another digest with %j", (change) => {
    expect(digest(structured({ ...weight, ...change }))).not.toBe(digest(structured(weight)));
  });

  test("has no field that only its prototype would have", () => {
    const sent = JSON.stringify(weight).replace('"data":{', '"data":{"__proto__":{"quality":"bad"},');
    expect(sent).toContain("__proto__");
    expect(refused(delivery(sent)).refusal).toMatchObject({ code: "SCH_INVALID", errors: [{ pointer: "/data/__proto__" }] });
  });

  test("takes numbers up to 2^63-1 as decimal text and as JSON integers", () => {
    const text = JSON.stringify(weight).replace('"epoch":"7"', '"epoch":9223372036854775807').replace('"42"', "9007199254740993");
    expect(event(delivery(text))).toMatchObject({ epoch: 2n ** 63n - 1n, sequence: 9007199254740993n });
    const birth = JSON.stringify({ ...weight, type: "signalbox.source.birth.v1", data: { next: "@" } }).replace('"@"', "9007199254740993");
    expect(event(delivery(birth)).data).toEqual({ next: "9007199254740993" });
  });

  test.each(["12.500", "-0.0", "9007199254740993", "0.12345678901234567890123456789"])(
    "keeps the quantity %s as it is written, as text and as a number",
    (value) => {
      const text = JSON.stringify({ ...weight, data: { ...weight.data, value } });
      expect(event(delivery(text)).data).toMatchObject({ value });
      expect(event(delivery(text.replace(`"${value}"`, value))).data).toMatchObject({ value });
    },
  );

  test.each(["1e3", "1E0", "1e999"])("refuses the quantity %s, which has an exponent", (value) => {
    expect(refused(delivery(JSON.stringify(weight).replace('"12.503"', value))).refusal.code).toMatch(/^(SCH_INVALID|ENV_UNSAFE_NUMBER)$/);
  });

  test("needs no time when it has no clock", () => {
    const { time: _, ...timeless } = weight;
    expect(event(structured({ ...timeless, timesource: "none" }))).toMatchObject({ time: null, timesource: "none" });
  });

  test("of a source without numbers is read with neither of them", () => {
    const { epoch: _, sequence: __, ...unnumbered } = weight;
    expect(event(structured(unnumbered))).toMatchObject({ epoch: null, sequence: null });
  });

  test("has attributes that are null as if they were not there", () => {
    expect(event(structured({ ...weight, attempt: null, occurred: null, extension: null }))).toMatchObject({ attempt: null, occurred: false });
    expect(refused(structured({ ...weight, id: null })).refusal.code).toBe("ENV_MISSING_FIELD");
  });

  test("may carry attributes that nobody reads", () => {
    expect(readable(structured({ ...weight, vendor: "x", signal: 5 }))).toMatchObject({ vendor: "x", signal: 5 });
    const long = { [`x${"y".repeat(40)}`]: "z".repeat(2_000) };
    expect(readable(structured({ ...weight, ...long }))).toMatchObject(long);
  });

  test.each(["application/cloudevents+json", "application/cloudevents+json; charset=utf-8", "application/json", "Application/JSON", "", null])(
    "is read with content type %j",
    (contentType) => {
      expect(decoded(structured(weight, { contentType })).kind).toBe("event");
    },
  );

  test.each(["2026-11-22T08:00:00Z", "2028-02-29T00:00:00.123456789+05:30", "1970-01-01T00:00:00-00:00", "9999-12-31T23:59:59Z", "2026-11-22t08:00:00.5z"])(
    "may have the time %s",
    (time) => {
      expect(event(structured({ ...weight, time })).time).toBe(time);
    },
  );

  test("is read below a topic prefix", () => {
    expect(decode(structured(weight, { topic: "plant/site/rtm1/line/4/eq/scale-1/event" }), { ...OPTIONS, prefix: "plant/" }).kind).toBe("event");
  });
});

describe("a refused delivery", () => {
  const at = { source: SOURCE, epoch: 7, sequence: 42, id: "bad-1" };

  test("comes in many hostile forms", () => {
    expect(HOSTILE.length).toBeGreaterThanOrEqual(250);
    expect(new Set(HOSTILE.map(({ name }) => name)).size).toBe(HOSTILE.length);
  });

  // what needs the world to be refused, or a source that is known to number its events, is decided behind this room
  const here = HOSTILE.filter(({ code, name }) => !code.startsWith("CTX_") && name !== "neither epoch nor sequence");
  test.each(here.map((hostile) => [hostile.name, hostile.code, hostile] as const))(
    "%s is %s, and yields its number where it can be read",
    (_, code, hostile) => {
      const payload = hostile.payload(at);
      const bytes = delivery(payload).payload;
      const { refusal, partial } = refused(delivery(payload));
      expect(refusal.code).toBe(code);
      expect(refusal.reason).toMatch(/^\S.*\.$/su);
      expect(refusal.errors.length).toBeLessThanOrEqual(16);
      expect(partial.source !== null && partial.epoch === 7n && partial.sequence === 42n).toBe(hostile.numbered);
      expect(partial.digest).toBe(createHash("sha256").update(bytes).digest("hex"));
      expect(storable([refusal, { ...partial, digest: null }])).toBe(true);
    },
  );

  test.each(here.filter(({ numbered }) => numbered).map((hostile) => [hostile.name, hostile] as const))(
    "%s also takes no other event's place: it is refused with a source on a device",
    (_, hostile) => {
      const source = `${SOURCE}/device/d`;
      expect(refused(delivery(hostile.payload({ ...at, source }))).partial).toMatchObject({ source, epoch: 7n, sequence: 42n });
    },
  );

  test("names what is wrong by JSON pointers, the gravest first", () => {
    const { refusal } = refused(structured({ ...weight, attempt: 0, data: { evidence: "net-weight", "a/b": 1, quality: "superb" } }));
    expect(refusal).toMatchObject({ code: "ENV_INVALID_FIELD", reason: "attempt is a whole number from 1." });
    expect(refusal.errors.map(({ pointer }) => pointer).sort()).toEqual(["/attempt", "/data/a~1b", "/data/quality"]);
  });

  test("says which field of data is missing, and which it does not have", () => {
    const { refusal } = refused(structured({ ...weight, data: { extra: 1 } }));
    expect(refusal.errors).toEqual(
      expect.arrayContaining([
        { pointer: "/data/evidence", detail: "/data/evidence is missing." },
        { pointer: "/data/extra", detail: 'data has no field "extra".' },
      ]),
    );
  });

  test("with a source that is not the topic's is not believed", () => {
    const { refusal, partial } = refused(structured({ ...weight, source: "/site/rtm1/line/4/eq/mixer-1" }));
    expect(refusal.code).toBe("TOP_PAYLOAD_MISMATCH");
    expect(partial).toMatchObject({ source: null, address: null });
  });

  test.each(["application/xml", "text/plain", "application/cloudevents+xml", "application/jsonx"])(
    "with content type %s still yields its number",
    (contentType) => {
      const { refusal, partial } = refused(structured(weight, { contentType }));
      expect(refusal.code).toBe("ENV_UNKNOWN_CONTENT_TYPE");
      expect(partial).toMatchObject({ source: SOURCE, id: "s1-7-42", epoch: 7n, sequence: 42n });
    },
  );

  test("with several events in one message claims nothing", () => {
    const { refusal, partial } = refused(delivery(JSON.stringify([weight, weight]), { contentType: "application/cloudevents-batch+json" }));
    expect(refusal.code).toBe("ENV_UNKNOWN_CONTENT_TYPE");
    expect(partial.source).toBeNull();
  });

  test.each(["telemetry", "cmd", "state", "outcome"])("on a %s topic claims nothing", (domain) => {
    const { refusal, partial } = refused(structured(weight, { topic: `site/rtm1/line/4/eq/scale-1/${domain}` }));
    expect(refusal.code).toBe("TOP_WRONG_DOMAIN");
    expect(partial).toMatchObject({ source: null, id: null });
  });

  test("that is as large as the limit is read, and one byte more is not", () => {
    const payload = structured(weight).payload;
    expect(decode(delivery(payload), { prefix: "", maxBytes: payload.byteLength }).kind).toBe("event");
    expect(decode(delivery(payload), { prefix: "", maxBytes: payload.byteLength - 1 })).toMatchObject({ kind: "refused", refusal: { code: "ENV_TOO_LARGE" } });
  });
});

describe("a stored delivery of which only the head is kept", () => {
  test("is refused for its size again, though its head alone would be a good event", () => {
    const sent = binary(weight);
    const stored = { ...sent, fullLength: OPTIONS.maxBytes + 1 };
    const { refusal, partial } = refused(stored);
    expect(refusal.code).toBe("ENV_TOO_LARGE");
    expect(partial.sequence).toBe(event(sent).sequence);
  });
});

describe("in binary mode", () => {
  const bad = (payload: string | Uint8Array, more = {}) =>
    refused({ ...binary(weight), ...delivery(payload, { userProperties: binary(weight).userProperties, contentType: "application/json", ...more }) });
  const numbered = { source: SOURCE, id: "s1-7-42", epoch: 7n, sequence: 42n };

  test.each([
    ["broken JSON", "{", "ENV_NOT_JSON"],
    ["a bare value", "72", "SCH_INVALID"],
    ["a repeated name", '{"evidence":"a","evidence":"b"}', "ENV_DUPLICATE_KEY"],
    ["too many levels", `{"evidence":${"[".repeat(50)}${"]".repeat(50)}}`, "ENV_TOO_DEEP"],
    ["no data", "", "SCH_INVALID"],
    ["half of a character", '{"evidence":"\\ud83d"}', "ENV_INVALID_FIELD"],
    ["bytes that are no UTF-8", Uint8Array.from([0x22, 0xff, 0x22]), "ENV_NOT_UTF8"],
    ["more than the limit", " ".repeat(262_145), "ENV_TOO_LARGE"],
  ])("a payload of %s leaves the attributes readable", (_, payload, code) => {
    const { refusal, partial } = bad(payload);
    expect(refusal.code).toBe(code);
    expect(partial).toMatchObject(numbered);
  });

  test("another content type leaves the attributes readable", () => {
    const { refusal, partial } = refused(binary(weight, { contentType: "application/octet-stream" }));
    expect(refusal.code).toBe("ENV_UNKNOWN_CONTENT_TYPE");
    expect(partial).toMatchObject(numbered);
  });

  test("a repeated attribute is read in neither form", () => {
    const { userProperties } = binary(weight);
    const twice = (name: string, value: string) => refused(binary(weight, { userProperties: [...userProperties, [name, value]] }));
    expect(twice("stepid", "blend")).toMatchObject({ refusal: { code: "ENV_DUPLICATE_KEY" }, partial: { ...numbered, step: null } });
    expect(twice("sequence", "42")).toMatchObject({ refusal: { code: "ENV_DUPLICATE_KEY" }, partial: { source: SOURCE, sequence: null } });
    expect(twice("source", SOURCE)).toMatchObject({ refusal: { code: "ENV_DUPLICATE_KEY" }, partial: { source: null } });
  });

  test("data cannot come as an attribute", () => {
    expect(refused(binary(weight, { userProperties: [...binary(weight).userProperties, ["data", "{}"]] })).refusal.code).toBe("ENV_INVALID_FIELD");
  });

  test("an attribute that claims an approval is refused", () => {
    expect(refused(binary({ ...weight, approvedby: "qa" }))).toMatchObject({ refusal: { code: "APR_OVER_MQTT" }, partial: numbered });
  });

  test("user properties beside a structured event are not attributes", () => {
    expect(event(structured(weight, { userProperties: [["id", "other"]] })).id).toBe("s1-7-42");
  });
});

test("however bytes are changed, decoding never throws, and what comes of it can be stored", () => {
  const originals = [
    structured(weight),
    binary({ ...weight, attempt: 2 }),
    ...HOSTILE.slice(0, 80).map((hostile) => delivery(hostile.payload({ source: SOURCE, epoch: 7, sequence: 42, id: "x" }).slice(0, 2_000))),
  ];
  const changes = fc.array(fc.record({ at: fc.nat(2_000), byte: fc.nat(255), how: fc.constantFrom("set", "insert", "cut") }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.constantFrom(...originals), changes, (original, list) => {
      let payload = [...original.payload];
      for (const { at, byte, how } of list) {
        const place = at % (payload.length + 1);
        if (how === "set") payload[place] = byte;
        else if (how === "insert") payload.splice(place, 0, byte);
        else payload = payload.slice(0, place);
      }
      const said = decoded({ ...original, payload: Uint8Array.from(payload) });
      expect(["event", "refused"]).toContain(said.kind);
      if (said.kind === "refused") expect(storable([said.refusal, { ...said.partial, digest: null }])).toBe(true);
      if (said.kind === "event") expect(storable({ ...said.event, digest: null })).toBe(true);
    }),
    { numRuns: runs(2_000) },
  );
});

describe("a diag message", () => {
  const diag = (payload: string, topic = "site/rtm1/line/4/eq/scale-1/diag") => decoded(delivery(payload, { topic }));

  test("says whether its source is there and how far it has counted", () => {
    expect(diag('{"state":"online","epoch":"7","sequence":43,"time":"2026-11-22T08:00:00Z","uptime":5}')).toEqual({
      kind: "diag",
      diagnosis: {
        source: SOURCE,
        address: { site: "rtm1", line: "4", equipment: "scale-1", device: null },
        state: "online",
        epoch: 7n,
        sequence: 43n,
        time: "2026-11-22T08:00:00Z",
      },
    });
  });

  test("may be of a device on the equipment", () => {
    expect(diag('{"device":"d1","state":"offline"}')).toMatchObject({ diagnosis: { source: `${SOURCE}/device/d1`, state: "offline" } });
    expect(diag(`{"source":"${SOURCE}/device/d1"}`)).toMatchObject({ diagnosis: { address: { device: "d1" }, state: null } });
  });

  test("keeps what can be read of it", () => {
    expect(diag('{"state":"asleep","epoch":"7","time":"noon"}')).toMatchObject({
      kind: "diag",
      diagnosis: { state: null, epoch: null, sequence: null, time: null },
    });
  });

  test.each(["", "online", "[]", "{", '{"device":"a b"}', '{"source":5}', '{"source":"/site/rtm1/line/4/eq/mixer-1"}'])("%j is only counted", (payload) => {
    expect(diag(payload).kind).toBe("ignored");
  });
});

test("a topic that is not of an equipment's branch is only counted", () => {
  expect(decoded(structured(weight, { topic: "site/rtm1/outcome" }))).toEqual({ kind: "ignored", why: "topic" });
  expect(decoded(structured(weight, { topic: "site/rtm1/line/4/eq/-bad id/diag" }))).toEqual({ kind: "ignored", why: "topic" });
  for (const topic of ["site/rtm1/line/4/eq/-bad id/event", "site/rtm1/line//eq/scale-1/event", `site/rtm1/line/4/eq/${"x".repeat(65)}/event`])
    expect(refused(structured(weight, { topic })).refusal.code).toBe("TOP_WRONG_DOMAIN");
});
