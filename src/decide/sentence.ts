import { canonical, cut, readJson } from "../decode/json.ts";
import { jwsIn } from "../decode/signed.ts";
import type { Explanation } from "./judgement.ts";
import { CODES, type Verdict } from "./verdict.ts";

export interface Told {
  readonly code: string;
  readonly reason: string;
  /** What the verdict says; null: what the code says. */
  readonly remedy: string | null;
  readonly explanation: Verdict["explanation"];
  /** What was refused, as it was written. */
  readonly said?: Said;
}

/** The fields of an event's data, each with its value as text. */
export type Said = readonly { readonly name: string; readonly value: string }[];

/**
 * What a record says of a refusal or an exception, for whoever reads it years later: what was met, what the guard that failed had expected and found, and what is done about it. Made
 * from what is stored, so that the sentence can be read better one day and the record stays as it is.
 */
export function sentenceOf({ code, reason, remedy, explanation, said = [] }: Told): string {
  const failed = explanation !== null && "guards" in explanation ? explanation.guards.find(({ ok }) => !ok) : undefined;
  const next = remedy ?? CODES[code]?.remedy;
  return [reason, ...(failed === undefined ? [] : unsaid(reason, failed)), ...unquoted(reason, said), ...(next === undefined ? [] : [next])].join(" ");
}

/** What was expected and what was found, where a reason does not name both as they are stored. */
function unsaid(reason: string, { expected = "otherwise", actual = "nothing" }: Explanation["guards"][number]): readonly string[] {
  return reason.includes(expected) && reason.includes(actual) ? [] : [`Expected ${expected}; found ${actual}.`];
}

/** What was refused, where a reason does not hold all of it. */
function unquoted(reason: string, said: Said): readonly string[] {
  const whole = said.every(({ value }) => reason.includes(value.replace(/^"(.*)"$/, "$1")));
  return whole ? [] : [`The event said ${said.map(({ name, value }) => `${name} ${value}`).join(", ")}.`];
}

/** Fields, and characters of each, that a sentence has room for. */
const ROOM = { fields: 12, characters: 120 } as const;

/** What a delivery said beside its envelope, inside its signature where it has one; nothing where it cannot be read. With MQTT 5 in binary mode the envelope is no part of it. */
export function saidIn(delivery: Uint8Array): Said {
  const read = readJson(jwsIn({ payload: delivery })?.payload ?? delivery);
  if (!read.ok || !(read.value instanceof Map)) return [];
  const data = read.value.has("specversion") ? read.value.get("data") : read.value;
  if (!(data instanceof Map)) return [];
  return [...data].slice(0, ROOM.fields).map(([name, value]) => {
    const text = canonical(value);
    return { name: cut(name, ROOM.characters), value: text.length > ROOM.characters ? `${cut(text, ROOM.characters)} …` : text };
  });
}
