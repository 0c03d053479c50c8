// A site's record as a database holds it, in one snapshot.
import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import { DEFINITION_ACTS, definitionActs, readPublished } from "../registry/published.store.ts";
import type { Archived } from "./archived.ts";
import type { CommitBeforeLog, LoggedPosition, RecordedSite, RegisteredAtStart, SignalBeforeLog } from "./recorded.ts";

/** How much is read at once. */
const ENTRIES = 2_000;
const COMMITS = 200;

/** The migration that began the audit logs. */
const AUDIT_LOG = 10;

/** Runs `use` on one snapshot of the database, however long that takes and whatever is written meanwhile. */
export function inSnapshot<T>(db: Db, use: (trx: Db) => Promise<T>): Promise<T> {
  return db.transaction().setIsolationLevel("repeatable read").setAccessMode("read only").execute(use);
}

/** The sites that a database knows. */
export async function sitesIn(trx: Db): Promise<readonly string[]> {
  const { rows } = await sql<{ site: string }>`select site from sites order by site`.execute(trx);
  return rows.map(({ site }) => site);
}

/** What a record begins with was disposed of, and nobody has handed over its archives. */
export class DisposedOf extends Error {}

/** `archived`: what was disposed of, which stands in front. Throws DisposedOf where something was and it is not handed over. */
export async function recordedSite(trx: Db, site: string, archived: Archived | null = null): Promise<RecordedSite> {
  const { rows } = await sql<{ position: bigint; begins: bigint | null; older: boolean }>`
    select s.position, (select min(l.first_position) from audit_logs l where l.site = s.site) as begins,
      s.created_at < coalesce((select m.applied_at from migrations m where m.number = ${AUDIT_LOG}), 'infinity') as older
    from sites s where s.site = ${site}`.execute(trx);
  const [head] = rows;
  if (head === undefined) throw new Error(`there is no site ${site}`);
  const position = safePosition(head.position);
  const logBegins = safePosition(head.begins ?? BigInt(position) + 1n);
  const disposed = await disposedIn(trx, site);
  if (disposed > (archived?.through ?? 0))
    throw new DisposedOf(`Positions up to ${disposed} of site ${site} were disposed of: without their archives the record cannot be decided again.`);
  const acts = [...(archived === null ? [] : actsIn(archived)), ...(await readActs(trx, site))];
  const keys = await sql<{ source: string; key: string }>`select source, source_key::text as key from sources where site = ${site}`.execute(trx);
  return {
    site,
    position,
    logBegins,
    // in a log that is as old as its site every registration is an act
    registered: logBegins > 1 || head.older ? await registeredAtStart(trx, site, logBegins, acts) : { equipment: [], sources: [] },
    definitions: await readPublished(trx, site, definitionActs(acts.map(({ type, position, body }) => ({ type, object: body.object, position })))),
    sourceKeys: new Map(keys.rows.map(({ source, key }) => [source, key])),
    async *read() {
      if (logBegins > 1) yield* commitsBefore(trx, site, logBegins);
      if (archived !== null) yield* inParts(archived.entries());
      yield* entriesFrom(trx, site, Math.max(logBegins, (archived?.through ?? 0) + 1));
    },
  };
}

interface ActRow {
  readonly position: number;
  readonly type: string;
  readonly body: { readonly object: string; readonly old: unknown; readonly new: unknown };
}

/** Up to which position entries of a site were disposed of; 0: of none. */
export async function disposedIn(trx: Db, site: string): Promise<number> {
  const { rows } = await sql<{ through: bigint }>`select disposed_position(${site}) as through`.execute(trx);
  return safePosition(rows[0]?.through ?? 0n);
}

/** The same acts, out of archived entries. */
function* actsIn({ entries }: Archived): Generator<ActRow> {
  for (const { position, entry } of entries()) {
    const [, body = ""] = Buffer.from(entry.buffer, entry.byteOffset, entry.byteLength).toString().split("\n");
    if (!body.startsWith('{"signals":[{"ref":-1,"kind":"act"')) continue;
    const [signal] = JSON.parse(body).signals;
    if (REGISTERING.includes(signal.type)) yield { position, type: signal.type, body: signal.body };
  }
}

function* inParts(entries: Iterable<LoggedPosition>): Generator<readonly LoggedPosition[]> {
  let part: LoggedPosition[] = [];
  for (const one of entries) {
    part.push(one);
    if (part.length < ENTRIES) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}

const REGISTERING: readonly string[] = ["equipment.registered", "equipment.changed", "source.registered", "source.changed", ...DEFINITION_ACTS];

async function readActs(trx: Db, site: string): Promise<readonly ActRow[]> {
  const { rows } = await sql<ActRow>`
    select position::float8 as position, type, body from signals
    where site = ${site} and actor is not null and kind = 'act' and type = any(${REGISTERING}::text[]) order by position`.execute(trx);
  return rows;
}

/** What was registered when the log began: as it stands, with what the log's acts did to it taken back. */
async function registeredAtStart(trx: Db, site: string, logBegins: number, acts: readonly ActRow[]): Promise<RegisteredAtStart> {
  const equipment = await sql<{ equipment: string; line: string; class: string; title: string | null }>`
    select equipment, line, class, title from equipment where site = ${site} order by equipment`.execute(trx);
  const sources = await sql<RegisteredAtStart["sources"][number]>`
    select s.source, s.equipment, s.device, s.numbering, s.revoked,
      coalesce((select max(v.position) from verdicts v where v.site = s.site and v.source = s.source and v.code = 'IDN_UNKNOWN_PUBLISHER' and v.position < ${logBegins}), 0)::float8 as since
    from sources s where s.site = ${site} order by s.source_key`.execute(trx);
  const equipmentThen = new Map(equipment.rows.map((row) => [row.equipment, row]));
  const sourcesThen = new Map(sources.rows.map((row) => [row.source, row]));
  for (const { type, body } of acts.toReversed()) {
    const made = Object(body.new);
    if (type === "equipment.registered") {
      equipmentThen.delete(made.equipment);
      for (const { source, equipment: name, device } of sources.rows) if (name === made.equipment && device === null) sourcesThen.delete(source);
    } else if (type === "source.registered") sourcesThen.delete(made.source);
    else if (type === "equipment.changed") takeBack(equipmentThen, made.equipment, Object(body.old));
    else if (type === "source.changed") takeBack(sourcesThen, made.source, Object(body.old));
  }
  return { equipment: [...equipmentThen.values()], sources: [...sourcesThen.values()] };
}

function takeBack<T>(rows: Map<string, T>, name: string, old: Partial<T>): void {
  const row = rows.get(name);
  if (row !== undefined) rows.set(name, { ...row, ...old });
}

async function* entriesFrom(trx: Db, site: string, first: number): AsyncGenerator<readonly LoggedPosition[]> {
  const after = async (position: number): Promise<readonly LoggedPosition[]> => {
    const { rows } = await sql<Omit<LoggedPosition, "kind">>`
      select e.position::float8 as position, e.entry, g.raw from audit_entries e left join signals g on g.site = e.site and g.position = e.position
      where e.site = ${site} and e.position > ${position} order by e.position limit ${ENTRIES}`.execute(trx);
    return rows.map(({ position: at, entry, raw }) => ({ kind: "entry", position: at, entry, raw }));
  };
  yield* ahead(first - 1, after, (part) => part.at(-1)?.position);
}

/** Reads the next part while the last one is worked on. */
async function* ahead<T>(from: number, after: (position: number) => Promise<readonly T[]>, last: (part: readonly T[]) => number | undefined) {
  let next = after(from);
  for (;;) {
    const part = await next;
    const reached = last(part);
    if (reached === undefined) return;
    next = after(reached);
    // whoever stops reading here does not hear how this one ends
    next.catch(() => {});
    yield part;
  }
}

async function* commitsBefore(trx: Db, site: string, logBegins: number): AsyncGenerator<readonly CommitBeforeLog[]> {
  const after = async (position: number): Promise<readonly CommitBeforeLog[]> => {
    const { rows: commits } = await sql<{ first: number; last: number; time: string }>`
      select first_position::float8 as first, last_position::float8 as last, committed_at as time from commits
      where site = ${site} and first_position > ${position} and first_position < ${logBegins} order by first_position limit ${COMMITS}`.execute(trx);
    const from = commits[0]?.first ?? 0;
    const signals = await signalsBetween(trx, site, from, commits.at(-1)?.last ?? 0);
    let n = 0;
    return commits.map(({ first, last, time }) => {
      const own: SignalBeforeLog[] = [];
      for (let signal = signals[n]; signal !== undefined && signal.position <= last; signal = signals[n]) {
        own.push(signal);
        n += 1;
      }
      return { kind: "commit", base: first - 1, positions: last - first + 1, time, signals: own };
    });
  };
  yield* ahead(0, after, (part) => {
    const base = part.at(-1)?.base;
    return base === undefined ? undefined : base + 1;
  });
}

type StoredSignal = SignalBeforeLog["fields"] & Pick<SignalBeforeLog, "position" | "raw" | "code" | "refusedBy" | "source">;

async function signalsBetween(trx: Db, site: string, first: number, last: number): Promise<readonly SignalBeforeLog[]> {
  const { rows } = await sql<StoredSignal>`
    select g.position::float8 as position, g.kind, g.type, encode(g.digest, 'hex') as digest, g.topic, g.qos, g.retained, g.protocol, g.content_type, g.response_topic, g.user_properties,
      g.raw_length, encode(g.correlation_data, 'base64') as correlation_data, g.received_at, g.actor, g.body, g.raw, v.code, v.refused_by as "refusedBy",
      case when g.kind = 'event' and g.source_key is not null then g.source end as source
    from signals g left join verdicts v on v.site = g.site and v.position = g.position
    where g.site = ${site} and g.position between ${first} and ${last} order by g.position`.execute(trx);
  return rows.map(({ position, raw, code, refusedBy, source, ...fields }) => ({ position, raw, code, refusedBy, source, fields }));
}
