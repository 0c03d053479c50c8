// Promise: where a party signs, an event is believed only as it left the device that holds a registered key, for the topic on which it came, while the key is valid; what is not believed takes
// neither number nor id. Where nobody signs, nothing is otherwise than it was.
// Attack: every byte of a signed message altered; other topics, equipment and sites; headers that ask for something else; keys that are unknown, early, late, revoked, of another party; no signature
// where one is demanded; the form of a signed event where nobody signs.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { eventSignal } from "../../../src/decide/in-hand.ts";
import { unstorable } from "../../../src/decide/poison.ts";
import { decode } from "../../../src/decode/decode.ts";
import { checkSignature } from "../../../src/decode/signature.ts";
import { jwsIn } from "../../../src/decode/signed.ts";
import { publicKeyOf, type Signing } from "../../../src/parties/signing.ts";
import { type Act, given, type Line, type Said, scale, speaker } from "../../support/given.ts";
import { MAX_BYTES, type VerdictRow } from "../../support/model.ts";
import { deviceKey, signs } from "../../support/signs.ts";

const TOPIC = "site/rtm1/line/4/eq/scale-1/event";
const KEY = deviceKey("k1");
const OTHER = deviceKey("k2", 2);
const EVIDENCE = "signalbox.step.evidence.v1";

const keyRow = (key = KEY, more: Partial<Signing["keys"][number]> = {}): Signing["keys"][number] => ({
  kid: key.kid,
  publicKey: key.publicKey,
  validFrom: null,
  validUntil: null,
  ...more,
});
const signing = (more: Partial<Signing> = {}): Signing => ({ party: "scale", must: "all", keys: [keyRow()], ...more });

/** A line on which the scale signs, before anything has come of it. */
function signed(by: Signing | null = signing()): Line {
  const line = given();
  if (by !== null) line.model.signing.set("4/scale-1", by);
  return line;
}

interface How {
  readonly key?: ReturnType<typeof deviceKey>;
  readonly topic?: string;
  readonly header?: Readonly<Record<string, unknown>> | string;
  /** What becomes of the message on its way. */
  readonly altered?: (message: string) => string | Uint8Array;
  readonly said?: Said;
}

/** A call for help of the scale under its number, as it comes in: in a signed message unless `plain`. */
function call(sequence: number, { key = KEY, topic = TOPIC, header = {}, altered = (message) => message, said = {} }: How = {}, plain = false): Act {
  return (line) => {
    const [signal] = [scale.says("call.raised", { data: { call: "help" }, sequence, ...said })(line)].flat();
    if (signal?.kind !== "event") throw new Error("a call is an event");
    if (plain) return signal;
    const message = altered(signs(key, topic, new TextDecoder().decode(signal.delivery.payload), header));
    return line.model.signal(line.model.delivery(signal.delivery.topic, message, { ...said.delivery }));
  };
}

const told = (rounds: readonly VerdictRow[]) => rounds.map(({ status, code }) => `${status} ${code ?? ""}`.trim());
const INVALID = "rejected PROVENANCE_SIGNATURE_INVALID";
const MISSING = "rejected PROVENANCE_SIGNATURE_MISSING";

/** Not believed, and so without a trace in the source: the same event, signed as it must be, is the next one. */
function refuses(line: Line, act: Act, expected: string): VerdictRow {
  const before = line.source(scale);
  const rounds = line.when(act);
  expect(told(rounds)).toEqual([expected]);
  expect(line.source(scale)).toEqual(before);
  const [round] = rounds;
  if (round === undefined) throw new Error("there is no verdict");
  return round;
}

// Whoever administers the broker can flood a branch too: what counts for how far a source has come is believed or not as any event is.
describe("what stands for a flood on a branch where everything is signed", () => {
  const FLOOD = { count: 9, bytes: 900, from: "2026-11-22T08:00:00.000Z", to: "2026-11-22T08:00:00.900Z" };
  const flood =
    (act: Act): Act =>
    (line) =>
      [act(line)].flat().map((signal) => (signal.kind === "event" ? { ...signal, leftOut: FLOOD } : signal));
  const highest = (act: Act): bigint => {
    const line = signed();
    expect(told(line.when(call(1)))).toEqual(["accepted"]);
    expect(told(line.when(flood(act)))).toEqual(["rejected SYS_RATE_LIMITED"]);
    return line.source(scale).highest;
  };
  test("says how far its source has counted when it is signed", () => {
    expect(highest(call(9))).toBe(9n);
  });
  test("asks for no source of its branch, since it says of which it is", () => {
    const line = signed();
    const [signal] = [call(9)(line)].flat();
    if (signal?.kind !== "event" || signal.wrapped === undefined) throw new Error("that was not signed");
    const decoded = decode(signal.delivery, { prefix: "", maxBytes: MAX_BYTES });
    if (decoded.kind !== "refused") throw new Error("what is signed is no event before that is asked");
    expect(signal.branchSource).toBe(scale.name);
    expect(eventSignal(signal.delivery, decoded, signal.inHand.receivedAt, "", { leftOut: FLOOD })).not.toHaveProperty("branchSource");
  });
  test("says nothing of its source when it is not, or by another key", () => {
    expect(highest(call(9, {}, true))).toBe(1n);
    expect(highest(call(9, { key: OTHER }))).toBe(1n);
  });
});

describe("a signed event", () => {
  test("is an event like any other, on record with its key and its bytes as they came", () => {
    const line = signed();
    const [verdict] = line.when(call(1));
    expect(verdict).toMatchObject({ status: "accepted", source: scale.name, eventId: "scale-1-7-1", type: "signalbox.call.raised.v1", sequence: "1" });
    const [settlement] = line.settlements(call(2));
    expect(settlement?.rows.signals[0]?.body).toStrictEqual({ signed: { kid: "k1", alg: "EdDSA" } });
    expect(Buffer.from(settlement?.rows.signals[0]?.delivery?.payload ?? []).toString()).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]{86}$/);
  });

  test.each(["application/jose", "application/jose; charset=utf-8", null])(
    "is known by its form, with the content type %s and over both protocols",
    (contentType) => {
      const line = signed();
      expect(told(line.when(call(1, { said: { delivery: { contentType, protocol: "5" } } }), call(2, { said: { delivery: { protocol: "3.1.1" } } })))).toEqual([
        "accepted",
        "accepted",
      ]);
    },
  );

  test("waits, is deferred and is a duplicate as it would be without its signature", () => {
    const line = signed();
    expect(told(line.when(call(1), call(3)))).toEqual(["accepted", "deferred SEQ_GAP"]);
    // the key is revoked while it waits: it was believed when it came
    line.model.signing.set("4/scale-1", signing({ keys: [keyRow(KEY, { revoked: true }), keyRow(OTHER)] }));
    expect(told(line.when(call(2, { key: OTHER })))).toEqual(["accepted", "accepted"]);
    expect(told(line.when(call(3, { key: OTHER })))).toEqual(["duplicate DUP_EXACT"]);
    expect(line.last("scale-1-7-3")).toMatchObject({ status: "accepted", round: 2 });
  });

  test("of a source whose registration is revoked is refused for that, signed or not", () => {
    const line = given();
    line.model.signing.set("4/panel-1", signing());
    const old = speaker("panel-1", { device: "old" });
    expect(told(line.when(old.says("call.raised", { data: { call: "c" } })))).toEqual(["rejected IDN_REVOKED"]);
  });

  test("of which any bit was altered on its way is not believed", () => {
    const line = signed();
    const message = signs(KEY, TOPIC, JSON.stringify({ specversion: "1.0", id: "x", data: {} }));
    const bytes = new TextEncoder().encode(message);
    for (let at = 0; at < bytes.length; at += 1)
      for (let bit = 0; bit < 8; bit += 1) {
        const altered = Uint8Array.from(bytes, (byte, i) => (i === at ? byte ^ (1 << bit) : byte));
        const jws = jwsIn({ payload: altered });
        if (jws !== null)
          expect(checkSignature(signing(), jws, TOPIC, line.model.clock), `bit ${bit} of byte ${at}`).toMatchObject({ code: "PROVENANCE_SIGNATURE_INVALID" });
      }
    expect(checkSignature(signing(), jwsIn({ payload: bytes }) ?? expect.unreachable("it is none"), TOPIC, line.model.clock)).toEqual({
      kid: "k1",
      alg: "EdDSA",
    });
  });

  test("of which a byte was altered takes no number and no id, wherever that byte is", () => {
    const line = signed();
    line.when(call(1));
    const before = line.source(scale);
    const length = 600;
    for (let at = 0; at < length; at += 7) {
      const flip = (message: string): Uint8Array => Buffer.from(message).map((byte, i) => (i === at % message.length ? byte ^ (1 << (at % 8)) : byte));
      for (const { status, code } of line.when(call(2, { altered: flip }))) {
        expect(status, `byte ${at}`).toBe("rejected");
        expect(code).toMatch(/^PROVENANCE_SIGNATURE_(?:INVALID|MISSING)$/);
      }
      expect(line.source(scale)).toEqual(before);
    }
    expect(told(line.when(call(2)))).toEqual(["accepted"]);
  });

  test("has one form: whitespace, padding and other Base64 of the same bytes are none", () => {
    for (const altered of [
      (message: string) => `${message}\n`,
      (message: string) => ` ${message}`,
      (message: string) => `${message}=`,
      // the last letter of the signature has four bits that say nothing
      (message: string) => message.replace(/.$/, (last) => String.fromCharCode(last.charCodeAt(0) + 1)),
      (message: string) => message.replace(".", ".="),
      (message: string) => `${message}.`,
    ])
      expect(told(signed().when(call(1, { altered }))).join()).toMatch(/^rejected PROVENANCE_SIGNATURE_(?:INVALID|MISSING)$/);
  });

  test.each([
    ["another equipment's topic", "site/rtm1/line/4/eq/scale-2/event"],
    ["another line's", "site/rtm1/line/5/eq/scale-1/event"],
    ["another site's", "site/ams2/line/4/eq/scale-1/event"],
    ["another domain's", "site/rtm1/line/4/eq/scale-1/diag"],
    ["one behind another prefix", `test/${TOPIC}`],
    ["none", ""],
  ])("that was signed for %s is not believed on this one", (_whose, topic) => {
    expect(refuses(signed(), call(1, { topic }), INVALID).reason).toBe("It was signed for another topic.");
  });

  test("that was sent on by another branch speaks for nobody there", () => {
    const line = signed();
    line.model.signing.set("4/scale-2", signing({ party: "second", keys: [keyRow()] }));
    const [signal] = [scale.says("call.raised", { data: { call: "help" } })(line)].flat();
    if (signal?.kind !== "event") throw new Error("a call is an event");
    const message = signs(KEY, TOPIC, new TextDecoder().decode(signal.delivery.payload));
    const elsewhere = line.model.signal(line.model.delivery("site/rtm1/line/4/eq/scale-2/event", message));
    expect(told(line.when(() => elsewhere))).toEqual([INVALID]);
    expect(line.source(scale).through).toBe(0n);
  });

  const HEADER = { alg: "EdDSA", kid: "k1", typ: "signalbox-event+jws", topic: TOPIC };
  test.each<[string, Readonly<Record<string, unknown>> | string]>([
    ["no algorithm", { alg: "none" }],
    ["an algorithm by which the public key is a secret", { alg: "HS256" }],
    ["another algorithm", { alg: "ES256" }],
    ["another name of the same algorithm", { alg: "Ed25519" }],
    ["another type", { typ: "JWT" }],
    ["no type", { typ: undefined }],
    ["something critical", { crit: ["b64"], b64: false }],
    ["a payload that is not encoded", { b64: false }],
    ["a key of its own", { jwk: { kty: "OKP", crv: "Ed25519", x: OTHER.publicKey } }],
    ["a certificate of its own", { x5c: ["MIIB"] }],
    ["an address of keys", { jku: "https://example.org/keys" }],
    ["a content type", { cty: "application/cloudevents+json" }],
    ["a compressed payload", { zip: "DEF" }],
    ["no key", { kid: undefined }],
    ["a key that is no text", { kid: ["k1"] }],
    ["a key whose id is none", { kid: "k1 " }],
    ["a topic that is no text", { topic: [TOPIC] }],
    ["a name twice", JSON.stringify(HEADER).replace("{", '{"kid":"k2",')],
    ["no JSON", "{not json"],
    ["a name of the prototype", JSON.stringify(HEADER).replace("}", ',"__proto__":{}}')],
  ])("whose header has %s is not believed, well signed as it is", (_what, header) => {
    expect(refuses(signed(), call(1, { header }), INVALID).reason).toMatch(/^The header of the signature is not/);
  });

  test("whose header is no object is no signed event at all", () => {
    for (const header of [JSON.stringify([HEADER]), `\ufeff${JSON.stringify(HEADER)}`, "null", `"${TOPIC}"`]) refuses(signed(), call(1, { header }), MISSING);
  });

  test("by a key that is unknown, another's, early, late or revoked is not believed, and the reason says which", () => {
    const line = signed();
    const now = Date.parse(line.model.clock);
    const iso = (ms: number): string => new Date(now + ms).toISOString();
    const reasonBy = (keys: Signing["keys"], how: How = {}): string => refuses(signed(signing({ keys })), call(1, how), INVALID).reason ?? "";
    expect(reasonBy([keyRow(OTHER)])).toBe("scale has no key k1.");
    expect(reasonBy([])).toBe("scale has no key k1.");
    // the id of one key, signed by another
    expect(reasonBy([keyRow(), keyRow(OTHER)], { key: OTHER, header: { kid: "k1" } })).toBe("The signature is not one by key k1.");
    expect(reasonBy([keyRow(KEY, { publicKey: OTHER.publicKey })])).toBe("The signature is not one by key k1.");
    expect(reasonBy([keyRow(KEY, { validFrom: iso(1) })])).toBe(`Key k1 of scale is valid from ${iso(1)} on.`);
    expect(reasonBy([keyRow(KEY, { validUntil: iso(0) })])).toBe(`Key k1 of scale was valid until ${iso(0)}.`);
    expect(reasonBy([keyRow(KEY, { revoked: true })])).toBe("Key k1 of scale is revoked.");
    expect(told(signed(signing({ keys: [keyRow(KEY, { validFrom: iso(0), validUntil: iso(1) })] })).when(call(1)))).toEqual(["accepted"]);
  });

  test("of what is no event takes its number as it would without its signature", () => {
    const line = signed();
    expect(told(line.when(call(1, { said: { data: { nothing: true } } })))).toEqual(["rejected SCH_INVALID"]);
    expect(line.source(scale).through).toBe(1n);
  });
});

describe("an event without a signature", () => {
  test("is refused where its type must be signed, and is what it was where it need not be", () => {
    expect(refuses(signed(), call(1, {}, true), MISSING).reason).toBe("scale signs signalbox.call.raised.v1, and this came without a signature.");
    expect(refuses(signed(signing({ must: ["signalbox.call.raised.v1"] })), call(1, {}, true), MISSING).status).toBe("rejected");
    const line = signed(signing({ must: [EVIDENCE] }));
    expect(told(line.when(call(1, {}, true)))).toEqual(["accepted"]);
    expect(line.settlements(call(2, {}, true))[0]?.rows.signals[0]?.body).toBeNull();
    // what may be signed is believed only as it was signed
    refuses(line, call(3, { topic: "elsewhere" }), INVALID);
  });

  test("cannot take a number by hiding its type", () => {
    const mayBe = signing({ must: [EVIDENCE] });
    for (const type of [null, 7, ""]) refuses(signed(mayBe), call(1, { said: { more: { type } } }, true), MISSING);
  });

  test("is refused of a device on the branch too, and in binary mode", () => {
    const line = given();
    line.model.signing.set("4/panel-1", signing({ party: "panel" }));
    const panel = line.model.delivery(
      "site/rtm1/line/4/eq/panel-1/event",
      JSON.stringify({
        specversion: "1.0",
        id: "p1",
        source: "/site/rtm1/line/4/eq/panel-1/device/button",
        type: "signalbox.call.raised.v1",
        timesource: "none",
        data: { call: "c" },
      }),
    );
    expect(told(line.when(() => line.model.signal(panel)))).toEqual([MISSING]);
    const attributes = { specversion: "1.0", id: "b1", source: scale.name, type: "signalbox.call.raised.v1", timesource: "none", epoch: "7", sequence: "1" };
    line.model.signing.set("4/scale-1", signing());
    const binary = line.model.delivery(TOPIC, '{"call":"c"}', { contentType: "application/json", userProperties: Object.entries(attributes) });
    refuses(line, () => line.model.signal(binary), MISSING);
  });
});

// A diagnosis has no signature, and says how far its source has counted and whether it is there: in the mouth of whoever administers the broker that opened a gap that nothing closes.
describe("a diagnosis on a branch where everything is signed", () => {
  const far: Act = scale.beats({ state: "offline", epoch: 7, sequence: 50 });
  const settled = (line: Line, act: Act) => {
    const [settlement] = line.settlements(act);
    return settlement ?? expect.unreachable("nothing was settled");
  };
  /** As a version decided it that did not ask whether it is believed; so it stands in its record. */
  const onRecord =
    (act: Act): Act =>
    (line) =>
      [act(line)].flat().map((signal) => (signal.kind === "diag" ? { ...signal, onRecord: true } : signal));

  test.each([
    ["its party's", signing()],
    ["nobody's, whose party or key was revoked", signing({ keys: [keyRow(KEY, { revoked: true })] })],
  ])("changes nothing and is not on record, and is told as not believed: %s", (_whose, by) => {
    const line = signed();
    line.when(call(1));
    line.model.signing.set("4/scale-1", by);
    const before = line.source(scale);
    for (const beat of [far, scale.beats({ state: "online" }), scale.beats({ epoch: 7, sequence: 2 }), scale.beats({})]) {
      const { positions, unbelieved } = settled(line, beat);
      expect([positions, unbelieved.size]).toEqual([0, 1]);
    }
    expect(line.source(scale)).toEqual(before);
    line.model.signing.set("4/scale-1", signing());
    expect(told(line.when(call(2)))).toEqual(["accepted"]);
  });

  test("says what it always said where only some types must be signed, or none", () => {
    for (const by of [null, signing({ must: [EVIDENCE] }), signing({ must: [] })]) {
      const line = signed(by);
      line.when(call(1, {}, true));
      const { positions, unbelieved } = settled(line, far);
      expect([positions, unbelieved.size]).toEqual([1, 0]);
      expect(line.source(scale)).toMatchObject({ highest: 50n, connection: "offline" });
    }
  });

  test("that is on record was believed, and is decided again as it was", () => {
    const line = signed();
    line.when(call(1));
    const { rows, unbelieved } = settled(line, onRecord(far));
    expect(rows.signals).toMatchObject([{ kind: "diag", source: scale.name, sequence: 50n }]);
    expect([unbelieved.size, line.source(scale).highest]).toEqual([0, 50n]);
  });
});

// A message that names no source of its branch had no keys to be held against, and was refused for its form as anybody's would be: without a word of who might have sent it.
describe("what names no source that there is on its branch", () => {
  const OTHERS = "/site/rtm1/line/4/eq/scale-2";
  const raw =
    (payload: string | Uint8Array, more: object = {}): Act =>
    (line) =>
      line.model.signal(line.model.delivery(TOPIC, payload, more));
  const bodyOf = (line: Line, act: Act) => line.settlements(act)[0]?.rows.signals[0]?.body;
  /** As a version decided it, and put it on record, that did not ask the branch. */
  const unasked =
    (act: Act): Act =>
    (line) =>
      [act(line)].flat().map((signal) => {
        if (signal.kind !== "event") return signal;
        const { branchSource: _, ...asBefore } = signal;
        return asBefore;
      });
  const UNREADABLE = [
    raw("{"),
    raw(new Uint8Array([0xff])),
    raw("12.5"),
    raw("{}"),
    call(1, { said: { more: { source: OTHERS } } }, true),
    raw("x".repeat(300_000)),
  ];

  test("came without a signature where everything must be signed, or what has no type", () => {
    for (const act of UNREADABLE) expect(refuses(signed(), act, MISSING).source).toBeNull();
    for (const act of UNREADABLE.slice(0, 4)) refuses(signed(signing({ must: [EVIDENCE] })), act, MISSING);
    expect(told(signed(signing({ must: [EVIDENCE] })).when(call(1, { said: { more: { source: OTHERS } } }, true)))).toEqual(["rejected TOP_PAYLOAD_MISMATCH"]);
  });

  test("is refused for what is wrong with it inside of its signature, if that is its branch's", () => {
    const others = { said: { more: { source: OTHERS } } };
    expect(refuses(signed(), call(1, others), "rejected TOP_PAYLOAD_MISMATCH").source).toBeNull();
    refuses(signed(), call(1, { said: { more: { source: `${scale.name}/device/ghost` } } }), "rejected IDN_UNKNOWN_PUBLISHER");
    refuses(signed(), raw(signs(KEY, TOPIC, "{")), "rejected ENV_NOT_JSON");
    for (const how of [
      { ...others, key: OTHER },
      { ...others, topic: "elsewhere" },
    ])
      refuses(signed(), call(1, how), INVALID);
    expect(bodyOf(signed(), call(1, others))).toEqual({ signed: { kid: "k1", alg: "EdDSA" }, askedOfBranch: true });
  });

  test("is what it was where nobody signs, and as long as nothing on record says that it was asked", () => {
    const codes = ["ENV_NOT_JSON", "ENV_NOT_UTF8", "ENV_BARE_VALUE", "ENV_MISSING_FIELD", "TOP_PAYLOAD_MISMATCH", "ENV_TOO_LARGE"];
    for (const [n, act] of UNREADABLE.entries()) {
      const [nobody, earlier] = [signed(null), signed()];
      expect([told(nobody.when(act)), bodyOf(signed(null), act)]).toEqual([[`rejected ${codes[n]}`], null]);
      expect([told(earlier.when(unasked(act))), bodyOf(signed(), unasked(act))]).toEqual([[`rejected ${codes[n]}`], null]);
      expect(bodyOf(signed(), act)).toEqual({ askedOfBranch: true });
    }
    expect(told(signed().when(unasked(call(1, { said: { more: { source: OTHERS } } }))))).toEqual(["rejected ENV_NOT_JSON"]);
  });

  test("that the database cannot hold is still that", () => {
    const line = signed();
    const [signal] = [raw("{")(line)].flat();
    expect(told(line.when(() => unstorable(signal?.kind === "event" ? signal : expect.unreachable("it is none"))))).toEqual(["rejected SYS_POISON"]);
  });
});

describe("where nobody signs", () => {
  test("what has the form of a signed event is what it was before there were any: no event, and nobody's", () => {
    for (const [contentType, code] of [
      [null, "ENV_NOT_JSON"],
      ["application/jose", "ENV_UNKNOWN_CONTENT_TYPE"],
    ] as const) {
      const line = signed(null);
      const [settlement] = line.settlements(call(1, { said: { delivery: { contentType } } }));
      expect(settlement?.rows.verdicts).toMatchObject([{ status: "rejected", code, source: null, eventId: null, type: null }]);
      expect(settlement?.rows.signals).toMatchObject([{ source: null, eventId: null, sourceKey: null, body: null }]);
      expect(line.source(scale).through).toBe(0n);
    }
  });
});

test("a retained copy is looked at and never believed, signed or not", () => {
  const [settlement] = signed().settlements(call(1, { said: { delivery: { retained: true } } }));
  expect(settlement?.rows.verdicts).toMatchObject([{ status: "observed", code: "ENV_RETAINED" }]);
  expect(settlement?.rows.signals).toMatchObject([{ body: null, eventId: null }]);
});

test("whatever is signed, and by whichever key, is believed exactly when key and topic are the registered ones and nothing was altered", () => {
  const at = "2026-11-22T08:00:00.000000Z";
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom("k1", "k2", "k3"),
      fc.boolean(),
      (body, number, kid, here) => {
        const event = Buffer.from(body).toString("latin1");
        const keys = [keyRow(deviceKey("k1", 1)), keyRow(deviceKey("k2", 2))];
        const jws = jwsIn({ payload: new TextEncoder().encode(signs(deviceKey(kid, number), here ? TOPIC : "elsewhere", event)) });
        if (event === "") {
          expect(jws).toBeNull();
          return;
        }
        const checked = checkSignature(signing({ keys }), jws ?? expect.unreachable("it is none"), TOPIC, at);
        expect("alg" in checked).toBe(here && number <= 2 && kid === `k${number}`);
      },
    ),
  );
});

test("a public key is 32 bytes in one form", () => {
  expect(publicKeyOf(KEY.publicKey)).not.toBeNull();
  for (const x of ["", "A", `${KEY.publicKey}=`, KEY.publicKey.slice(1), `${KEY.publicKey}A`, KEY.publicKey.replace(/.$/, "B")])
    expect(publicKeyOf(x)).toBeNull();
});
