import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { readMirror } from "../audit/mirror.ts";
import type { AnchorNote } from "./signed-roots.ts";
import { type Given, readKeys } from "./trust.ts";

/** The keys that a person handed over: a verifier key itself, or a file with one a line. A string says what is wrong. */
export function keysFrom(given: string): Given | string {
  if (!existsSync(given)) {
    const keys = readKeys(given);
    return typeof keys === "string" && !given.includes("+") ? `There is no file ${given}.` : keys;
  }
  const keys = readKeys(readFileSync(given, "utf8"));
  return typeof keys === "string" ? `${given}: ${keys}` : keys;
}

/**
 * The notes in a file, or in a folder and those in it: a site's mirror, the folder of several sites' mirrors, or whatever else somebody kept notes in, in files that end in `.notes`. A
 * string says what is wrong.
 */
export function anchorsFrom(path: string): readonly AnchorNote[] | string {
  if (!existsSync(path)) return `There is no ${path}.`;
  const notes = filesIn(path, 1).flatMap((file) => readMirror(readFileSync(file, "utf8")).notes.map((note) => ({ note, found: file })));
  return notes.length === 0 ? `There is no checkpoint in ${path}.` : notes;
}

function filesIn(path: string, deep: number): readonly string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true }).flatMap((one) => {
    const below = join(path, one.name);
    return one.isDirectory() ? (deep > 0 ? filesIn(below, deep - 1) : []) : one.name.endsWith(".notes") ? [below] : [];
  });
}
