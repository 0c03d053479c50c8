import { createHash, type Hash as Hashing } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { sql } from "kysely";
import { type Attribution, recordAct } from "../audit/act.store.ts";
import { leafHash } from "../audit/hash.ts";
import { type RequestKey, readAnswer } from "../audit/request-key.store.ts";
import { walkTrail } from "../audit/trail.store.ts";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import { disposalOfBatch } from "../retention/disposed.store.ts";
import { type Chosen, EXPORTED, nameOf, type Selection } from "./manifest.ts";
import { itemAt, type ReadingCopy } from "./reading-copy.ts";

/** There is no such site, batch or range. */
export class NothingToExport extends Error {}
/** More was chosen than may be handed out at once. */
export class TooMuchToExport extends Error {}
/** The same was asked under the same key at the same time, and is on record. */
export class ExportedMeanwhile extends Error {}

export interface Exported {
  /** Of the export's own entry. */
  readonly position: number;
  /** How many entries there were: the numbers of the batch, the positions of the range, or what the search found. */
  readonly entries: number;
  /** SHA-256 over the leaf hashes of the entries, in order: what was handed out, in 32 bytes. */
  readonly digest: string;
  /** SHA-256 of the copy, byte by byte; null: what is handed out is a bundle, which contains the export's own entry. */
  readonly sha256: string | null;
  /** Nothing behind this position is in it. */
  readonly through: number;
}

export interface Exporting {
  readonly form: string;
  readonly copy?: ReadingCopy | null;
  readonly most?: number;
  /** Under which key it is asked, and what it takes to make the same file again. */
  readonly under?: { readonly asked: RequestKey; readonly about: unknown } | null;
}

/**
 * Puts an export on record, before anything of it is handed out: an access, which changes no batch's record. Its entry says how much there is and what it is, so nothing can be left
 * out without contradicting it. What is exported is read before the site's head is locked; behind the lock only what a batch was given meanwhile, so that nothing comes in between.
 */
export async function recordExport(
  db: Db,
  site: string,
  of: Selection,
  { form, copy = null, most = Number.POSITIVE_INFINITY, under = null }: Exporting,
  by: Attribution,
): Promise<Exported> {
  const { head, first } = await headOf(db, site, false);
  if ("batch" in of) {
    mayBeHandedOut(await lastNumber(db, site, of.batch), most);
    const disposal = await disposalOfBatch(db, site, of.batch, "positions");
    if (disposal !== null)
      throw new NothingToExport(`Of batch ${of.batch} entries were disposed of, as entry ${disposal.disposal} tells: they are in the archive.`);
  }
  if ("from" in of) {
    if (of.from < first || of.to > head || of.to < of.from) throw new NothingToExport(`Site ${site} has entries from position ${first} to ${head}.`);
    mayBeHandedOut(of.to - of.from + 1, most);
  }
  const account = new Account(copy);
  let behind = 0;
  const take = async (on: Db, through: number): Promise<void> => {
    for await (const { position, bytes, at } of selected(on, site, of, through, behind)) {
      account.take(position, bytes);
      behind = at;
      if ("search" in of) mayBeHandedOut(account.entries, most);
    }
  };
  await take(db, head);
  return db.transaction().execute(async (trx) => {
    const locked = await headOf(trx, site, true);
    if ((await readAnswer(trx, site, under?.asked ?? null)) !== null) throw new ExportedMeanwhile();
    let through = head;
    if ("batch" in of) {
      through = locked.head;
      await take(trx, through);
    }
    const entries = "batch" in of ? await lastNumber(trx, site, of.batch) : account.entries;
    if ("batch" in of && entries === 0) throw new NothingToExport(`There is no entry of a batch ${of.batch} at site ${site}.`);
    const made = { entries, ...account.close(entries) };
    const said = { form, ...made, ...("search" in of ? { search: of.search, through } : {}) };
    const answered = under === null ? null : { asked: under.asked, answer: { kind: "recorded" as const, made: { ...made, through }, about: under.about } };
    const position = await recordAct(trx, site, { type: EXPORTED, object: nameOf(of), old: null, new: said }, by, answered);
    return { position, ...made, through };
  });
}

/** The copy that was put on record. Holds no connection while whoever reads it is slow. Throws when what is read now is not what was put on record. */
export async function* handOut(db: Db, site: string, of: Selection, copy: ReadingCopy, made: Exported): AsyncGenerator<string> {
  const account = new Account(copy);
  yield copy.head;
  for await (const { position, bytes } of selected(db, site, of, made.through)) yield account.take(position, bytes);
  yield copy.foot(made);
  if (account.close(made.entries).sha256 !== made.sha256)
    throw new Error(`what was exported at position ${made.position} of site ${site} was changed meanwhile`);
}

/** Waits until everything up to a position is signed; false: it was not in time. Throws when nobody waits for it any more. */
export async function untilSigned(db: Db, site: string, position: number, waitMs: number, gone?: AbortSignal): Promise<boolean> {
  const options = gone === undefined ? {} : { signal: gone };
  for (const deadline = Date.now() + waitMs; (await signedUpTo(db, site)) < position; await delay(100, undefined, options))
    if (Date.now() > deadline) return false;
  return true;
}

/** What goes out, as far as it has got: how much, and its digests. */
class Account {
  entries = 0;
  private readonly leaves = createHash("sha256");
  private readonly file: Hashing | null;
  private readonly copy: ReadingCopy | null;

  constructor(copy: ReadingCopy | null) {
    this.copy = copy;
    this.file = copy === null ? null : createHash("sha256").update(copy.head);
  }

  /** Gives the entry's line in the copy. */
  take(position: number, bytes: Uint8Array): string {
    this.entries += 1;
    this.leaves.update(leafHash(bytes));
    const row = this.copy?.row(itemAt(position, bytes)) ?? "";
    this.file?.update(row);
    return row;
  }

  close(entries: number): { readonly digest: string; readonly sha256: string | null } {
    const digest = this.leaves.digest("hex");
    return { digest, sha256: this.file?.update(this.copy?.foot({ entries, digest }) ?? "").digest("hex") ?? null };
  }
}

function mayBeHandedOut(entries: number, most: number): void {
  if (entries > most) throw new TooMuchToExport(`There are more than ${most} entries.`);
}

async function headOf(db: Db, site: string, lock: boolean): Promise<{ readonly head: number; readonly first: number }> {
  const { rows } = await sql<{ position: bigint; first: bigint }>`
    select s.position, greatest(l.first_position, disposed_position(s.site) + 1) as first from sites s join audit_logs l on l.site = s.site and l.log = 1 where s.site = ${site} ${lock ? sql`for update of s` : sql``}`.execute(
    db,
  );
  const [row] = rows;
  if (row === undefined) throw new NothingToExport(`There is no site ${site}.`);
  return { head: safePosition(row.position), first: safePosition(row.first) };
}

async function lastNumber(db: Db, site: string, batch: string): Promise<number> {
  const { rows } = await sql<{ last: bigint }>`select coalesce(max(number), 0) as last from audit_numbers where site = ${site} and batch = ${batch}`.execute(
    db,
  );
  return safePosition(rows[0]?.last ?? 0n);
}

async function signedUpTo(db: Db, site: string): Promise<number> {
  const { rows } = await sql<{ signed: bigint }>`select signed_position(${site}) as signed`.execute(db);
  return safePosition(rows[0]?.signed ?? 0n);
}

interface SelectedEntry {
  readonly position: number;
  readonly bytes: Buffer;
  /** Where to go on behind it. */
  readonly at: number;
}

/** Entries that are read at once. */
const AT_ONCE = 200;
/** The entries of a selection up to a position, in order, a page at a time. */
async function* selected(db: Db, site: string, of: Selection, through: number, after = 0): AsyncGenerator<SelectedEntry> {
  if ("search" in of) {
    for await (const { position, entry } of walkTrail(db, { ...of.search, site, positions: { from: 1, to: through } }, "asc"))
      yield { position, bytes: entry, at: position };
    return;
  }
  for (let behind = after; ; ) {
    const page = await pageOf(db, site, of, through, behind);
    yield* page;
    behind = page.at(-1)?.at ?? behind;
    if (page.length < AT_ONCE) return;
  }
}

async function pageOf(db: Db, site: string, of: Chosen, through: number, after: number): Promise<readonly SelectedEntry[]> {
  const { rows } =
    "batch" in of
      ? await sql<{ position: bigint; entry: Buffer; at: bigint }>`
        select n.position, e.entry, n.number as at from audit_numbers n join audit_entries e on e.site = n.site and e.position = n.position
        where n.site = ${site} and n.batch = ${of.batch} and n.number > ${after} and n.position <= ${through} order by n.number limit ${AT_ONCE}`.execute(db)
      : await sql<{ position: bigint; entry: Buffer; at: bigint }>`
        select position, entry, position as at from audit_entries
        where site = ${site} and position >= ${of.from} and position > ${after} and position <= ${Math.min(of.to, through)} order by position limit ${AT_ONCE}`.execute(
          db,
        );
  return rows.map(({ position, entry, at }) => ({ position: safePosition(position), bytes: entry, at: safePosition(at) }));
}
