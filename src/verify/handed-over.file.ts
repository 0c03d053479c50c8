import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
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
 * The notes in a file, or in a folder of them: a site's mirror, the folder above those of several sites, or whatever else somebody kept notes in, in files that end in `.notes`. A string
 * says what is wrong.
 */
export function anchorsFrom(path: string, site: string): readonly AnchorNote[] | string {
  if (!existsSync(path)) return `There is no ${path}.`;
  const folders = statSync(path).isDirectory() ? [path, join(path, site)].filter((folder) => existsSync(folder)) : [];
  const files =
    folders.length === 0
      ? [path]
      : folders.flatMap((folder) =>
          readdirSync(folder)
            .filter((name) => name.endsWith(".notes"))
            .map((name) => join(folder, name)),
        );
  const notes = files.flatMap((file) => readMirror(readFileSync(file, "utf8")).notes.map((note) => ({ note, found: basename(file) })));
  return notes.length === 0 ? `There is no checkpoint in ${path}.` : notes;
}
