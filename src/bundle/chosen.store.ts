import { sql } from "kysely";
import type { Hash } from "../audit/hash.ts";
import { proofReader } from "../audit/proofs.store.ts";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import { canonicalJson } from "../registry/canonical.ts";
import { type Beside, readBeside } from "./beside.store.ts";
import type { Exported } from "./export.store.ts";
import type { BundledLog, Chosen, Definition } from "./manifest.ts";
import { between } from "./tree-line.ts";

export interface ChosenEntry {
  readonly position: number;
  readonly bytes: Buffer;
  /** The delivery's bytes; null: none came, or nothing of it is kept. */
  readonly raw: Buffer | null;
}

/** What a bundle is made of, as of one moment. */
export interface ChosenRecord {
  /** The logs in which something was chosen, in order, each with its last checkpoint. */
  readonly logs: readonly (BundledLog & { readonly note: string; readonly positions: readonly number[]; readonly keys: readonly string[] })[];
  /** Those that are there, in order, a page at a time. */
  pages(positions: readonly number[]): AsyncIterable<readonly ChosenEntry[]>;
  /** The roots of the subtrees between leaves, one gap after the other. */
  roots(log: BundledLog, gaps: readonly Gap[]): Promise<readonly Hash[]>;
  /** What the batches named were bound to, with its content as it is hashed. */
  definitions(batches: readonly string[]): Promise<readonly (Definition & { readonly content: string })[]>;
  /** What deciding it again needs besides; null: it is not a record from its beginning. */
  readonly beside: Beside | null;
}

/** Leaves from one index to before another. */
export interface Gap {
  readonly begin: number;
  readonly end: number;
}

/** Nothing of a log can be proven whose entries or tiles are not all there. */
export class TreeTorn extends Error {}

/** Entries that are read at once; a delivery may weigh 256 KiB. */
const AT_ONCE = 128;

export async function readChosen<T>(db: Db, site: string, of: Chosen, made: Exported, use: (record: ChosenRecord) => Promise<T>): Promise<T> {
  return db
    .transaction()
    .setIsolationLevel("repeatable read")
    .setAccessMode("read only")
    .execute(async (trx) => {
      await sql`select set_config('idle_in_transaction_session_timeout', '0', true)`.execute(trx);
      const beside = "from" in of && of.from === 1 ? await readBeside(trx, site) : null;
      return use(await chosenRecord(trx, site, await positionsOf(trx, site, of, made), beside));
    });
}

async function positionsOf(db: Db, site: string, of: Chosen, made: Exported): Promise<readonly number[]> {
  if ("from" in of) {
    const range = Array.from({ length: of.to - of.from + 1 }, (_, i) => of.from + i);
    return [...range, made.position];
  }
  const { rows } = await sql<{ position: bigint }>`
    select position from audit_numbers where site = ${site} and batch = ${of.batch} and number <= ${made.entries} order by number`.execute(db);
  return [...rows.map(({ position }) => safePosition(position)), made.position];
}

async function chosenRecord(trx: Db, site: string, positions: readonly number[], beside: Beside | null): Promise<ChosenRecord> {
  const { rows } = await sql<{ log: number; origin: string; first: bigint; size: bigint; note: string; keys: string[] | null }>`
    select l.log, l.origin, l.first_position as first, c.size, c.note,
      (select array_agg(k.note order by k.log, k.size) from audit_checkpoints k where k.site = l.site and k.log <= l.log and strpos(k.note, E'\nkey ') > 0) as keys
    from audit_logs l join lateral (select size, note from audit_checkpoints c where c.site = l.site and c.log = l.log order by size desc limit 1) c on true
    where l.site = ${site} order by l.log`.execute(trx);
  const logs = rows.map(({ first, size, keys, ...row }, i) => {
    const begin = safePosition(first);
    const end = Math.min(begin + safePosition(size), Number(rows[i + 1]?.first ?? Number.POSITIVE_INFINITY));
    return { ...row, first: begin, size: safePosition(size), keys: keys ?? [], positions: positions.filter((position) => position >= begin && position < end) };
  });
  const readers = new Map(logs.map((log) => [log.log, proofReader(trx, site, log)]));
  return {
    beside,
    logs: logs.filter((log) => log.positions.length > 0),
    async *pages(wanted) {
      for (let i = 0; i < wanted.length; i += AT_ONCE) {
        const found = await sql<{ position: bigint; entry: Buffer; raw: Buffer | null }>`
          select e.position, e.entry, g.raw from audit_entries e left join signals g on g.site = e.site and g.position = e.position
          where e.site = ${site} and e.position = any(${wanted.slice(i, i + AT_ONCE)}::bigint[]) order by e.position`.execute(trx);
        yield found.rows.map(({ position, entry, raw }) => ({ position: safePosition(position), bytes: entry, raw }));
      }
    },
    async roots({ log }, gaps) {
      const subtrees = gaps.flatMap(({ begin, end }) => between(begin, end));
      const roots = subtrees.length === 0 ? [] : await readers.get(log)?.roots(subtrees);
      if (roots == null) throw new TreeTorn(`What log ${log} of site ${site} was signed over is not all there any more. Verify the record.`);
      return roots;
    },
    async definitions(batches) {
      const found = await sql<{ kind: Definition["kind"]; name: string; sha256: string; content: unknown }>`
        with of as (select * from batches where site = ${site} and batch = any(${batches}::text[]))
        select 'recipe' as kind, r.recipe || '@' || r.revision as name, encode(r.hash, 'hex') as sha256, r.content from recipes r
          where exists (select from of where of.recipe = r.recipe and of.revision = r.revision)
        union all
        select 'state machine', m.name || '@' || m.revision, encode(m.hash, 'hex'), m.content from state_machines m
          where exists (select from of where m.name || '@' || m.revision in (of.batch_machine, of.step_machine))
        order by 1, 2`.execute(trx);
      return found.rows.map(({ content, ...row }) => ({ ...row, content: canonicalJson(content) }));
    },
  };
}
