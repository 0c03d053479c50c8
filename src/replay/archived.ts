// What was disposed of, as the bundles hold it in which it was archived: read in front of what the database still has.
import type { BundleFolder } from "../bundle/folder.file.ts";
import type { Manifest } from "../bundle/manifest.ts";
import type { EntryRow, SiteRecord } from "../verify/record.ts";
import type { LoggedPosition } from "./recorded.ts";
import { entriesIn } from "./recorded-bundle.ts";

export interface Archived {
  /** The last position that is taken from them. */
  readonly through: number;
  /** In order, without holes as far as the bundles are whole. */
  entries(): Iterable<LoggedPosition>;
}

/** The archives of a site up to a position; a string says what they lack. Nothing of them is believed here: their entries are decided and hashed like all others. */
export function archivedRecord(
  bundles: readonly { readonly folder: BundleFolder; readonly manifest: Manifest }[],
  site: string,
  first: number,
  through: number,
): Archived | string {
  const ranges = bundles
    .flatMap(({ folder, manifest }) => (manifest.site === site && "from" in manifest.of ? [{ folder, manifest, ...manifest.of }] : []))
    .sort((one, other) => one.from - other.from);
  let reached = first - 1;
  for (const { from, to } of ranges) if (from <= reached + 1) reached = Math.max(reached, to);
  if (reached < through) return `Of positions ${first} to ${through}, which were disposed of, the archives that were given lack those from ${reached + 1} on.`;
  return {
    through,
    *entries() {
      let last = first - 1;
      for (const { folder, manifest, to } of ranges)
        for (const { head, entry, raw } of entriesIn(folder, manifest)) {
          const { position } = head;
          if (position <= last || position > Math.min(to, through)) continue;
          last = position;
          yield { kind: "entry", position, head, entry, raw };
        }
    },
  };
}

/** The record of a site with its archives in front. */
export const withArchived = (record: SiteRecord, archived: Archived): SiteRecord => ({
  ...record,
  async *entries() {
    for (const { position, entry } of archived.entries())
      yield { position, bytes: Buffer.from(entry.buffer, entry.byteOffset, entry.byteLength) } satisfies EntryRow;
    yield* record.entries();
  },
});
