// JSON texts as nobody sensible would write them: values with the text in which each is written, and writers that spell the same value in many ways.
import fc from "fast-check";
import { seeded } from "../../support/measure.ts";

/** A value as it is to be written: numbers and odd things by their very text, members in their order and with their repeats. */
export type Text =
  | { readonly kind: "raw"; readonly text: string }
  | { readonly kind: "string"; readonly text: string }
  | { readonly kind: "list"; readonly items: readonly Text[] }
  | { readonly kind: "object"; readonly members: readonly (readonly [name: string, value: Text])[] };

export const raw = (text: string): Text => ({ kind: "raw", text });
export const string = (text: string): Text => ({ kind: "string", text });
export const object = (members: Readonly<Record<string, Text>>): Text => ({ kind: "object", members: Object.entries(members) });

/** What a value of ordinary JSON looks like as a text to be written. */
export function textOf(value: unknown): Text {
  if (typeof value === "string") return string(value);
  if (Array.isArray(value)) return { kind: "list", items: value.map(textOf) };
  if (typeof value === "object" && value !== null) return { kind: "object", members: Object.entries(value).map(([name, member]) => [name, textOf(member)]) };
  return raw(JSON.stringify(value));
}

/** How freely a text is spelled; all of it leaves the value as it is. */
export interface Spelling {
  readonly seed: number;
  readonly space: boolean;
  readonly escapes: boolean;
  readonly order: boolean;
}

export const spelling: fc.Arbitrary<Spelling> = fc.record({ seed: fc.nat(), space: fc.boolean(), escapes: fc.boolean(), order: fc.boolean() });
export const PLAIN: Spelling = { seed: 0, space: false, escapes: false, order: false };

/** Writes a value. What JavaScript calls a string is always representable: half of a surrogate pair is written as an escape. */
export function write(text: Text, how: Spelling): string {
  const random = seeded(how.seed);
  const space = (): string => (how.space && random() < 0.4 ? ([" ", "\n", "\t", "\r\n", "  "][Math.floor(random() * 5)] ?? "") : "");
  const character = (c: string): string => {
    const simple = { '"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t" }[c];
    const escaped = [...Array(c.length).keys()].map((i) => `\\u${c.charCodeAt(i).toString(16).padStart(4, "0")}`).join("");
    if (simple !== undefined) return how.escapes && random() < 0.5 ? escaped.toUpperCase().replaceAll("\\U", "\\u") : simple;
    if (c < " " || /\p{Surrogate}/u.test(c)) return escaped;
    if (c === "/" && how.escapes && random() < 0.5) return "\\/";
    return how.escapes && random() < 0.3 ? escaped : c;
  };
  const quoted = (value: string): string => `"${[...value].map(character).join("")}"`;
  const written = (value: Text): string => {
    switch (value.kind) {
      case "raw":
        return value.text;
      case "string":
        return quoted(value.text);
      case "list":
        return `[${value.items.map((item) => space() + written(item) + space()).join(",")}]`;
      case "object": {
        const members = how.order ? [...value.members].sort(() => random() - 0.5) : value.members;
        return `{${members.map(([name, member]) => `${space()}${quoted(name)}${space()}:${space()}${written(member)}${space()}`).join(",")}}`;
      }
    }
  };
  return space() + written(text) + space();
}

const NUMBERS = ["0", "-0", "1", "1.0", "1.00", "-1", "1e0", "1E+2", "1e-2", "1e400", "-1e400", "1e-400", "0.1", "9007199254740991", "9007199254740993"];
const LONG_NUMBERS = ["9223372036854775807", "9223372036854775808", "1".repeat(40), `0.${"3".repeat(400)}`, "1e999999999"];
export const numberText = fc.oneof(
  fc.constantFrom(...NUMBERS),
  fc.constantFrom(...LONG_NUMBERS),
  fc.double().map((n) => JSON.stringify(n)),
);

const NAMES = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "data",
  "id",
  "source",
  "$ref",
  "",
  "\u0000",
  "a/b~c",
  "\u2028",
  "ä",
  "\ufeff",
];
const ODD = [
  "",
  "\u0000",
  "\ud800",
  "\udc00x",
  "\udc00\ud800",
  "\u2028\u2029",
  "\ufffe\uffff",
  "\u0085\u009f",
  "\u202e",
  "\ufeff",
  "😀".repeat(200),
  "x".repeat(300),
];
const anyString = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom(...ODD), fc.string({ unit: "grapheme" }), fc.string());
const name = fc.oneof(fc.constantFrom(...NAMES), fc.string({ maxLength: 8 }), anyString);

/** Any value, its members repeated now and then. */
export const anyText: fc.Arbitrary<Text> = fc.letrec<{ text: Text }>((tie) => ({
  text: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom("null", "true", "false").map(raw),
    numberText.map(raw),
    anyString.map(string),
    fc.array(tie("text"), { maxLength: 5 }).map((items): Text => ({ kind: "list", items })),
    fc.array(fc.tuple(name, tie("text")), { maxLength: 5 }).map((members): Text => ({ kind: "object", members })),
  ),
})).text;

/** Values that weigh something: nested deeply, of many items, of many members. */
export const heavyText: fc.Arbitrary<Text> = fc.oneof(
  fc.tuple(fc.integer({ min: 20, max: 5_000 }), fc.constantFrom("[", '{"a":', '[{"b":'), anyText).map(([depth, open, inner]) => {
    const close = [...open].reverse().map((c) => ({ "[": "]", "{": "}" })[c] ?? "");
    return raw(open.repeat(depth) + write(inner, PLAIN) + close.join("").repeat(depth));
  }),
  fc.integer({ min: 1_000, max: 30_000 }).map((n) => raw(`[${"0,".repeat(n)}0]`)),
  fc.integer({ min: 1_000, max: 10_000 }).map((n) => raw(`{${Array.from({ length: n }, (_, i) => `"m${i}":${i}`).join(",")}}`)),
  fc.integer({ min: 1_000, max: 10_000 }).map((n) => raw(`{${'"same":1,'.repeat(n)}"same":1}`)),
  fc.integer({ min: 10_000, max: 300_000 }).map((n) => raw(`"${"x".repeat(n)}"`)),
  fc.integer({ min: 1_000, max: 20_000 }).map((n) => raw(`"${"\\u0000".repeat(n)}"`)),
);
