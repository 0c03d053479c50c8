// A site's record as a bundle holds it, from its first position on.
import type { BundleFolder } from "../bundle/folder.file.ts";
import { FILES, type Manifest } from "../bundle/manifest.ts";
import { asJsonb } from "./jsonb.ts";
import type { LoggedPosition, RecordedSite } from "./recorded.ts";

/** So many entries are decided again at once. */
const PART = 500;

interface Stands {
  readonly position: number;
  readonly base: number;
}

/** Null: the bundle does not hold a record from its beginning, or says too little to decide it again. */
export function recordedBundle(folder: BundleFolder, manifest: Manifest): RecordedSite | null {
  const { of, sources, site } = manifest;
  if (!("from" in of) || of.from !== 1 || sources === undefined) return null;
  const through = lastWhole(folder, manifest, of.to);
  const definitions = manifest.definitions.map(({ kind, name, sha256, since = 0 }) => ({
    kind,
    name,
    hash: sha256,
    // what is permitted is told in the order in which the database keeps a definition
    content: asJsonb(JSON.parse(folder.text(FILES.definition(sha256)))),
    since,
  }));
  return {
    site,
    position: through,
    logBegins: 1,
    registered: { equipment: [], sources: [] },
    definitions,
    sourceKeys: new Map(Object.entries(sources)),
    async *read() {
      let part: LoggedPosition[] = [];
      for (const { position, entry, body } of entriesIn(folder, manifest)) {
        if (position > through) break;
        part.push({ kind: "entry", position, entry, raw: deliveryOf(folder, body) });
        if (part.length < PART) continue;
        yield part;
        part = [];
      }
      yield part;
    },
  };
}

/** A range may end within a commit, which cannot be decided again in part: the last position of the last commit that another one follows. */
function lastWhole(folder: BundleFolder, manifest: Manifest, to: number): number {
  let before: Stands = { position: 0, base: 0 };
  let whole = 0;
  for (const { position, base } of entriesIn(folder, manifest)) {
    if (position !== before.position + 1) break;
    if (base !== before.base) whole = before.position;
    before = { position, base };
  }
  return Math.min(whole, to);
}

/** All entries, in order: each stands in two lines. */
export function* entriesIn(folder: BundleFolder, { logs }: Manifest): Generator<Stands & { readonly entry: Buffer; readonly body: string }> {
  for (const { log } of logs) {
    let head: Buffer | null = null;
    for (const line of folder.lines(FILES.entries(log))) {
      if (head === null) {
        head = line;
        continue;
      }
      const { position, base } = JSON.parse(head.toString());
      yield { position, base, entry: Buffer.concat([head, Buffer.from("\n"), line]), body: line.toString() };
      head = null;
    }
  }
}

export function deliveryOf(folder: BundleFolder, body: string): Buffer | null {
  const [, sha256] = /"raw_sha256":"([0-9a-f]{64})"/.exec(body) ?? [];
  return sha256 === undefined ? null : folder.bytes(FILES.delivery(sha256));
}
