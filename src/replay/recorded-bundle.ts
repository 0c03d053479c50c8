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
  const definitions = manifest.definitions.map(({ kind, name, sha256, since = 0, inForceSince }) => ({
    kind,
    name,
    hash: sha256,
    // what is permitted is told in the order in which the database keeps a definition
    content: asJsonb(JSON.parse(folder.text(FILES.definition(sha256)))),
    since,
    ...(inForceSince === undefined ? {} : { inForceSince }),
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
      for (const { position, entry } of entriesIn(folder, manifest)) {
        if (position > through) break;
        part.push({ kind: "entry", position, entry, raw: deliveryOf(folder, entry) });
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
  for (const [head] of pairsIn(folder, manifest)) {
    const { position, base } = standsIn(head);
    if (position !== before.position + 1) break;
    if (base !== before.base) whole = before.position;
    before = { position, base };
  }
  return Math.min(whole, to);
}

/** All entries, in order. */
export function* entriesIn(folder: BundleFolder, manifest: Manifest): Generator<{ readonly position: number; readonly entry: Buffer }> {
  for (const [head, body] of pairsIn(folder, manifest)) yield { position: standsIn(head).position, entry: Buffer.concat([head, BREAK, body]) };
}

const BREAK = Buffer.from("\n");

/** Each entry stands in two lines. */
function* pairsIn(folder: BundleFolder, { logs }: Manifest): Generator<readonly [head: Buffer, body: Buffer]> {
  for (const { log } of logs) {
    let head: Buffer | null = null;
    for (const line of folder.lines(FILES.entries(log))) {
      if (head !== null) yield [head, line];
      head = head === null ? line : null;
    }
  }
}

const standsIn = (head: Buffer): Stands => JSON.parse(head.toString());

const NAMED = Buffer.from('"raw_sha256":"');
const SHA256 = /^[0-9a-f]{64}$/;

/** The bytes of the delivery that an entry names; null: it names none, or they are not there. */
export function deliveryOf(folder: BundleFolder, entry: Buffer): Buffer | null {
  const at = entry.indexOf(NAMED) + NAMED.length;
  const sha256 = at < NAMED.length ? "" : entry.toString("latin1", at, at + 64);
  return SHA256.test(sha256) ? folder.bytes(FILES.delivery(sha256)) : null;
}
