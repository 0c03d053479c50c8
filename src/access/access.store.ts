import { type RawBuilder, sql } from "kysely";
import { type Attribution, recordAct } from "../audit/act.store.ts";
import type { Db } from "../db/database.ts";
import { endingSessions } from "../stations/stations.store.ts";
import type { Grant, Principal } from "./principal.ts";
import { APART, type MachineRole, type PersonRole, type Role } from "./role.ts";
import { hashToken, readToken, sameHash } from "./token.ts";

// People, machines and what each may. Every change is an act in the log of each site that it concerns, in the same transaction.

/** After so long without a request a session is over. */
export const IDLE_MINUTES = 15;
/** A session lasts no longer than a shift. */
export const SESSION_HOURS = 12;
/** After so many wrong passwords in a row nobody signs in as this person for a while. */
const WRONG_PASSWORDS = 5;
const LOCKED_MINUTES = 15;

export type AccessRefusal =
  | { readonly kind: "exists"; readonly what: string }
  | { readonly kind: "unknown"; readonly what: string }
  | { readonly kind: "apart"; readonly what: string }
  | { readonly kind: "own"; readonly what: string }
  | { readonly kind: "last"; readonly what: string };

/** Why something about people and machines was not done. */
export class AccessRefused extends Error {
  readonly refusal: AccessRefusal;
  constructor(refusal: AccessRefusal) {
    super(refusal.what);
    this.refusal = refusal;
  }
}

export async function isClaimed(db: Db): Promise<boolean> {
  const { rows } = await sql<{ claimed: boolean }>`select is_claimed() as claimed`.execute(db);
  return rows[0]?.claimed === true;
}

/** Whether somebody administers everything, able to sign in or not. */
export async function isAdministrator(db: Db, person: string): Promise<boolean> {
  const { rows } = await sql`select from person_grants where person = ${person} and role = 'admin' and site is null`.execute(db);
  return rows.length > 0;
}

/** Who administers everything and may sign in with a password of their own, which the host can give anew. */
export async function listOwnAdministrators(db: Db): Promise<readonly string[]> {
  const { rows } = await sql<{ person: string }>`select person from person_grants join people using (person) join person_standings s using (person)
    where role = 'admin' and site is null and issuer = 'local' and s.active order by person`.execute(db);
  return rows.map(({ person }) => person);
}

/**
 * What is done under a token. `acts`: something is asked for, which prolongs a session. `follows`: a program goes on reading, which is no act of a person: a session that nobody else uses is idle, and is over
 * when that is its limit. `takes`: what was asked for is still being handed out: as long as that takes, nobody need be there.
 */
export type Use = "acts" | "follows" | "takes";

/** Who a bearer token stands for; null: nobody, whatever the reason. */
export async function principalOf(db: Db, secret: Uint8Array, token: string, use: Use = "acts"): Promise<Principal | null> {
  const read = readToken(token);
  if (read === null) return null;
  const hash = hashToken(secret, token);
  return read.kind === "session" ? personOf(db, hash, use) : machineOf(db, read.id, hash);
}

async function personOf(db: Db, hash: Buffer, use: Use): Promise<Principal | null> {
  const { rows } = await sql<{ person: string; name: string; temporary: boolean; grants: readonly Grant[]; stale: boolean }>`
    select p.person, p.name, s.temporary and i.method = 'password' as temporary, i.seen_at < clock_timestamp() - interval '1 minute' as stale,
      coalesce((select jsonb_agg(jsonb_build_object('role', g.role, 'site', g.site)) from person_grants g where g.person = p.person), '[]') as grants
    from sign_ins i join people p using (person) join person_standings s using (person)
    where i.hash = ${hash} and i.ended_at is null and i.expires_at > clock_timestamp() and s.active
      and (${use === "takes"} or i.seen_at > clock_timestamp() - make_interval(mins => ${IDLE_MINUTES}))`.execute(db);
  const [row] = rows;
  if (row === undefined) return null;
  if (row.stale && use === "acts") await sql`update sign_ins set seen_at = clock_timestamp() where hash = ${hash}`.execute(db);
  return { kind: "person", id: row.person, name: row.name, grants: row.grants, session: hash.toString("hex"), mustChangePassword: row.temporary };
}

async function machineOf(db: Db, key: string, hash: Buffer): Promise<Principal | null> {
  const { rows } = await sql<{ machine: string; hash: Buffer; grants: readonly Grant[] }>`
    select m.machine, k.hash, coalesce((select jsonb_agg(jsonb_build_object('role', g.role, 'site', g.site, 'kind', g.kind)) from machine_grants g where g.machine = m.machine), '[]') as grants
    from api_keys k join machines m using (machine)
    where k.api_key = ${key} and k.revoked_at is null and k.expires_at > clock_timestamp() and m.active`.execute(db);
  const [row] = rows;
  return row === undefined || !sameHash(row.hash, hash) ? null : { kind: "machine", id: row.machine, key, grants: row.grants };
}

export interface KnownPerson {
  readonly person: string;
  readonly name: string;
  readonly issuer: string;
  readonly subject: string;
  readonly active: boolean;
}

export const readPerson = (db: Db, person: string): Promise<KnownPerson | null> => findPerson(db, sql`p.person = ${person}`);

/** By who vouches for them. */
export const readPersonOf = (db: Db, issuer: string, subject: string): Promise<KnownPerson | null> =>
  findPerson(db, sql`p.issuer = ${issuer} and p.subject = ${subject}`);

async function findPerson(db: Db, which: RawBuilder<unknown>): Promise<KnownPerson | null> {
  const { rows } =
    await sql<KnownPerson>`select p.person, p.name, p.issuer, p.subject, s.active from people p join person_standings s using (person) where ${which}`.execute(
      db,
    );
  return rows[0] ?? null;
}

/** What is kept of somebody who may sign in with a password; null: there is no such person, or none with a password. */
export async function readPassword(
  db: Db,
  person: string,
): Promise<{ readonly name: string; readonly password: string | null; readonly locked: boolean; readonly active: boolean } | null> {
  const { rows } = await sql<{ name: string; password: string | null; locked: boolean; active: boolean }>`
    select p.name, s.password, coalesce(s.locked_until > clock_timestamp(), false) as locked, s.active
    from people p join person_standings s using (person) where p.person = ${person} and p.issuer = 'local'`.execute(db);
  return rows[0] ?? null;
}

/** Counts a wrong password; says whether the person is locked out by it. */
export async function countWrongPassword(db: Db, person: string, from: string): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ locked: boolean }>`update person_standings set failed = case when failed + 1 >= ${WRONG_PASSWORDS} then 0 else failed + 1 end,
        locked_until = case when failed + 1 >= ${WRONG_PASSWORDS} then clock_timestamp() + make_interval(mins => ${LOCKED_MINUTES}) else locked_until end
      where person = ${person} returning coalesce(locked_until > clock_timestamp(), false) as locked`.execute(trx);
    const type = rows[0]?.locked === true ? "person.locked" : "sign-in.refused";
    await recordAtSites(
      trx,
      await sitesOfPerson(trx, person),
      { type, object: `person ${person}`, old: null, new: null },
      { actor: "signalbox", from, reason: null },
    );
  });
}

/** By what a person has proven who they are; the password as it was kept when it was tried. */
export type Proven = { readonly method: "password"; readonly password: string | null } | { readonly method: "oidc" };

/**
 * Lets a person in, under a token whose hash is given; null: they may not sign in any more, or their password is another one by now. That is asked behind the lock of their standing, which whoever
 * deactivates them or changes their password takes before ending their sessions: whichever comes first, no session outlives it.
 */
export async function signIn(
  db: Db,
  person: string,
  proven: Proven,
  hash: Uint8Array,
  from: string,
): Promise<{ readonly expiresAt: string; readonly temporary: boolean } | null> {
  const { method } = proven;
  const stands = proven.method === "oidc" ? sql`active` : sql`active and password = ${proven.password} and coalesce(locked_until <= clock_timestamp(), true)`;
  return db.transaction().execute(async (trx) => {
    const standing = await sql<{
      temporary: boolean;
    }>`update person_standings set failed = 0 where person = ${person} and ${stands} returning temporary`.execute(trx);
    if (standing.rows.length === 0) return null;
    const { rows } = await sql<{ expires_at: string }>`
      insert into sign_ins (hash, person, method, expires_at) values (${Buffer.from(hash)}, ${person}, ${method}, clock_timestamp() + make_interval(hours => ${SESSION_HOURS}))
      returning to_char(expires_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as expires_at`.execute(trx);
    await recordAtSites(
      trx,
      await sitesOfPerson(trx, person),
      { type: "person.signed-in", object: `person ${person}`, old: null, new: { method } },
      {
        actor: `person:${person}`,
        from,
        reason: null,
      },
    );
    return { expiresAt: rows[0]?.expires_at ?? "", temporary: method === "password" && standing.rows[0]?.temporary === true };
  });
}

export async function signOut(db: Db, person: string, session: string, from: string): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await sql`update sign_ins set ended_at = clock_timestamp() where hash = decode(${session}, 'hex') and ended_at is null`.execute(trx);
    await recordAtSites(
      trx,
      await sitesOfPerson(trx, person),
      { type: "person.signed-out", object: `person ${person}`, old: null, new: null },
      {
        actor: `person:${person}`,
        from,
        reason: null,
      },
    );
  });
}

export interface PersonView {
  readonly person: string;
  readonly name: string;
  readonly issuer: string;
  readonly subject: string;
  readonly active: boolean;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly grants: readonly { readonly role: string; readonly site: string | null; readonly grantedBy: string; readonly grantedAt: string }[];
}

const GRANTS_OF = (table: "person_grants" | "machine_grants", key: "person" | "machine", more = sql``) => sql`
  coalesce((select jsonb_agg(jsonb_build_object('role', g.role, 'site', g.site, ${more} 'grantedBy', g.granted_by, 'grantedAt', to_char(g.granted_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
    order by g.role, g.site) from ${sql.table(table)} g where g.${sql.ref(key)} = x.${sql.ref(key)}), '[]')`;

export async function listPeople(db: Db): Promise<readonly PersonView[]> {
  const { rows } = await sql<PersonView>`select x.person, x.name, x.issuer, x.subject, s.active, x.created_by as "createdBy",
      to_char(x.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "createdAt", ${GRANTS_OF("person_grants", "person")} as grants
    from people x join person_standings s using (person) order by x.person`.execute(db);
  return rows;
}

/** Puts on record at a site that is new who was known by then, and what each may there: their own acts are in the logs of the sites that there were. Nothing, where nobody is known. */
export async function recordKnown(trx: Db, site: string, by: Attribution): Promise<void> {
  const known = (table: "person_standings" | "machines", key: "person" | "machine", grants: "person_grants" | "machine_grants", more = sql`'{}'::jsonb`) => sql`
    select coalesce(jsonb_agg(${more} || jsonb_build_object(${key}::text, x.${sql.ref(key)}, 'active', x.active, 'roles',
      (select coalesce(jsonb_agg(g.role order by g.role), '[]') from ${sql.table(grants)} g where g.${sql.ref(key)} = x.${sql.ref(key)} and g.site is null)) order by x.${sql.ref(key)}), '[]')
    from ${sql.table(table)} x`;
  const kind = sql`coalesce((select jsonb_build_object('kind', g.kind) from machine_grants g where g.machine = x.machine and g.site is null and g.kind is not null), '{}')`;
  const { rows } = await sql<{ people: readonly unknown[]; machines: readonly unknown[] }>`
    select (${known("person_standings", "person", "person_grants")}) as people, (${known("machines", "machine", "machine_grants", kind)}) as machines`.execute(
    trx,
  );
  const made = rows[0];
  if (made === undefined || made.people.length + made.machines.length === 0) return;
  await recordAct(trx, site, { type: "access.known", object: `site ${site}`, old: null, new: made }, by);
}

export interface NewPerson {
  readonly person: string;
  readonly name: string;
  readonly issuer: string;
  readonly subject: string;
  /** argon2id; null: they sign in elsewhere. */
  readonly password: string | null;
  readonly temporary: boolean;
}

export async function createPerson(trx: Db, made: NewPerson, by: Attribution): Promise<void> {
  const { rows } = await sql`insert into people (person, issuer, subject, name, created_by)
    values (${made.person}, ${made.issuer}, ${made.subject}, ${made.name}, ${by.actor}) on conflict do nothing returning person`.execute(trx);
  if (rows.length === 0) throw new AccessRefused({ kind: "exists", what: `There is a person ${made.person}, or another one who signs in as this one does.` });
  await sql`insert into person_standings (person, password, temporary) values (${made.person}, ${made.password}, ${made.temporary})`.execute(trx);
  const { person, name, issuer, subject } = made;
  await recordAtSites(trx, null, { type: "person.created", object: `person ${person}`, old: null, new: { person, name, issuer, subject } }, by);
}

/** `instead`: of the password by which this was asked; false: it is another one by now, they are locked out, or may not sign in any more, and nothing was done. */
export async function setPassword(
  trx: Db,
  person: string,
  password: string,
  temporary: boolean,
  by: Attribution,
  instead: string | null = null,
): Promise<boolean> {
  const { rows } = await sql`update person_standings set password = ${password}, temporary = ${temporary}, failed = 0, locked_until = null
    where person = ${person} and (${instead}::text is null or (active and password = ${instead} and coalesce(locked_until <= clock_timestamp(), true))) returning person`.execute(
    trx,
  );
  if (rows.length === 0) return false;
  // whoever knew the old one is out
  await sql`update sign_ins set ended_at = clock_timestamp() where person = ${person} and ended_at is null`.execute(trx);
  await recordAtSites(
    trx,
    await sitesOfPerson(trx, person),
    { type: "person.password.changed", object: `person ${person}`, old: null, new: { temporary } },
    by,
  );
  return true;
}

/** Whoever is deactivated is out everywhere by the same commit: signed in nowhere, and at no station. */
export async function setPersonActive(trx: Db, person: string, active: boolean, by: Attribution): Promise<void> {
  const set = () => setActive(trx, person, active, by);
  await (active ? set() : endingSessions(trx, person, set));
}

async function setActive(trx: Db, person: string, active: boolean, by: Attribution): Promise<void> {
  await mustBe(trx, "people", "person", person);
  if (!active) await refuseLastAdmin(trx, person);
  await sql`update person_standings set active = ${active} where person = ${person}`.execute(trx);
  if (!active) await sql`update sign_ins set ended_at = clock_timestamp() where person = ${person} and ended_at is null`.execute(trx);
  await recordAtSites(
    trx,
    await sitesOfPerson(trx, person),
    { type: active ? "person.activated" : "person.deactivated", object: `person ${person}`, old: { active: !active }, new: { active } },
    by,
  );
}

/** What is granted to whom. */
export type Grantee = { readonly kind: "person"; readonly id: string } | { readonly kind: "machine"; readonly id: string };

/** `feeds`: of the role `feed`, which kind of status the machine brings. */
export async function grantRole(
  trx: Db,
  to: Grantee,
  role: PersonRole | MachineRole,
  site: string | null,
  by: Attribution,
  feeds: string | null = null,
): Promise<void> {
  const [table, key, of] = to.kind === "person" ? (["person_grants", "person", "people"] as const) : (["machine_grants", "machine", "machines"] as const);
  await mustBe(trx, of, key, to.id);
  if (by.actor === `person:${to.id}` && to.kind === "person") throw new AccessRefused({ kind: "own", what: "Nobody widens their own rights." });
  if (site !== null) await mustBe(trx, "sites", "site", site);
  if (to.kind === "person") await refuseChecking(trx, to.id, role, site);
  const [column, value] = to.kind === "machine" ? [sql`, kind`, sql`, ${feeds}`] : [sql``, sql``];
  const { rows } =
    await sql`insert into ${sql.table(table)} (${sql.ref(key)}, role, site, granted_by${column}) values (${to.id}, ${role}, ${site}, ${by.actor}${value})
    on conflict do nothing returning role`
      .execute(trx)
      .catch((error: unknown) => {
        if (error instanceof Error && "constraint" in error && error.constraint === "roles_that_check_each_other")
          throw new AccessRefused({ kind: "apart", what: `${to.id} holds a role that ${role} checks, or that checks it.` });
        throw error;
      });
  if (rows.length === 0) return feeds === null ? undefined : refuseOtherKind(trx, to.id, feeds, site);
  const made = { role, site, ...(feeds === null ? {} : { kind: feeds }) };
  await recordAtSites(trx, site === null ? null : [site], { type: "role.granted", object: `${to.kind} ${to.id}`, old: null, new: made }, by);
}

/** A feed brings one kind of status, wherever it is one. What it was granted before is granted. */
async function refuseOtherKind(trx: Db, machine: string, feeds: string, site: string | null): Promise<void> {
  const { rows } = await sql<{ kind: string | null; same: boolean }>`
    select kind, kind = ${feeds} and site is not distinct from ${site} as same from machine_grants where machine = ${machine} and role = 'feed'`.execute(trx);
  const other = rows.find(({ kind }) => kind !== feeds);
  if (other === undefined || rows.some(({ same }) => same)) return;
  throw new AccessRefused({
    kind: "apart",
    what: `${machine} is the feed of ${other.kind === null ? "no kind of status yet" : `kind ${other.kind}`}, and a feed brings one kind; revoke that first.`,
  });
}

/** Whoever may not perform somewhere any more is at no station there by the same commit. */
export async function revokeRole(trx: Db, from: Grantee, role: Role, site: string | null, by: Attribution): Promise<void> {
  const take = () => takeRole(trx, from, role, site, by);
  await (from.kind === "person" ? endingSessions(trx, from.id, take) : take());
}

async function takeRole(trx: Db, from: Grantee, role: Role, site: string | null, by: Attribution): Promise<void> {
  const [table, key] = from.kind === "person" ? (["person_grants", "person"] as const) : (["machine_grants", "machine"] as const);
  if (from.kind === "person" && role === "admin" && site === null) await refuseLastAdmin(trx, from.id);
  const { rows } =
    await sql`delete from ${sql.table(table)} where ${sql.ref(key)} = ${from.id} and role = ${role} and site is not distinct from ${site} returning role`.execute(
      trx,
    );
  if (rows.length === 0) throw new AccessRefused({ kind: "unknown", what: `grant of ${role} to ${from.id}` });
  await recordAtSites(trx, site === null ? null : [site], { type: "role.revoked", object: `${from.kind} ${from.id}`, old: { role, site }, new: null }, by);
}

export interface MachineView {
  readonly machine: string;
  readonly owner: string;
  readonly purpose: string;
  readonly active: boolean;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly grants: readonly (PersonView["grants"][number] & { readonly kind: string | null })[];
  readonly keys: readonly {
    readonly key: string;
    readonly createdAt: string;
    readonly createdBy: string;
    readonly expiresAt: string;
    readonly revokedAt: string | null;
  }[];
}

export async function listMachines(db: Db): Promise<readonly MachineView[]> {
  const { rows } = await sql<MachineView>`select x.machine, x.owner, x.purpose, x.active, x.created_by as "createdBy",
      to_char(x.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "createdAt", ${GRANTS_OF("machine_grants", "machine", sql`'kind', g.kind, `)} as grants,
      coalesce((select jsonb_agg(jsonb_build_object('key', k.api_key, 'createdBy', k.created_by,
        'createdAt', to_char(k.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'expiresAt', to_char(k.expires_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'revokedAt', to_char(k.revoked_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) order by k.created_at) from api_keys k where k.machine = x.machine), '[]') as keys
    from machines x order by x.machine`.execute(db);
  return rows;
}

export async function createMachine(
  trx: Db,
  { machine, owner, purpose }: { readonly machine: string; readonly owner: string; readonly purpose: string },
  by: Attribution,
): Promise<void> {
  await mustBe(trx, "people", "person", owner);
  const { rows } = await sql`insert into machines (machine, owner, purpose, created_by) values (${machine}, ${owner}, ${purpose}, ${by.actor})
    on conflict do nothing returning machine`.execute(trx);
  if (rows.length === 0) throw new AccessRefused({ kind: "exists", what: `There is a machine ${machine}.` });
  await recordAtSites(trx, null, { type: "machine.created", object: `machine ${machine}`, old: null, new: { machine, owner, purpose } }, by);
}

export async function setMachineActive(trx: Db, machine: string, active: boolean, by: Attribution): Promise<void> {
  await mustBe(trx, "machines", "machine", machine);
  await sql`update machines set active = ${active} where machine = ${machine}`.execute(trx);
  await recordAtSites(
    trx,
    null,
    { type: active ? "machine.activated" : "machine.deactivated", object: `machine ${machine}`, old: { active: !active }, new: { active } },
    by,
  );
}

export async function addKey(
  trx: Db,
  machine: string,
  key: { readonly id: string; readonly hash: Uint8Array; readonly days: number },
  by: Attribution,
): Promise<{ readonly expiresAt: string }> {
  await mustBe(trx, "machines", "machine", machine);
  const { rows } = await sql<{ at: string }>`insert into api_keys (api_key, machine, hash, created_by, expires_at)
    values (${key.id}, ${machine}, ${Buffer.from(key.hash)}, ${by.actor}, clock_timestamp() + make_interval(days => ${key.days}))
    returning to_char(expires_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at`.execute(trx);
  const expiresAt = rows[0]?.at ?? "";
  await recordAtSites(trx, null, { type: "api-key.created", object: `machine ${machine}`, old: null, new: { key: key.id, expiresAt } }, by);
  return { expiresAt };
}

export async function revokeKey(trx: Db, machine: string, key: string, by: Attribution): Promise<void> {
  const { rows } = await sql`update api_keys set revoked_at = clock_timestamp(), revoked_by = ${by.actor}
    where machine = ${machine} and api_key = ${key} and revoked_at is null returning api_key`.execute(trx);
  if (rows.length === 0) throw new AccessRefused({ kind: "unknown", what: `valid key ${key} of machine ${machine}` });
  await recordAtSites(trx, null, { type: "api-key.revoked", object: `machine ${machine}`, old: { key }, new: null }, by);
}

type ActOf = Parameters<typeof recordAct>[2];

/** Null: what concerns every site. */
async function recordAtSites(trx: Db, sites: readonly string[] | null, act: ActOf, by: Attribution): Promise<void> {
  const { rows } = await sql<{ site: string }>`select site from sites where ${sites}::text[] is null or site = any (${sites}::text[]) order by site`.execute(
    trx,
  );
  for (const { site } of rows) await recordAct(trx, site, act, by);
}

/** Where a person holds any role; null: everywhere. */
async function sitesOfPerson(trx: Db, person: string): Promise<readonly string[] | null> {
  const { rows } = await sql<{ site: string | null }>`select distinct site from person_grants where person = ${person}`.execute(trx);
  return rows.some(({ site }) => site === null) ? null : rows.flatMap(({ site }) => (site === null ? [] : [site]));
}

async function mustBe(trx: Db, table: "people" | "machines" | "sites", key: string, id: string): Promise<void> {
  const { rows } = await sql`select from ${sql.table(table)} where ${sql.ref(key)} = ${id}`.execute(trx);
  if (rows.length === 0) throw new AccessRefused({ kind: "unknown", what: `${key} ${id}` });
}

/** No two roles that check each other; the database refuses what two grants at once would bring about. */
async function refuseChecking(trx: Db, person: string, role: string, site: string | null): Promise<void> {
  const { rows } = await sql<{
    role: string;
  }>`select role from person_grants where person = ${person} and (site is null or ${site}::text is null or site = ${site})`.execute(trx);
  const other = rows.find((held) => APART.some(([a, b]) => (a === role && b === held.role) || (b === role && a === held.role)));
  if (other !== undefined)
    throw new AccessRefused({ kind: "apart", what: `${person} is ${other.role}; ${role} and ${other.role} check each other, so nobody is both.` });
}

async function refuseLastAdmin(trx: Db, person: string): Promise<void> {
  const { rows } = await sql<{ others: boolean; is: boolean }>`
    select exists (select from person_grants g join person_standings s using (person) where g.role = 'admin' and g.site is null and s.active and g.person <> ${person}) as others,
      exists (select from person_grants where person = ${person} and role = 'admin' and site is null) as is`.execute(trx);
  if (rows[0]?.is === true && rows[0].others !== true)
    throw new AccessRefused({ kind: "last", what: `${person} is the only administrator; make another first.` });
}
