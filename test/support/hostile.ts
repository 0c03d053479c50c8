// Hostile payloads with the code that each deserves. `numbered`: on the topic of a source that goes on, the payload yields an agreeing source, epoch and sequence, and so
// takes its number however bad the rest is. The others claim nothing.

export interface Hostile {
  readonly name: string;
  readonly code: string;
  readonly numbered: boolean;
  /** The payload for a source at a number. */
  payload(at: { readonly source: string; readonly epoch: number; readonly sequence: number; readonly id: string }): string | Uint8Array;
}

type At = Parameters<Hostile["payload"]>[0];

const base = (at: At): Record<string, unknown> => ({
  specversion: "1.0",
  id: at.id,
  source: at.source,
  type: "signalbox.call.raised.v1",
  time: "2026-11-22T08:00:00.000Z",
  timesource: "ntp",
  epoch: String(at.epoch),
  sequence: String(at.sequence),
  data: { call: "help" },
});

const with_ = (change: (event: Record<string, unknown>, at: At) => Record<string, unknown> | undefined) => (at: At) => {
  const event = base(at);
  return JSON.stringify(change(event, at) ?? event);
};
const without = (name: string) => with_((event) => Object.fromEntries(Object.entries(event).filter(([key]) => key !== name)));
const set = (fields: Record<string, unknown>) => with_((event) => ({ ...event, ...fields }));
const data = (fields: Record<string, unknown>, type = "signalbox.call.raised.v1") => set({ type, data: fields });
const raw = (change: (text: string, at: At) => string) => (at: At) => change(JSON.stringify(base(at)), at);

const numbered = (name: string, code: string, payload: Hostile["payload"]): Hostile => ({ name, code, numbered: true, payload });
const nothing = (name: string, code: string, payload: Hostile["payload"]): Hostile => ({ name, code, numbered: false, payload });

const deep = (levels: number): string => `${"[".repeat(levels)}${"]".repeat(levels)}`;

const unreadable: Hostile[] = [
  nothing("an empty payload", "ENV_NOT_JSON", () => ""),
  nothing("white space alone", "ENV_NOT_JSON", () => " \n\t "),
  ...[
    "{",
    "}",
    "{]",
    "[1,",
    '{"a":1,}',
    "{'a':1}",
    "{a:1}",
    '{"a" 1}',
    '{"a":1} x',
    "[1 2]",
    '"unterminated',
    "nul",
    "tru",
    "+1",
    "01x",
    ".5",
    "1.",
    "NaN,",
    "Infinity;",
    "--1",
    "0x1F;",
    '{"a":\u0001}',
    '"\\x"',
    '"\\u12"',
    '{"a":1}{"b":2}',
    "// comment",
    "<event/>",
    "[,]",
    "{,}",
    '{"a":}',
    "][",
  ].map((text): Hostile => nothing(`broken JSON ${JSON.stringify(text)}`, "ENV_NOT_JSON", () => text)),
  ...["72", "-1.5", '"72"', "true", "false", "null", "temperature=72", "12.5 kg", "21.5", "speed:300", "1e3"].map(
    (text): Hostile => nothing(`a bare value ${text}`, "ENV_BARE_VALUE", () => text),
  ),
  nothing("a list of events", "ENV_MISSING_FIELD", (at) => JSON.stringify([base(at)])),
  nothing("an empty object", "ENV_MISSING_FIELD", () => "{}"),
  nothing("an object of somebody else", "ENV_MISSING_FIELD", () => JSON.stringify({ hello: "world" })),
  ...[[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xc0, 0xaf], [0xe2, 0x82], [0xf0, 0x9f, 0x98]].map(
    (bytes, i): Hostile =>
      nothing(`invalid UTF-8 ${i + 1}`, "ENV_NOT_UTF8", (at) =>
        Buffer.concat([Buffer.from(JSON.stringify(base(at)).slice(0, -1)), Buffer.from(',"x":"'), Buffer.from(bytes), Buffer.from('"}')]),
      ),
  ),
  nothing(
    "NUL in the text",
    "ENV_NOT_JSON",
    raw((text) => text.replace("help", "he\u0000lp")),
  ),
  numbered(
    "an escaped NUL",
    "ENV_INVALID_FIELD",
    raw((text) => text.replace("help", "he\\u0000lp")),
  ),
  numbered(
    "a lone high surrogate",
    "ENV_INVALID_FIELD",
    raw((text) => text.replace("help", "\\ud800")),
  ),
  numbered(
    "a lone low surrogate",
    "ENV_INVALID_FIELD",
    raw((text) => text.replace("help", "\\udc00x")),
  ),
  numbered(
    "surrogates in the wrong order",
    "ENV_INVALID_FIELD",
    raw((text) => text.replace("help", "\\udc00\\ud800")),
  ),
  numbered(
    "a name that is no text",
    "ENV_INVALID_FIELD",
    raw((text) => text.replace('"call":', '"\\ud83d":1,"call":')),
  ),
  numbered(
    "an id with an escaped NUL",
    "ENV_INVALID_FIELD",
    raw((text, at) => text.replace(`"${at.id}"`, `"${at.id}\\u0000"`)),
  ),
  nothing(
    "a byte order mark",
    "ENV_NOT_JSON",
    raw((text) => `\ufeff${text}`),
  ),
  ...["[", "]", "}", ",", ":", "1 2", "nul", '"', '{"a"}', "{1:2}", "[1,]", '{"a":1,}', "[}", "{]"].map(
    (broken): Hostile =>
      nothing(
        `broken JSON ${broken} below too many levels`,
        "ENV_NOT_JSON",
        raw((text) => text.replace('"help"', `${"[".repeat(40)}${broken}${"]".repeat(40)}`)),
      ),
  ),
  nothing("a payload beyond the limit", "ENV_TOO_LARGE", set({ data: { call: "help", text: "x".repeat(300_000) } })),
  nothing("a hundred thousand brackets", "ENV_NOT_JSON", () => "[".repeat(100_000)),
];

const identity: Hostile[] = [
  nothing("no source", "ENV_MISSING_FIELD", without("source")),
  ...[
    "rtm1",
    "/site/x",
    "",
    "/site/a/line/b/eq/c/device",
    "/site//line/1/eq/2",
    "/site/a/line/b/eq/../c",
    "site/a/line/b/eq/c",
    "/site/a/line/b/eq/c/device/d/e",
  ].map((source): Hostile => nothing(`the source ${JSON.stringify(source)}`, "ENV_INVALID_FIELD", set({ source }))),
  nothing("a source that is a number", "ENV_INVALID_FIELD", set({ source: 7 })),
  ...["/site/other/line/1/eq/x", "/site/hostile/line/9/eq/target", "/site/hostile/line/1/eq/somebody-else"].map(
    (source): Hostile => nothing(`another's source ${source}`, "TOP_PAYLOAD_MISMATCH", set({ source })),
  ),
  nothing("no epoch", "ENV_MISSING_FIELD", without("epoch")),
  nothing("no sequence", "ENV_MISSING_FIELD", without("sequence")),
  nothing(
    "neither epoch nor sequence",
    "ENV_MISSING_FIELD",
    with_(({ epoch: _, sequence: __, ...rest }) => rest),
  ),
  ...["007", "-1", "1.0", "1e3", "9223372036854775808", "", " 1", "1 ", "0x1", "one"].map(
    (epoch): Hostile => nothing(`the epoch ${JSON.stringify(epoch)}`, "ENV_INVALID_FIELD", set({ epoch })),
  ),
  ...["0", "01", "-5", "1.5", "9223372036854775808", "99999999999999999999", "", "two"].map(
    (sequence): Hostile => nothing(`the sequence ${JSON.stringify(sequence)}`, "ENV_INVALID_FIELD", set({ sequence })),
  ),
  nothing("a sequence that is a list", "ENV_INVALID_FIELD", set({ sequence: [1] })),
  nothing("an epoch that is true", "ENV_INVALID_FIELD", set({ epoch: true })),
  nothing(
    "the sequence twice",
    "ENV_DUPLICATE_KEY",
    raw((text, at) => text.replace("{", `{"sequence":"${at.sequence + 1}",`)),
  ),
  nothing(
    "the source twice",
    "ENV_DUPLICATE_KEY",
    raw((text, at) => text.replace("{", `{"source":"${at.source}",`)),
  ),
];

const fields: Hostile[] = [
  numbered("no specversion", "ENV_MISSING_FIELD", without("specversion")),
  ...["0.3", "1", "2.0", "1.0.0", ""].map(
    (specversion): Hostile => numbered(`specversion ${JSON.stringify(specversion)}`, "ENV_INVALID_FIELD", set({ specversion })),
  ),
  numbered("no id", "ENV_MISSING_FIELD", without("id")),
  numbered("an empty id", "ENV_INVALID_FIELD", set({ id: "" })),
  numbered("an id of 257 characters", "ENV_INVALID_FIELD", set({ id: "x".repeat(257) })),
  numbered("an id with a line break", "ENV_INVALID_FIELD", set({ id: "a\nb" })),
  numbered("an id that is a number", "ENV_INVALID_FIELD", set({ id: 5 })),
  numbered("no type", "ENV_MISSING_FIELD", without("type")),
  numbered("no time", "ENV_MISSING_FIELD", without("time")),
  ...[
    "yesterday",
    "2026-11-22",
    "2026-11-22 08:00:00",
    "2026-13-01T00:00:00Z",
    "2026-11-22T25:00:00Z",
    "2026-11-22T08:00:00",
    "1763798400",
    "2026-11-22T08:00:00+99:00",
    "2026-11-22T08:00:00+16:00",
    "2026-02-30T08:00:00Z",
    "2027-02-29T08:00:00Z",
    "0000-01-01T00:00:00Z",
    "2026-12-31T23:59:60Z",
    "2026-11-22T08:00:00.Z",
  ].map((time): Hostile => numbered(`the time ${time}`, "ENV_INVALID_FIELD", set({ time }))),
  ...["sundial", "NTP", ""].map((timesource): Hostile => numbered(`timesource ${JSON.stringify(timesource)}`, "ENV_INVALID_FIELD", set({ timesource }))),
  ...["a b", "../x", "", "x".repeat(65), "-x", "ä"].map(
    (batchid): Hostile => numbered(`batchid ${JSON.stringify(batchid).slice(0, 20)}`, "ENV_INVALID_FIELD", set({ batchid })),
  ),
  ...["a/b", "#", "+"].map((stepid): Hostile => numbered(`stepid ${stepid}`, "ENV_INVALID_FIELD", set({ stepid }))),
  ...[0, -1, "x", 1.5, "1.5"].map((attempt): Hostile => numbered(`attempt ${JSON.stringify(attempt)}`, "ENV_INVALID_FIELD", set({ attempt }))),
  ...["yes", 1, "TRUE"].map((occurred): Hostile => numbered(`occurred ${JSON.stringify(occurred)}`, "ENV_INVALID_FIELD", set({ occurred }))),
  ...["blend", "blend@0", "blend@", "@3"].map(
    (reciperevision): Hostile => numbered(`reciperevision ${reciperevision}`, "ENV_INVALID_FIELD", set({ reciperevision })),
  ),
  ...["Upper", "under_score", "with-dash", "ünicode"].map((name): Hostile => numbered(`an extension named ${name}`, "ENV_INVALID_FIELD", set({ [name]: "x" }))),
  ...["1e999", "-1e400", "9007199254740993"].map(
    (n): Hostile =>
      numbered(
        `an extension of ${n}`,
        "ENV_UNSAFE_NUMBER",
        raw((text) => text.replace("{", `{"extension":${n},`)),
      ),
  ),
  numbered("an extension that is an object", "ENV_INVALID_FIELD", set({ extension: { a: 1 } })),
  ...["application/xml", "text/plain", "application/octet-stream"].map(
    (datacontenttype): Hostile => numbered(`data of type ${datacontenttype}`, "ENV_UNKNOWN_CONTENT_TYPE", set({ datacontenttype })),
  ),
  ...["telemetry", "metrics", "values", "tags", "samples"].map(
    (name): Hostile => numbered(`${name} beside the event`, "ENV_MIXED_CLASS", set({ [name]: [1, 2, 3] })),
  ),
  ...[
    "approved",
    "approvedby",
    "approvedat",
    "signature",
    "signatures",
    "esignature",
    "signed",
    "signedby",
    "release",
    "released",
    "releasedby",
    "verified",
    "verifiedby",
    "verifier",
    "disposition",
  ].map((name): Hostile => numbered(`a claim of ${name}`, "APR_OVER_MQTT", set({ [name]: "QA" }))),
  ...["approved", "signature", "released", "verified"].map(
    (name): Hostile => numbered(`a claim of ${name} in data`, "APR_OVER_MQTT", data({ call: "help", [name]: true })),
  ),
  ...["batch.approved", "batch.release", "step.verified", "step.verify", "quality.approve", "batch.signed", "batch.disposition"].map(
    (type): Hostile => numbered(`the type ${type}`, "APR_OVER_MQTT", set({ type: `signalbox.${type}.v1` })),
  ),
  ...["step.begin", "call.Raised", "foo", "step", "telemetry.value", "constructor", "__proto__", "hasOwnProperty", "toString"].map(
    (type): Hostile => numbered(`the type ${type}`, "SCH_UNKNOWN_TYPE", set({ type: `signalbox.${type}.v1` })),
  ),
  ...["call.raised.v1", "com.acme.call", "signalbox.call.raised", "signalbox.v1"].map(
    (type): Hostile => numbered(`the type ${type}`, "SCH_UNKNOWN_TYPE", set({ type })),
  ),
  ...[2, 0, 99].map(
    (version): Hostile => numbered(`version ${version} of a known type`, "SCH_UNKNOWN_VERSION", set({ type: `signalbox.call.raised.v${version}` })),
  ),
  numbered(
    "a name twice in data",
    "ENV_DUPLICATE_KEY",
    raw((text) => text.replace('"call":"help"', '"call":"help","call":"fire"')),
  ),
  numbered(
    "an attribute twice",
    "ENV_DUPLICATE_KEY",
    raw((text) => text.replace("{", '{"time":"2026-11-22T08:00:00Z",')),
  ),
  numbered(
    "too deep",
    "ENV_TOO_DEEP",
    raw((text) => text.replace('"help"', deep(40))),
  ),
  numbered(
    "far too deep",
    "ENV_TOO_DEEP",
    raw((text) => text.replace('"help"', deep(20_000))),
  ),
  ...["1e999", "-1e400", "9007199254740993", "123456789012345678901234567890"].map(
    (n): Hostile =>
      numbered(
        `the number ${n}`,
        "ENV_UNSAFE_NUMBER",
        raw((text) => text.replace('"help"', n)),
      ),
  ),
];

const shapes: Hostile[] = [
  numbered("no data", "SCH_INVALID", without("data")),
  ...[[], "text", null, true].map((value): Hostile => numbered(`data that is ${JSON.stringify(value)}`, "SCH_INVALID", set({ data: value }))),
  ...[
    {},
    { call: "" },
    { call: "a b" },
    { call: null },
    { call: ["x"] },
    { call: { a: 1 } },
    { call: "help", extra: 1 },
    { call: "help", text: "" },
    { call: "help", text: 5 },
    { Call: "help" },
    { call: "help", __proto__x: 1 },
  ].map((value): Hostile => numbered(`a call of ${JSON.stringify(value)}`, "SCH_INVALID", data(value))),
  ...[
    { evidence: "w", value: { a: 1 } },
    { evidence: "w", value: [1] },
    { value: "1" },
    { evidence: "w", value: "1", unit: "k g" },
    { evidence: "w", value: "1", quality: "superb" },
    { evidence: "w", value: "heavy", unit: "kg" },
    { evidence: "w", value: true, unit: "kg" },
    { evidence: "w", unit: "kg" },
  ].map(
    (value): Hostile =>
      numbered(
        `evidence of ${JSON.stringify(value)}`,
        "SCH_INVALID",
        with_((event) => ({ ...event, type: "signalbox.step.evidence.v1", batchid: "B", stepid: "s", data: value })),
      ),
  ),
  ...[
    { counter: "c" },
    { counter: "c", value: "x" },
    { counter: "c", value: "1e5" },
    { counter: "c", value: "1,5" },
    { counter: "c", value: "" },
    { value: "1" },
    { counter: "c", value: "1".repeat(40) },
    { counter: "c", value: "٣" },
  ].map((value): Hostile => numbered(`a count of ${JSON.stringify(value).slice(0, 40)}`, "SCH_INVALID", data(value, "signalbox.count.reported.v1"))),
  ...[{ alarm: "a", severity: "apocalyptic" }, { severity: "low" }, { alarm: "a", text: "x".repeat(1025) }].map(
    (value): Hostile => numbered(`an alarm of ${JSON.stringify(value).slice(0, 40)}`, "SCH_INVALID", data(value, "signalbox.alarm.raised.v1")),
  ),
  ...[{ next: "x" }, {}, { next: "-1" }, { next: "1.5" }, { next: "0" }, { next: "9223372036854775808" }].map(
    (value): Hostile => numbered(`a birth of ${JSON.stringify(value)}`, "SCH_INVALID", data(value, "signalbox.source.birth.v1")),
  ),
  ...[{ from: "1" }, { to: "1" }, { from: "a", to: "b" }, { from: "5", to: "4" }, { from: "0", to: "4" }].map(
    (value): Hostile => numbered(`a loss of ${JSON.stringify(value)}`, "SCH_INVALID", data(value, "signalbox.source.lost.v1")),
  ),
  ...[{}, { reason: "" }, { reason: "x", from: "noon" }].map(
    (value): Hostile => numbered(`downtime of ${JSON.stringify(value)}`, "SCH_INVALID", data(value, "signalbox.downtime.reported.v1")),
  ),
  ...["batch.start", "batch.resume", "step.start"].map(
    (type): Hostile => numbered(`${type} without its claim`, "CTX_MISSING", data({}, `signalbox.${type}.v1`)),
  ),
  ...["material.check", "label.check"].map(
    (type): Hostile =>
      numbered(
        `${type} of a batch that nobody knows`,
        "CTX_UNKNOWN_BATCH",
        with_((event) => ({
          ...event,
          type: `signalbox.${type}.v1`,
          batchid: "no-such-batch",
          stepid: "s",
          data: type === "label.check" ? { label: "L", revision: "1" } : { material: "M", lot: "L" },
        })),
      ),
  ),
];

export const HOSTILE: readonly Hostile[] = [...unreadable, ...identity, ...fields, ...shapes];
