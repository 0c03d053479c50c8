import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonical, cut, type Json, JsonNumber, MAX_DEPTH, pointerOf, readJson, unsafeNumber } from "../../../src/decode/json.ts";
import { runs } from "../../support/runs.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const read = (text: string) => readJson(bytes(text));

function value(text: string): Json {
  const found = read(text);
  if (!found.ok) throw new Error(found.detail);
  return found.value;
}

const faults = (text: string): string[] => {
  const found = read(text);
  return found.ok ? found.faults.map(({ fault, pointer }) => `${fault} ${pointer}`) : [found.fault];
};

/** As JSON.parse has it: numbers as doubles, objects as plain ones. */
function plain(json: Json): unknown {
  if (json instanceof JsonNumber) return Number(json.text);
  if (Array.isArray(json)) return json.map(plain);
  if (json instanceof Map) return Object.fromEntries([...json].map(([key, item]) => [key, plain(item)]));
  return json;
}

/** A document as somebody may write it: any JSON, with white space where JSON has it. */
const documents = fc
  .tuple(fc.json({ maxDepth: 6, stringUnit: "grapheme" }), fc.constantFrom<string | number | undefined>(undefined, 1, 4, "\t"))
  .map(([text, indent]) => JSON.stringify(JSON.parse(text), null, indent));

function parsed(text: string): { readonly ok: boolean; readonly value: unknown } {
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    return { ok: false, value: null };
  }
}

describe("the JSON reader", () => {
  test("reads every document as JSON.parse does", () => {
    fc.assert(
      fc.property(documents, (text) => {
        expect(plain(value(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  test("takes nothing that JSON.parse refuses, and refuses nothing else without a name for it", () => {
    const pieces = fc.constantFrom(
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      '"a"',
      '"b"',
      "1",
      "-0",
      "1.50",
      "2e3",
      "01",
      "1.",
      "true",
      "null",
      " ",
      "\n",
      "\u00a0",
      '"\\u0041"',
      '"\\x"',
      '"',
      "\\",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join("")),
          fc.string({ unit: "binary" }),
        ),
        (text) => {
          const found = readJson(bytes(text));
          const known = parsed(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes(text)));
          expect(found.ok).toBe(known.ok);
          if (found.ok && found.faults.length === 0) expect(plain(found.value)).toEqual(known.value);
        },
      ),
      { numRuns: runs(2_000) },
    );
  });

  test("checks what lies too deep as strictly as the rest", () => {
    const pieces = fc.constantFrom("{", "}", "[", "]", ",", ":", '"a"', "1", "true", "nul", " ", '"\\x"');
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
        const text = `${"[".repeat(40)}${parts.join("")}${"]".repeat(40)}`;
        expect(read(text).ok).toBe(parsed(text).ok);
      }),
      { numRuns: runs(2_000) },
    );
  });

  test("keeps numbers as they are written", () => {
    fc.assert(
      fc.property(fc.constantFrom("12.500", "-0", "0.0", "9007199254740993", "1E+2", "1e999", "0.10000000000000000000001"), (text) => {
        expect(value(text)).toEqual(new JsonNumber(text));
        expect(canonical(value(`[${text}]`))).toBe(`[${text}]`);
      }),
    );
  });

  test("never throws, whatever the bytes are", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (anything) => {
        const found = readJson(anything);
        expect(typeof found.ok).toBe("boolean");
      }),
      { numRuns: runs(2_000) },
    );
  });

  test.each([[[0xff]], [[0x22, 0xc0, 0xaf, 0x22]], [[0x22, 0xed, 0xa0, 0x80, 0x22]], [[0x22, 0xe2, 0x82, 0x22]]])(
    "refuses bytes %j, which are no UTF-8",
    (raw) => {
      expect(readJson(Uint8Array.from(raw))).toMatchObject({ ok: false, fault: "ENV_NOT_UTF8" });
    },
  );

  test("says that a byte order mark is why it refuses", () => {
    expect(readJson(Uint8Array.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d]))).toMatchObject({
      ok: false,
      fault: "ENV_NOT_JSON",
      detail: expect.stringContaining("byte order mark"),
    });
  });

  test("reads neither occurrence of a repeated name, also when it is spelled in two ways", () => {
    expect(value('{"a":1,"b":2,"a":3}')).toEqual(new Map([["b", new JsonNumber("2")]]));
    expect(faults('{"a":1,"\\u0061":2,"b":{"c":1,"c":1,"c":1}}')).toEqual(["ENV_DUPLICATE_KEY /a", "ENV_DUPLICATE_KEY /b/c"]);
  });

  test("drops a text that is none, and reads the rest", () => {
    expect(value('{"a":"\\ud83d","b":"\\u0000","c":"\\ud83d\\ude00","\\udc00":1,"d":["\\ud800"]}')).toEqual(
      new Map<string, Json>([
        ["c", "😀"],
        ["d", [null]],
      ]),
    );
    expect(faults('{"a":"\\ud83d","b":["x","\\u0000"]}')).toEqual(["ENV_INVALID_FIELD /a", "ENV_INVALID_FIELD /b/1"]);
  });

  test("reads what lies too deep as null, without recursion, and the rest as it is", () => {
    const nest = (levels: number): string => `{"deep":${"[".repeat(levels)}${"]".repeat(levels)},"id":"x"}`;
    expect(faults(nest(MAX_DEPTH - 1))).toEqual([]);
    expect(faults(nest(MAX_DEPTH))).toEqual([`ENV_TOO_DEEP /deep${"/0".repeat(MAX_DEPTH - 1)}`]);
    const far = value(nest(100_000));
    expect(far instanceof Map && far.get("id")).toBe("x");
  });

  test("keeps names that mean something to objects as plain names", () => {
    const found = value('{"__proto__":{"polluted":true},"constructor":1}');
    expect(found instanceof Map && [...found.keys()]).toEqual(["__proto__", "constructor"]);
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });
});

test("the canonical text does not depend on white space or on the order of names", () => {
  fc.assert(
    fc.property(documents, (text) => {
      const backwards = (json: unknown): unknown =>
        Array.isArray(json)
          ? json.map(backwards)
          : typeof json === "object" && json !== null
            ? Object.fromEntries(
                Object.entries(json)
                  .reverse()
                  .map(([key, item]) => [key, backwards(item)]),
              )
            : json;
      expect(canonical(value(JSON.stringify(backwards(JSON.parse(text)), null, 2)))).toBe(canonical(value(text)));
    }),
  );
});

test("a number that no double holds exactly is found where it lies", () => {
  expect(unsafeNumber(value('{"a":[1,9007199254740991,{"b/c":9007199254740992}]}'))).toEqual({ pointer: "/a/2/b~1c", text: "9007199254740992" });
  expect(unsafeNumber(value('{"a":1e400}'))).toEqual({ pointer: "/a", text: "1e400" });
  expect(unsafeNumber(value('{"a":[12.5,"1e400",-9007199254740991,1e5]}'))).toBeNull();
});

test("neither a pointer nor a shortened text ends in half a character", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), fc.nat(260), (text, max) => {
      expect(/\p{Surrogate}/u.test(cut(text, max))).toBe(false);
      expect(text.startsWith(cut(text, max))).toBe(true);
      expect(cut(text, max).length).toBeGreaterThanOrEqual(Math.min(text.length, max) - 1);
      expect(/\p{Surrogate}/u.test(pointerOf([text, "x", text]))).toBe(false);
    }),
  );
});
