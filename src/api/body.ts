import { canonical, type Json, readJson, unsafeNumber } from "../decode/json.ts";

/** A request's body, read as strictly as an event: UTF-8, no repeated keys, nothing that is no text, no number that a double does not hold. `value` is what JSON.parse makes of it. */
export type Body =
  | { readonly ok: true; readonly value: unknown; readonly json: Json }
  | { readonly ok: false; readonly detail: string; readonly errors: readonly { readonly pointer: string; readonly detail: string }[] };

/** Keys that would reach an object's prototype when they are copied by name. */
const PROTOTYPE = new Set(["__proto__"]);

export function readBody(bytes: Uint8Array, { anyNumber = false }: { readonly anyNumber?: boolean } = {}): Body {
  const read = readJson(bytes);
  if (!read.ok) return { ok: false, detail: `The body is no JSON: ${read.detail}.`, errors: [{ pointer: "", detail: read.detail }] };
  if (read.faults.length > 0) {
    return {
      ok: false,
      detail: `The body cannot be read: ${read.faults[0]?.detail}.`,
      errors: read.faults.map(({ pointer, detail }) => ({ pointer, detail })),
    };
  }
  const reserved = reservedKey(read.value, "");
  if (reserved !== null)
    return { ok: false, detail: "The body has a key that is not permitted.", errors: [{ pointer: reserved, detail: "is not permitted as a key" }] };
  const unsafe = anyNumber ? null : unsafeNumber(read.value);
  if (unsafe !== null)
    return {
      ok: false,
      detail: "The body has a number that would be read as another one.",
      errors: [{ pointer: unsafe.pointer, detail: `is a number that would be read as another one: ${unsafe.text}` }],
    };
  return { ok: true, value: JSON.parse(new TextDecoder().decode(bytes)), json: read.value };
}

/** A member of a body as text, its numbers as they were written; null when there is none. */
export function memberText(json: Json, name: string): string | null {
  const member = json instanceof Map ? json.get(name) : undefined;
  return member === undefined ? null : canonical(member);
}

function reservedKey(json: Json, at: string): string | null {
  if (Array.isArray(json)) {
    for (const [i, item] of json.entries()) {
      const found = reservedKey(item, `${at}/${i}`);
      if (found !== null) return found;
    }
  }
  if (json instanceof Map) {
    for (const [key, item] of json) {
      const found = PROTOTYPE.has(key) ? `${at}/${key}` : reservedKey(item, `${at}/${key}`);
      if (found !== null) return found;
    }
  }
  return null;
}
