/** A JSON number with the text it was written in: 12.500 keeps its three places, and 9007199254740993 its last digit. */
export class JsonNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Json = null | boolean | string | JsonNumber | readonly Json[] | JsonObject;

/** A JSON object; a map, so that no key is special. */
export type JsonObject = ReadonlyMap<string, Json>;

export type JsonFault = "ENV_NOT_UTF8" | "ENV_NOT_JSON" | "ENV_DUPLICATE_KEY" | "ENV_TOO_DEEP" | "ENV_INVALID_FIELD";

/**
 * What was read. `faults` lists what is wrong and yet left the rest readable: the first occurrence of a repeated key is dropped with the others, and so is a member whose
 * name or text holds what is no text (an escaped NUL, half of a surrogate pair): a device that cuts a text in the middle of a character still gets its number.
 */
export type JsonRead =
  | { readonly ok: true; readonly value: Json; readonly faults: readonly { readonly fault: JsonFault; readonly pointer: string; readonly detail: string }[] }
  | { readonly ok: false; readonly fault: JsonFault; readonly detail: string };

export const MAX_DEPTH = 32;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes to JSON, strictly as RFC 8259 has it: UTF-8 only and without a byte order mark, no NUL, no lone surrogates, no repeated keys, no more than 32 levels. Never throws. */
export function readJson(bytes: Uint8Array): JsonRead {
  let text: string;
  try {
    text = UTF8.decode(bytes);
  } catch {
    return { ok: false, fault: "ENV_NOT_UTF8", detail: "the payload is not valid UTF-8" };
  }
  if (text.startsWith("\ufeff")) return { ok: false, fault: "ENV_NOT_JSON", detail: "the payload begins with a byte order mark, which JSON does not have" };
  const reader = new Reader(text);
  try {
    return { ok: true, value: reader.document(), faults: reader.faults };
  } catch (error) {
    if (error instanceof Unreadable) return { ok: false, fault: "ENV_NOT_JSON", detail: error.message };
    throw error;
  }
}

class Unreadable extends Error {}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// all but the control characters below the space, the quote and the backslash
const PLAIN = /[ !#-[\]-\uffff]*/y;
// with the u flag, only a surrogate without its other half matches
const HALVES = /\p{Surrogate}/gu;
const ESCAPES: Readonly<Record<string, string>> = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

class Reader {
  readonly #text: string;
  #at = 0;
  readonly #path: (string | number)[] = [];
  readonly faults: { fault: JsonFault; pointer: string; detail: string }[] = [];
  /** What makes the string read last no text; whoever reads a string reports it and forgets it. */
  #flaw: string | null = null;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Json {
    if (this.#text.includes("\u0000")) throw new Unreadable("the payload contains NUL");
    const value = this.#value(1);
    this.#space();
    if (this.#at < this.#text.length) throw new Unreadable(`unexpected text after the document, at character ${this.#at}`);
    return value ?? null;
  }

  /** undefined: there is a value, of which nothing can be used. */
  #value(depth: number): Json | undefined {
    this.#space();
    const c = this.#text[this.#at];
    if (c === "{" || c === "[") {
      if (depth > MAX_DEPTH) return this.#tooDeep();
      return c === "{" ? this.#object(depth) : this.#array(depth);
    }
    if (c === '"') {
      const string = this.#string();
      return this.#flawed() ? undefined : string;
    }
    if (c === "t") return this.#word("true", true);
    if (c === "f") return this.#word("false", false);
    if (c === "n") return this.#word("null", null);
    NUMBER.lastIndex = this.#at;
    if (!NUMBER.test(this.#text))
      throw new Unreadable(c === undefined ? "the document ends early" : `unexpected ${JSON.stringify(c)} at character ${this.#at}`);
    const number = this.#text.slice(this.#at, NUMBER.lastIndex);
    this.#at = NUMBER.lastIndex;
    return new JsonNumber(number);
  }

  #object(depth: number): Json {
    const object = new Map<string, Json>();
    // hardly any object has such names
    let repeated: Set<string> | undefined;
    let unusable: Set<string> | undefined;
    this.#at += 1;
    this.#space();
    if (this.#take("}")) return object;
    for (;;) {
      const key = this.#name();
      this.#path.push(key);
      const nameless = this.#flawed();
      const value = this.#value(depth + 1);
      if (nameless || value === undefined) {
        unusable ??= new Set();
        unusable.add(key);
      }
      if (object.has(key)) {
        repeated ??= new Set();
        if (!repeated.has(key)) this.#fault("ENV_DUPLICATE_KEY", `the name ${cut(JSON.stringify(key), 80)} occurs more than once`);
        repeated.add(key);
      }
      object.set(key, value ?? null);
      this.#path.pop();
      this.#space();
      if (this.#take(",")) continue;
      if (this.#take("}")) break;
      throw new Unreadable(`"," or "}" was expected at character ${this.#at}`);
    }
    // which of the two is meant, nobody can say: neither is read
    for (const key of repeated ?? []) object.delete(key);
    for (const key of unusable ?? []) object.delete(key);
    return object;
  }

  #name(): string {
    this.#space();
    if (this.#text[this.#at] !== '"') throw new Unreadable(`a name was expected at character ${this.#at}`);
    const name = this.#string();
    this.#space();
    if (!this.#take(":")) throw new Unreadable(`":" was expected at character ${this.#at}`);
    return name;
  }

  #skipName(): void {
    this.#name();
    this.#flawed();
  }

  #array(depth: number): Json {
    const array: Json[] = [];
    this.#at += 1;
    this.#space();
    if (this.#take("]")) return array;
    for (;;) {
      this.#path.push(array.length);
      array.push(this.#value(depth + 1) ?? null);
      this.#path.pop();
      this.#space();
      if (this.#take(",")) continue;
      if (this.#take("]")) return array;
      throw new Unreadable(`"," or "]" was expected at character ${this.#at}`);
    }
  }

  /** What lies too deep is checked like the rest, but without recursion, and read as null. */
  #tooDeep(): null {
    this.#fault("ENV_TOO_DEEP", `more than ${MAX_DEPTH} levels`);
    const closers: string[] = [];
    do {
      this.#space();
      const closer = this.#take("{") ? "}" : this.#take("[") ? "]" : null;
      if (closer === null) this.#value(MAX_DEPTH + 1);
      else {
        closers.push(closer);
        this.#space();
        if (this.#text[this.#at] !== closer) {
          if (closer === "}") this.#skipName();
          continue;
        }
      }
      // behind a value, or at the end of an empty list or object
      while (closers.length > 0) {
        this.#space();
        const last = closers.at(-1) ?? "";
        if (this.#take(",")) {
          if (last === "}") this.#skipName();
          break;
        }
        if (!this.#take(last)) throw new Unreadable(`"," or ${JSON.stringify(last)} was expected at character ${this.#at}`);
        closers.pop();
      }
    } while (closers.length > 0);
    return null;
  }
  #string(): string {
    this.#at += 1;
    let out = "";
    let doubtful = false;
    for (;;) {
      PLAIN.lastIndex = this.#at;
      PLAIN.test(this.#text);
      out += this.#text.slice(this.#at, PLAIN.lastIndex);
      this.#at = PLAIN.lastIndex;
      const c = this.#text[this.#at];
      if (c === '"') break;
      if (c !== "\\") throw new Unreadable(c === undefined ? "a string does not end" : `a control character in a string, at character ${this.#at}`);
      const escaped = this.#text[this.#at + 1] ?? "";
      const simple = ESCAPES[escaped];
      if (simple !== undefined) {
        out += simple;
        this.#at += 2;
        continue;
      }
      const hex = this.#text.slice(this.#at + 2, this.#at + 6);
      if (escaped !== "u" || !/^[0-9a-fA-F]{4}$/.test(hex)) throw new Unreadable(`an unknown escape at character ${this.#at}`);
      const code = Number.parseInt(hex, 16);
      doubtful ||= code === 0 || (code >= 0xd800 && code <= 0xdfff);
      out += String.fromCharCode(code);
      this.#at += 6;
    }
    this.#at += 1;
    if (!doubtful) return out;
    const text = out.replaceAll("\u0000", "\ufffd").replace(HALVES, "\ufffd");
    if (text !== out) this.#flaw = out.includes("\u0000") ? "the text holds an escaped NUL" : "the text holds half of a surrogate pair";
    return text;
  }

  #flawed(): boolean {
    if (this.#flaw === null) return false;
    this.#fault("ENV_INVALID_FIELD", this.#flaw);
    this.#flaw = null;
    return true;
  }

  #word<T extends Json>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw new Unreadable(`unexpected text at character ${this.#at}`);
    this.#at += word.length;
    return value;
  }

  #take(c: string): boolean {
    if (this.#text[this.#at] !== c) return false;
    this.#at += 1;
    return true;
  }

  #space(): void {
    for (; this.#at < this.#text.length; this.#at += 1) {
      const c = this.#text.charCodeAt(this.#at);
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return;
    }
  }

  #fault(fault: JsonFault, detail: string): void {
    if (this.faults.length < 16) this.faults.push({ fault, pointer: pointerOf(this.#path), detail });
  }
}

/** A JSON pointer (RFC 6901). */
export const pointerOf = (path: readonly (string | number | symbol)[]): string =>
  cut(path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join(""), 256);

/** A text cut to a length, never through a character: half of one could not be stored. */
export const cut = (text: string, max: number): string => (text.length <= max ? text : text.slice(0, max).replace(/\p{Surrogate}$/u, ""));

/** Canonical text: keys sorted by code unit, no white space, numbers as written. */
export function canonical(json: Json): string {
  if (json instanceof JsonNumber) return json.text;
  if (Array.isArray(json)) return `[${json.map(canonical).join(",")}]`;
  if (json instanceof Map) {
    let text = "";
    for (const key of [...json.keys()].sort()) text += `${text === "" ? "" : ","}${quoted(key)}:${canonical(json.get(key) ?? null)}`;
    return `{${text}}`;
  }
  return typeof json === "string" ? quoted(json) : JSON.stringify(json);
}

/** Printable ASCII of which nothing is escaped in JSON: nearly every text, and told in half the time. */
const AS_IT_IS = /^[ !#-[\]-~]*$/;
const quoted = (text: string): string => (AS_IT_IS.test(text) ? `"${text}"` : JSON.stringify(text));

/** Where a number lies outside what a double holds exactly: overflow, or an integer beyond 2^53 - 1. null: nowhere. */
export function unsafeNumber(json: Json, path: (string | number)[] = []): { readonly pointer: string; readonly text: string } | null {
  if (json instanceof JsonNumber) {
    const value = Number(json.text);
    const unsafe = !Number.isFinite(value) || (/^-?\d+$/.test(json.text) && !Number.isSafeInteger(value)) || json.text.length > 40;
    return unsafe ? { pointer: pointerOf(path), text: json.text.slice(0, 60) } : null;
  }
  if (Array.isArray(json)) {
    for (const [i, item] of json.entries()) {
      const found = unsafeNumber(item, [...path, i]);
      if (found !== null) return found;
    }
  }
  if (json instanceof Map) {
    for (const [key, item] of json) {
      const found = unsafeNumber(item, [...path, key]);
      if (found !== null) return found;
    }
  }
  return null;
}
