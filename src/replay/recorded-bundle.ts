// A site's record as a bundle holds it, from its first position on.
import { type Deliveries, deliveriesOf } from "../bundle/deliveries.ts";
import type { BundleFolder } from "../bundle/folder.file.ts";
import { FILES, type Manifest } from "../bundle/manifest.ts";
import { asJsonb } from "./jsonb.ts";
import type { Head, LoggedPosition, RecordedSite } from "./recorded.ts";

/** So many entries are decided again at once. */
const PART = 500;

export interface RecordedBundle extends RecordedSite {
  read(): AsyncIterable<readonly LoggedPosition[]>;
}

/** Null: the bundle does not hold a record from its beginning, or says too little to decide it again. */
export function recordedBundle(folder: BundleFolder, manifest: Manifest): RecordedBundle | null {
  const { of, sources, site } = manifest;
  if (!("from" in of) || of.from !== 1 || sources === undefined) return null;
  let through = 0;
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
    get position() {
      return through;
    },
    logBegins: 1,
    registered: { equipment: [], sources: [] },
    definitions,
    sourceKeys: new Map(Object.entries(sources)),
    async *read() {
      let part: LoggedPosition[] = [];
      for (const commit of commitsIn(folder, manifest, of.to)) {
        through += commit.length;
        for (const { head, entry, raw } of commit) part.push({ kind: "entry", position: head.position, head, entry, raw });
        if (part.length < PART) continue;
        yield part;
        part = [];
      }
      yield part;
    },
  };
}

/** The entries from the first position on, commit by commit. A range may end within a commit, which cannot be decided again in part: one that no other follows is left out. */
function* commitsIn(folder: BundleFolder, manifest: Manifest, to: number): Generator<readonly Placed[]> {
  let commit: Placed[] = [];
  let next = 1;
  for (const one of entriesIn(folder, manifest)) {
    if (one.head.position !== next) return;
    if (commit[0] !== undefined && commit[0].head.base !== one.head.base) {
      yield commit;
      commit = [];
    }
    if (one.head.position > to) return;
    commit.push(one);
    next += 1;
  }
}

interface Placed {
  readonly head: Head;
  readonly entry: Buffer;
  /** The bytes of the delivery that the entry names; null: it names none, or they are not there. */
  readonly raw: Buffer | null;
}

/** All entries, in order. */
export function* entriesIn(folder: BundleFolder, manifest: Manifest): Generator<Placed> {
  for (const log of manifest.logs) {
    const deliveries = deliveriesOf(folder, manifest, log);
    for (const entry of folder.pairs(FILES.entries(log.log))) {
      const end = entry.indexOf(BREAK);
      // half of one is for whoever verifies to see
      if (end === -1) continue;
      const head: Head = JSON.parse(entry.toString("utf8", 0, end));
      yield { head, entry, raw: deliveryIn(deliveries, head.position, entry) };
    }
  }
}

const BREAK = 0x0a;

const NAMED = Buffer.from('"raw_sha256":"');

function deliveryIn(deliveries: Deliveries, position: number, entry: Buffer): Buffer | null {
  const at = entry.indexOf(NAMED) + NAMED.length;
  return at < NAMED.length ? null : deliveries.at(position, entry.toString("latin1", at, at + 64));
}
