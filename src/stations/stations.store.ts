import { type RawBuilder, sql } from "kysely";
import { type AnsweredAct, type Attribution, recordAct } from "../audit/act.store.ts";
import { KeyReused, type RequestKey, readAnswer } from "../audit/request-key.store.ts";
import type { Db } from "../db/database.ts";
import { failure } from "../db/failure.ts";
import { safePosition } from "../db/position.ts";

// Stations, the devices that belong to them, and the sessions of people at them (docs/decisions/0015-stations.md). Every change is an act in the audit log and raises the station's version, so that a
// decision that was made in sight of what was before is not committed.

export interface Station {
  readonly site: string;
  readonly station: string;
  readonly line: string;
  readonly title: string | null;
  readonly idleSeconds: number;
  /** The sources that are at it now. */
  readonly devices: readonly string[];
  /** Who is at it now; null: nobody. */
  readonly session: OpenSession | null;
}

export interface OpenSession {
  readonly session: number;
  readonly person: string;
  readonly openedAt: string;
  readonly seenAt: string;
  /** When it ends of itself, unless something is heard before. */
  readonly idleAt: string;
}

export interface Session extends Omit<OpenSession, "idleAt"> {
  readonly station: string;
  /** null: it goes on. */
  readonly ended: { readonly at: string; readonly why: EndedWhy; readonly by: string; readonly position: number } | null;
}

export const ENDED_WHY = ["closed", "taken over", "idle"] as const;
export type EndedWhy = (typeof ENDED_WHY)[number];

export type Refusal =
  | { readonly because: "unknown"; readonly what: string }
  | { readonly because: "line"; readonly line: string }
  /** The device is at another station, and leaves that first. */
  | { readonly because: "bound"; readonly source: string; readonly station: string }
  | { readonly because: "not bound"; readonly source: string }
  /** Somebody else is at the station. */
  | { readonly because: "taken"; readonly session: OpenSession }
  /** It is not this session that is open. */
  | { readonly because: "other" }
  /** The person may not perform at the site, or not any more. */
  | { readonly because: "may not"; readonly person: string }
  /** It is another person's, and only a supervisor ends it. */
  | { readonly because: "not yours"; readonly person: string };

export type Answer<T> = { readonly kind: "done"; readonly replayed: boolean; readonly result: T } | ({ readonly kind: "refused" } & Refusal);

export interface Asked {
  readonly site: string;
  readonly station: string;
  readonly by: Attribution;
  readonly key: RequestKey | null;
}

type At = Pick<Asked, "site" | "station">;

const UTC = sql.raw(`'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`);
const utc = (time: ReturnType<typeof sql>) => sql<string>`to_char((${time}) at time zone 'utc', ${UTC})`;
const refused = (refusal: Refusal): { readonly kind: "refused" } & Refusal => ({ kind: "refused", ...refusal });
const done = <T>(result: T): Answer<T> => ({ kind: "done", replayed: false, result });
const under = (key: RequestKey | null): AnsweredAct | null => (key === null ? null : { asked: key, answer: { kind: "recorded" } });
/** What the service ends by its own rule. */
const OWN = "signalbox";

interface Locked {
  readonly line: string;
  readonly title: string | null;
  readonly idleSeconds: number;
}

const lockChanges = (trx: Db) => sql`select pg_advisory_xact_lock(hashtext('signalbox.stations'))`.execute(trx);

/**
 * Runs a change of a station, once under a key: whoever asks again is told by `again` how what was done, at a position, stands. Locks, in this order: changes of stations among themselves, the station,
 * then whatever `act` locks of sources, and with the act that goes on record the site's head; the route locks stations before everything else too.
 */
async function change<T>(
  db: Db,
  { site, station, key }: Pick<Asked, "site" | "station" | "key">,
  again: (trx: Db, position: number) => Promise<T>,
  act: (trx: Db, found: Locked | null) => Promise<Answer<T>>,
): Promise<Answer<T>> {
  return db.transaction().execute(async (trx): Promise<Answer<T>> => {
    await lockChanges(trx);
    const sites = await sql`select from sites where site = ${site}`.execute(trx);
    if (sites.rows.length === 0) return refused({ because: "unknown", what: `site ${site}` });
    const found = await sql<Locked>`
      select line, title, idle_seconds as "idleSeconds" from stations where site = ${site} and station = ${station} for update`.execute(trx);
    const before = await readAnswer(trx, site, key);
    if (before !== null) return { kind: "done", replayed: true, result: await again(trx, before.position) };
    return act(trx, found.rows[0] ?? null);
  });
}

const unknownStation = ({ site, station }: At): Answer<never> => refused({ because: "unknown", what: `station ${station} at site ${site}` });

const raise = (trx: Db, { site, station }: At) => sql`update stations set version = version + 1 where site = ${site} and station = ${station}`.execute(trx);

export interface Definition {
  readonly line: string;
  readonly title: string | null;
  readonly idleSeconds: number;
}

/** Registers a station, or changes what it is called and its idle limit, on record. Its line is for good. A session that is open keeps the limit under which it was opened. */
export async function registerStation(
  db: Db,
  asked: Asked,
  { line, title, idleSeconds }: Definition,
): Promise<Answer<{ readonly fresh: boolean; readonly station: Station }>> {
  const { site, station, by, key } = asked;
  const read = async (trx: Db, fresh: boolean) => ({ fresh, station: await mustBe(trx, asked) });
  return change(
    db,
    asked,
    (trx) => read(trx, false),
    async (trx, found) => {
      if (found !== null && found.line !== line) return refused({ because: "line", line: found.line });
      if (found !== null && found.title === title && found.idleSeconds === idleSeconds) return done(await read(trx, false));
      const act = { object: `station ${station}`, old: found, new: { station, line, title, idleSeconds } };
      if (found === null) {
        await sql`insert into stations (site, station, line, title, idle_seconds) values (${site}, ${station}, ${line}, ${title}, ${idleSeconds})`.execute(trx);
        await recordAct(trx, site, { type: "station.registered", ...act }, by, under(key));
      } else {
        await sql`update stations set title = ${title}, idle_seconds = ${idleSeconds}, version = version + 1 where site = ${site} and station = ${station}`.execute(
          trx,
        );
        await recordAct(trx, site, { type: "station.changed", ...act }, by, under(key));
      }
      return done(await read(trx, found === null));
    },
  );
}

/** Brings a device to a station, on record: from now on what it reports is done by whoever is at it. */
export async function bindDevice(db: Db, asked: Asked, source: string): Promise<Answer<Station>> {
  const { site, station, by, key } = asked;
  return onDevice(db, asked, source, async (trx, at) => {
    if (at !== null) return at.station === station ? done(await mustBe(trx, asked)) : refused({ because: "bound", source, station: at.station });
    const time = await nowAfter(trx, sql`select max(unbound_at) from station_devices where site = ${site} and source = ${source}`);
    const act = { type: "station.device.bound", object: `station ${station}`, old: null, new: { station, source, at: time } };
    await raiseSource(trx, site, source);
    await raise(trx, asked);
    const position = await recordAct(trx, site, act, by, under(key));
    await sql`insert into station_devices (site, source, position, station, bound_at) values (${site}, ${source}, ${position}, ${station}, ${time}::timestamptz)`.execute(
      trx,
    );
    return done(await mustBe(trx, asked));
  });
}

/** Takes a device from its station, on record: from now on what it reports is done by nobody in particular. */
export async function unbindDevice(db: Db, asked: Asked, source: string): Promise<Answer<Station>> {
  const { site, station, by, key } = asked;
  return onDevice(db, asked, source, async (trx, at) => {
    if (at?.station !== station) return refused({ because: "not bound", source });
    const time = await nowAfter(
      trx,
      sql`select bound_at + interval '1 microsecond' from station_devices where site = ${site} and source = ${source} and unbound_at is null`,
    );
    const act = { type: "station.device.unbound", object: `station ${station}`, old: { station, source }, new: { station, source, at: time } };
    await raiseSource(trx, site, source);
    await raise(trx, asked);
    const position = await recordAct(trx, site, act, by, under(key));
    await sql`update station_devices set unbound_at = ${time}::timestamptz, unbound_position = ${position}
      where site = ${site} and source = ${source} and unbound_at is null`.execute(trx);
    return done(await mustBe(trx, asked));
  });
}

/** Whoever judged an event of the source without knowing where it is judges anew. */
const raiseSource = (trx: Db, site: string, source: string) =>
  sql`update sources set version = version + 1 where site = ${site} and source = ${source}`.execute(trx);

async function onDevice(
  db: Db,
  asked: Asked,
  source: string,
  act: (trx: Db, at: { readonly station: string } | null) => Promise<Answer<Station>>,
): Promise<Answer<Station>> {
  return change(
    db,
    asked,
    (trx) => mustBe(trx, asked),
    async (trx, found) => {
      if (found === null) return unknownStation(asked);
      const { rows } = await sql`select from sources where site = ${asked.site} and source = ${source} for update`.execute(trx);
      if (rows.length === 0) return refused({ because: "unknown", what: `source ${source} at site ${asked.site}` });
      const at = await sql<{ station: string }>`
        select station from station_devices where site = ${asked.site} and source = ${source} and unbound_at is null`.execute(trx);
      const answer = await act(trx, at.rows[0] ?? null);
      return answer;
    },
  );
}

/** The database's time, and none before another that is there. */
async function nowAfter(trx: Db, other: ReturnType<typeof sql>): Promise<string> {
  const { rows } = await sql<{ now: string }>`select ${utc(sql`greatest(clock_timestamp(), (${other}))`)} as now`.execute(trx);
  return rows[0]?.now ?? "";
}

/**
 * A person comes to a station, on record. Whose session is open already is seen again by it; another's is taken over by whoever names it, and ends at the very instant at which the new one begins.
 */
export async function openSession(db: Db, asked: Asked, person: string, takesOver: number | null): Promise<Answer<Session>> {
  const { site, station, by, key } = asked;
  return change(
    db,
    asked,
    async (trx, position) => {
      // of those up to there the last one was open then
      const [was] = await readSessions(trx, asked, position + 1, 1);
      // a session is its person's: whoever else asks under the key asks for something else
      if (was?.person !== person) throw new KeyReused();
      return was;
    },
    async (trx, found) => {
      if (found === null) return unknownStation(asked);
      // asked again behind the lock that whoever takes it from them holds too
      if (!(await mayPerform(trx, site, person))) return refused({ because: "may not", person });
      const open = await endIfIdle(trx, asked, await readOpen(trx, asked));
      if (open?.person === person) {
        const act = { type: "session.continued", object: `station ${station}`, old: null, new: { station, session: open.session, at: open.now } };
        await sql`update station_sessions set seen_at = ${open.now}::timestamptz where site = ${site} and session = ${open.session}`.execute(trx);
        await raise(trx, asked);
        await recordAct(trx, site, act, by, under(key));
        return done(await mustBeSession(trx, asked));
      }
      if (open !== null && open.session !== takesOver) return refused({ because: "taken", session: open });
      if (open === null && takesOver !== null) return refused({ because: "other" });
      if (open !== null) await end(trx, asked, open, open.now, "taken over", by);
      const at = await nowIfOpen(trx, asked, open?.now ?? null);
      const idleSeconds = found.idleSeconds;
      await raise(trx, asked);
      const act = { type: "session.opened", object: `station ${station}`, old: null, new: { station, person, idleSeconds, at } };
      const session = await recordAct(trx, site, act, by, under(key));
      await sql`insert into station_sessions (site, session, station, person, idle_seconds, opened_at, seen_at)
        values (${site}, ${session}, ${station}, ${person}, ${idleSeconds}, ${at}::timestamptz, ${at}::timestamptz)`.execute(trx);
      return done(await mustBeSession(trx, asked));
    },
  );
}

/** When a session begins: at the instant at which the one before ended, where it was taken over; otherwise now, and not before any that was. */
const nowIfOpen = async (trx: Db, { site, station }: Asked, takenAt: string | null): Promise<string> =>
  takenAt ?? nowAfter(trx, sql`select max(ended_at) from station_sessions where site = ${site} and station = ${station}`);

/** Ends a session, on record: one's own, or as a supervisor anybody's. */
export async function endSession(db: Db, asked: Asked, session: number, anybodys: boolean): Promise<Answer<Session>> {
  const read = async (trx: Db): Promise<Session> => mustBeSession(trx, asked, session);
  return change(db, asked, read, async (trx, found) => {
    if (found === null) return unknownStation(asked);
    const before = await readSession(trx, asked, session);
    if (before === null) return refused({ because: "unknown", what: `session ${session} at station ${asked.station}` });
    if (!anybodys && asked.by.actor !== `person:${before.person}`) return refused({ because: "not yours", person: before.person });
    const open = await endIfIdle(trx, asked, await readOpen(trx, asked));
    if (open?.session === session) await end(trx, asked, open, open.now, "closed", asked.by, under(asked.key));
    return done(await read(trx));
  });
}

interface Open extends OpenSession {
  readonly isIdle: boolean;
  /** The database's time, behind everything that was heard of it. */
  readonly now: string;
}

async function readOpen(trx: Db, { site, station }: At): Promise<Open | null> {
  const { rows } = await sql<Omit<Open, "session"> & { session: string }>`
    select session::text as session, person, ${utc(sql`opened_at`)} as "openedAt", ${utc(sql`seen_at`)} as "seenAt", ${utc(sql`idle_at`)} as "idleAt", now >= idle_at as "isIdle", ${utc(sql`now`)} as now
    from (select *, seen_at + make_interval(secs => idle_seconds) as idle_at, greatest(clock_timestamp(), seen_at + interval '1 microsecond') as now
      from station_sessions where site = ${site} and station = ${station} and ended_at is null) as open`.execute(trx);
  const [row] = rows;
  return row === undefined ? null : { ...row, session: safePosition(row.session) };
}

/** What was idle for its limit ended at the instant at which that was reached; here that goes on record. */
async function endIfIdle(trx: Db, at: At, open: Open | null): Promise<Open | null> {
  if (open?.isIdle !== true) return open;
  await end(trx, at, open, open.idleAt, "idle", { actor: OWN, from: null, reason: "Nothing was heard of the station for its idle limit." });
  return null;
}

async function end(
  trx: Db,
  at: At,
  { session, person }: OpenSession,
  time: string,
  why: EndedWhy,
  by: Attribution,
  answered: AnsweredAct | null = null,
): Promise<void> {
  const { site, station } = at;
  await raise(trx, at);
  const act = { type: "session.ended", object: `station ${station}`, old: { session, person }, new: { station, session, why, at: time } };
  const position = await recordAct(trx, site, act, by, answered);
  await sql`update station_sessions set ended_at = ${time}::timestamptz, ended_position = ${position}, ended_why = ${why}, ended_by = ${by.actor}
    where site = ${site} and session = ${session}`.execute(trx);
}

export interface Overdue {
  /** How many sessions ended. */
  readonly ended: number;
  /** Stations whose session could not be ended; those of others were. */
  readonly failed: readonly { readonly site: string; readonly station: string; readonly error: unknown }[];
}

/** How many are looked at at once. */
const OVERDUE = 100;

/** Puts on record which sessions ended since nothing was heard, and ends those of people who may not perform there any more, should there be any. Throws where the database is away. */
export async function endOverdue(db: Db, sites: readonly string[] | null): Promise<Overdue> {
  let ended = 0;
  const failed = [];
  for (let behind: At = { site: "", station: "" }; ; ) {
    const { rows } = await sql<{ site: string; station: string }>`
      select s.site, s.station from station_sessions s
      where s.ended_at is null and (s.site, s.station) > (${behind.site}, ${behind.station}) and (${sites === null} or s.site = any(${sites ?? []}::text[]))
        and (s.seen_at + make_interval(secs => s.idle_seconds) <= clock_timestamp() or not ${mayPerformAt(sql`s.site`, sql`s.person`)})
      order by s.site, s.station limit ${OVERDUE}`.execute(db);
    for (const at of rows) {
      try {
        const answer = await change<boolean>(
          db,
          { ...at, key: null },
          async () => false,
          async (trx) => done(await endIfOver(trx, at)),
        );
        if (answer.kind === "done" && answer.result) ended += 1;
      } catch (error) {
        const { kind, known } = failure(error);
        if (known && kind === "everyone") throw error;
        failed.push({ ...at, error });
      }
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < OVERDUE) return { ended, failed };
    behind = last;
  }
}

/**
 * Does what may take from a person that they perform somewhere, and ends in the same transaction the sessions that they have there: from its commit on nothing is performed in them. Locks as whoever
 * opens a session does, and everything that it needs of stations before `take` locks anything.
 */
export async function endingSessions(trx: Db, person: string, take: () => Promise<void>): Promise<void> {
  await lockChanges(trx);
  const { rows } = await sql<{ site: string; station: string }>`
    select t.site, t.station from stations t
    where exists (select from station_sessions s where s.site = t.site and s.station = t.station and s.person = ${person} and s.ended_at is null)
    order by t.site, t.station for update of t`.execute(trx);
  await take();
  for (const at of rows) await endIfOver(trx, at);
}

/** Ends the session that is open at a station, if it was idle or its person may not perform there any more. */
async function endIfOver(trx: Db, at: At): Promise<boolean> {
  const open = await readOpen(trx, at);
  if (open === null) return false;
  if ((await endIfIdle(trx, at, open)) === null) return true;
  if (await mayPerform(trx, at.site, open.person)) return false;
  await end(trx, at, open, open.now, "closed", { actor: OWN, from: null, reason: `${open.person} may not perform here any more.` });
  return true;
}

const mayPerformAt = (
  site: RawBuilder<unknown>,
  person: RawBuilder<unknown>,
) => sql<boolean>`(exists (select from person_standings p where p.person = ${person} and p.active)
  and exists (select from person_grants g where g.person = ${person} and g.role in ('operator', 'supervisor') and (g.site is null or g.site = ${site})))`;

async function mayPerform(db: Db, site: string, person: string): Promise<boolean> {
  const { rows } = await sql<{ may: boolean }>`select ${mayPerformAt(sql`${site}`, sql`${person}`)} as may`.execute(db);
  return rows[0]?.may === true;
}

/** The stations of a site, or one of them, with what is at them now. */
export async function readStations(db: Db, site: string, station: string | null = null): Promise<readonly Station[]> {
  const { rows } = await sql<Omit<Station, "session"> & { session: OpenSession | null }>`
    select t.site, t.station, t.line, t.title, t.idle_seconds as "idleSeconds",
      array(select d.source from station_devices d where d.site = t.site and d.station = t.station and d.unbound_at is null order by d.source) as devices,
      (select jsonb_build_object('session', s.session, 'person', s.person, 'openedAt', ${utc(sql`s.opened_at`)}, 'seenAt', ${utc(sql`s.seen_at`)},
          'idleAt', ${utc(sql`s.seen_at + make_interval(secs => s.idle_seconds)`)})
        from station_sessions s where s.site = t.site and s.station = t.station and s.ended_at is null and clock_timestamp() < s.seen_at + make_interval(secs => s.idle_seconds)) as session
    from stations t where t.site = ${site} and (${station}::text is null or t.station = ${station}) order by t.station`.execute(db);
  return rows;
}

async function mustBe(db: Db, { site, station }: At): Promise<Station> {
  const [found] = await readStations(db, site, station);
  if (found === undefined) throw new Error(`station ${station} was registered and is not there`);
  return found;
}

type RawSession = Omit<Session, "session" | "ended"> & {
  readonly session: string;
  readonly endedAt: string | null;
  readonly endedWhy: EndedWhy | null;
  readonly endedBy: string | null;
  readonly endedPosition: string | null;
};

/** Sessions at a station, the last one first. */
export async function readSessions(db: Db, { site, station }: At, before: number | null, limit: number): Promise<readonly Session[]> {
  const { rows } = await sql<RawSession>`
    select session::text as session, station, person, ${utc(sql`opened_at`)} as "openedAt", ${utc(sql`seen_at`)} as "seenAt", ${utc(sql`ended_at`)} as "endedAt", ended_why as "endedWhy",
      ended_by as "endedBy", ended_position::text as "endedPosition"
    from station_sessions where site = ${site} and station = ${station} and (${before}::bigint is null or session < ${before}::bigint) order by session desc limit ${limit}`.execute(
    db,
  );
  return rows.map(({ endedAt, endedWhy, endedBy, endedPosition, ...row }) => ({
    ...row,
    session: safePosition(row.session),
    ended:
      endedAt === null || endedWhy === null || endedBy === null || endedPosition === null
        ? null
        : { at: endedAt, why: endedWhy, by: endedBy, position: safePosition(endedPosition) },
  }));
}

async function readSession(db: Db, at: At, session: number | null): Promise<Session | null> {
  const [last] = await readSessions(db, at, session === null ? null : session + 1, 1);
  return last === undefined || (session !== null && last.session !== session) ? null : last;
}

async function mustBeSession(db: Db, at: At, session: number | null = null): Promise<Session> {
  const found = await readSession(db, at, session);
  if (found === null) throw new Error(`a session at station ${at.station} is on record and is not there`);
  return found;
}
