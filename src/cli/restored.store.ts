import { setTimeout as delay } from "node:timers/promises";
import { sql } from "kysely";
import { recordAct } from "../audit/act.store.ts";
import type { ToldBreak } from "../audit/breaks.file.ts";
import { type Db, openDatabase } from "../db/database.ts";
import { assertMigrated } from "../db/migrate.store.ts";
import { Said } from "./said.ts";

export interface RestoreAsked {
  /** null: every site of the database, since a backup has them all. */
  readonly site: string | null;
  /** null: the one after the backup's. */
  readonly generation: number | null;
  readonly reason: string;
  readonly by: string;
}

/** What a site's signer signed last. */
export interface SignedHead {
  readonly log: number;
  readonly size: number;
  /** Of the tree, in hexadecimal. */
  readonly root: string;
}

/** The signers' side of a restore, where their files are at hand. */
export interface SignersSide {
  /** Null: nothing was signed of the site. */
  headOf(site: string): Promise<SignedHead | null>;
  /** Told last, before the restore is committed: a signer that knows of a break which there is not has lost nothing. */
  tell(site: string, told: ToldBreak): Promise<void>;
}

export interface Restored {
  readonly site: string;
  readonly previous: number;
  readonly generation: number;
  /** The head as restored: everything up to it still stands. */
  readonly position: number;
  /** What the relay had published for certain; it publishes anew what lies behind. */
  readonly published: number;
  /** The audit log that begins with it, and its first entry: the restore itself. */
  readonly told: ToldBreak;
}

/** What else connects under the service's name does not decide anything. */
const HARMLESS = ["signalbox restored", "signalbox doctor", "signalbox migrate"];

/** A living service beats four times a second while it receives. */
const LOOK_AGAIN_MS = 1_500;

/**
 * The terms of a generation begin here: one that was given out after the backup was taken, to an owner that still runs somewhere, is never given out again.
 */
const TERMS = 1_000_000;

/**
 * Records that the database was restored from a backup, as its owner: a new generation, and a new audit log whose first entry says so. All sites or none; throws Said when it must not be.
 * `signers` is null where their files are not at hand: then the signers are still to be told.
 */
export async function recordRestore(ownerUrl: string, asked: RestoreAsked, signers: SignersSide | null): Promise<readonly Restored[]> {
  const { db, close } = openDatabase(ownerUrl, { max: 1, applicationName: "signalbox restored" });
  try {
    await assertMigrated(db);
    const sites = await sitesOf(db, asked.site);
    await refuseBesideAService(db, sites);
    return await db.transaction().execute(async (trx) => {
      const restored: Restored[] = [];
      for (const site of sites) restored.push(await restoreSite(trx, site, asked, (await signers?.headOf(site)) ?? null));
      for (const { site, told } of restored) await signers?.tell(site, told);
      return restored;
    });
  } finally {
    await close();
  }
}

async function sitesOf(db: Db, site: string | null): Promise<readonly string[]> {
  const { rows } = await sql<{ site: string }>`select site from public.sites order by site`.execute(db);
  const known = rows.map((row) => row.site);
  if (site === null) return known;
  if (!known.includes(site)) throw new Said(`There is no site ${site}; the database has ${known.join(", ") || "none"}.`);
  return [site];
}

/** A service that runs on the database has read what it was: it would go on as if nothing had happened. The term that is raised would end it, but it is better stopped before. */
async function refuseBesideAService(db: Db, sites: readonly string[]): Promise<void> {
  const sessions = async () => {
    const { rows } = await sql<{ pid: number; address: string | null }>`
      select pid, client_addr::text as address from pg_stat_activity
      where datname = current_database() and application_name ~ '^signalbox( |$)' and application_name <> all(${HARMLESS}) order by pid`.execute(db);
    return rows;
  };
  // those of a service that has just been stopped are seen a moment longer
  if ((await sessions()).length > 0) await delay(LOOK_AGAIN_MS);
  const [session] = await sessions();
  if (session !== undefined) {
    throw new Said(
      `A service is connected to this database (session ${session.pid}${session.address === null ? "" : ` from ${session.address}`}). Stop it first, record the restore, then start it.`,
    );
  }
  // a beat that came with the backup stands still; one that moves is a service's, whatever its sessions are called
  const beats = async (): Promise<ReadonlyMap<string, string>> => {
    const { rows } = await sql<{ shard: string; at: string }>`
      select b.shard, b.received_until::text as at from public.shard_beats b join public.shards s on s.shard = b.shard where s.site = any(${sites})`.execute(
      db,
    );
    return new Map(rows.map(({ shard, at }) => [shard, at]));
  };
  const before = await beats();
  await delay(LOOK_AGAIN_MS);
  for (const [shard, at] of await beats())
    if (before.get(shard) !== at) throw new Said(`A service owns the shard ${shard} now. Stop it first, record the restore, then start it.`);
}

/** Locks in the order of commits: the shards first, so that a commit in flight is over, then the site's head. */
async function restoreSite(trx: Db, site: string, asked: RestoreAsked, signed: SignedHead | null): Promise<Restored> {
  await sql`select shard from public.shards where site = ${site} order by shard for update`.execute(trx);
  const { rows } = await sql<{ position: number; previous: number; last: number; published: number }>`
    select s.position::float8 as position, s.generation as previous,
      greatest((select max(position) from public.signals g where g.site = s.site), (select max(position) from public.verdicts v where v.site = s.site), 0)::float8 as last,
      least(s.position, coalesce((select min(coalesce(c.position, 0)) from public.shards h left join public.relay_cursors c on c.shard = h.shard where h.site = s.site), 0))::float8 as published
    from public.sites s where s.site = ${site} for update of s`.execute(trx);
  const [head] = rows;
  if (head === undefined) throw new Error(`site ${site} was there and is gone`);
  const { position, previous, last, published } = head;
  if (position !== last) {
    throw new Said(
      `The record of site ${site} is not whole: its head stands at ${position}, and its last entry at ${last}. Restore a backup that was taken in one snapshot (pg_dump, pg_basebackup).`,
    );
  }
  const generation = asked.generation ?? previous + 1;
  if (generation <= previous) throw new Said(`Site ${site} is of generation ${previous} already; --generation says a higher one.`, 2);
  await sql`insert into public.restores (site, generation, previous, position, reason, recorded_by)
    values (${site}, ${generation}, ${previous}, ${position}, ${asked.reason}, ${asked.by})`.execute(trx);
  await sql`update public.sites set generation = ${generation} where site = ${site}`.execute(trx);
  await sql`update public.shards set term = greatest(term + 1, ${generation * TERMS}) where site = ${site}`.execute(trx);
  const told = await beginLog(trx, site, { previous, generation, position }, asked, signed);
  return { site, previous, generation, position, published, told };
}

/** The former log is broken off: what was signed of it behind the restored head stands nowhere any more, and the first entry of the next one says what it was. */
async function beginLog(
  trx: Db,
  site: string,
  { previous, generation, position }: { readonly previous: number; readonly generation: number; readonly position: number },
  { by, reason }: RestoreAsked,
  signed: SignedHead | null,
): Promise<ToldBreak> {
  const { rows } = await sql<{ last: number; at: string }>`
    select max(log) as last, to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at from public.audit_logs where site = ${site}`.execute(
    trx,
  );
  const last = rows[0]?.last ?? 0;
  // a backup may be older than the log that was signed last
  const log = Math.max(last, signed?.log ?? 0) + 1;
  const first = position + 1;
  const broken = signed ?? (await handedHead(trx, site));
  await sql`insert into public.audit_logs (site, log, generation, first_position, origin, why)
    values (${site}, ${log}, ${generation}, ${first}, ${`signalbox/${site}/${log}`}, 'restore')`.execute(trx);
  const act = { type: "record.restored", object: `site ${site}`, old: { generation: previous, signed: broken }, new: { generation, log, position } };
  await recordAct(trx, site, act, { actor: by, from: "signalbox restored", reason });
  return { log, first, generation, broken, by, reason, at: rows[0]?.at ?? "" };
}

/** What the backup itself knows to be signed, where the signer's files are elsewhere. */
async function handedHead(trx: Db, site: string): Promise<SignedHead | null> {
  const { rows } = await sql<{ log: number; size: number; root: string }>`
    select log, size::float8 as size, encode(root, 'hex') as root from public.audit_checkpoints where site = ${site} order by log desc, size desc limit 1`.execute(
    trx,
  );
  return rows[0] ?? null;
}
