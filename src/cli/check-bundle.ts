import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { bundleIn } from "../bundle/folder.file.ts";
import { FILES, type Manifest, readManifest } from "../bundle/manifest.ts";
import { MAX_EVENT_BYTES } from "../receive/delivery.ts";
import { type Archived, archivedRecord } from "../replay/archived.ts";
import { decideBundle } from "../replay/decide-bundle.process.ts";
import { keysFrom } from "../verify/handed-over.file.ts";
import type { AnchorNote } from "../verify/signed-roots.ts";
import type { Given } from "../verify/trust.ts";
import { verifyBundle } from "../verify/verify-bundle.ts";
import type { Verified } from "../verify/verify-site.ts";
import type { Described } from "./command.ts";
import { Said } from "./said.ts";
import type { Terminal } from "./terminal.ts";

/** The folders of bundles: one that was given, and those in it. */
export function bundlesIn(path: string): readonly string[] {
  if (!existsSync(path)) throw new Said(`There is no folder ${path}.`, 2);
  const below = readdirSync(path, { withFileTypes: true }).flatMap((one) => (one.isDirectory() ? [join(path, one.name)] : []));
  const bundles = [path, ...below].filter((folder) => existsSync(join(folder, FILES.sums)));
  if (bundles.length === 0) throw new Said(`There is no archive in ${path}.`);
  return bundles;
}

/** The archives in the folders that were given, as far as a site needs them up to a position; null: none were, or none are needed. */
export function archivesIn(given: readonly string[], site: string, first: number, through: number): Archived | null {
  if (given.length === 0 || through === 0) return null;
  const bundles = given.flatMap(bundlesIn).map((path) => {
    const folder = bundleIn(path);
    const manifest = folder.has(FILES.manifest) ? readManifest(folder.text(FILES.manifest)) : null;
    if (manifest === null) throw new Said(`${path} is no archive that this version can read.`);
    return { folder, manifest };
  });
  const archived = archivedRecord(bundles, site, first, through);
  if (typeof archived === "string") throw new Said(archived);
  return archived;
}

export const ARCHIVE: Described = {
  type: "string",
  value: "DIR",
  many: true,
  help: "Archives of what was disposed of, read in front of the database: a bundle's folder, or one that has several. May be given several times.",
};

export interface Checking {
  readonly keys: Given | null;
  readonly anchors: readonly AnchorNote[] | null;
  /** Whether what can be decided again is. */
  readonly replay: boolean;
  readonly topicPrefix: string;
  readonly terminal: Terminal;
}

/** Verifies the bundle in a folder, by what is in it. */
export function checkBundle(path: string, { keys, anchors, replay, topicPrefix, terminal }: Checking): Promise<Verified> {
  const reading = { prefix: topicPrefix, maxBytes: MAX_EVENT_BYTES };
  const again = replay ? (manifest: Manifest) => decideBundle(path, manifest, reading) : null;
  return verifyBundle(bundleIn(path), { keys, anchors, replay: again, progress: progressOn(terminal) });
}

export const progressOn =
  (terminal: Terminal) =>
  (position: number, of: number): void =>
    terminal.progress(`Position ${position} of ${of} …`);

/** The keys that a person handed over; null: none. */
export function keysOf(given: string | undefined): Given | null {
  const keys = given === undefined ? null : keysFrom(given);
  if (typeof keys === "string") throw new Said(keys);
  return keys;
}
