import { sql } from "kysely";
import { z } from "zod";
import { type AnsweredAct, type Attribution, recordAct } from "../audit/act.store.ts";
import { type RequestKey, readAnswer } from "../audit/request-key.store.ts";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import { type Conflict, conflictsOf, conflictsOfKeys, ofName, otherCredential } from "./conflicts.ts";
import { type Issued, issueCredential } from "./credentials.ts";
import { readKeysEver } from "./keys.store.ts";
import { type Definition, definitionSchema, isValid, type Party, type PartyState } from "./party.ts";
import { lockSigning, readRevokedKeys, signByNobody, signByRevision, signingActOf, signWithoutKey } from "./signing.store.ts";

/** A revision as it is on record, with everything that became of it. */
export interface Revision extends Party {
  readonly position: number;
  readonly state: PartyState;
  readonly proposed: Done;
  readonly approved: Done | null;
  readonly activated: Done | null;
  readonly revoked: (Done & { readonly reason: string }) | null;
}

interface Done {
  readonly by: string;
  readonly at: string;
  readonly position: number;
}

/** A party that is in force, whether or not it is valid at the moment. */
export interface ActiveParty extends Party {
  /** Of the act by which it was activated. */
  readonly position: number;
  /** What its password is held against; null: none was issued. */
  readonly verifier: string | null;
  readonly approvedBy: string;
  readonly approvedAt: string;
}

/** Why nothing was done. */
export type Refusal =
  | { readonly because: "unknown"; readonly what: string }
  /** Approving and activating is for persons who are known. */
  | { readonly because: "nobody" }
  | { readonly because: "self"; readonly proposer: string }
  /** Whoever proposed or approved a party does not review it. */
  | { readonly because: "own"; readonly party: string }
  /** It stands where this cannot follow. */
  | { readonly because: "state"; readonly state: PartyState }
  | { readonly because: "conflict"; readonly conflicts: readonly Conflict[] }
  | { readonly because: "digest"; readonly digest: string };

export type Answer<T> =
  | { readonly kind: "done"; readonly position: number; readonly replayed: boolean; readonly result: T }
  | ({ readonly kind: "refused" } & Refusal);

export const ACTS = {
  proposed: "party.proposed",
  approved: "party.approved",
  activated: "party.activated",
  revoked: "party.revoked",
  keyRevoked: "party.key.revoked",
  credential: "party.credential.issued",
  reviewed: "parties.reviewed",
} as const;

export const refused = (refusal: Refusal): { readonly kind: "refused" } & Refusal => ({ kind: "refused", ...refusal });
export const isPerson = (actor: string): boolean => /^person:\S/.test(actor);
export const under = (asked: RequestKey | null, answer: Readonly<Record<string, unknown>> = {}): AnsweredAct | null =>
  asked === null ? null : { asked, answer: { kind: "recorded", ...answer } };
/** What was done is told from the record itself; a password is not among it. */
const answerSchema = z.looseObject({ revision: z.int().optional() });

export interface Asked {
  readonly site: string;
  readonly party: string;
  readonly by: Attribution;
  readonly key: RequestKey | null;
  /** Whether they may do it at every site. Not said: they may not. */
  readonly everySite?: boolean;
}

/**
 * Runs a change of a party, once under a key: whoever asks again is told what came of it. The site's head is locked from the beginning on, since what is read here must hold when the act
 * goes on record. `before`: what has to be locked before it.
 */
export async function change<T>(
  db: Db,
  { site, key }: Pick<Asked, "site" | "key">,
  again: (trx: Db, answer: z.infer<typeof answerSchema>, position: number) => Promise<T>,
  act: (trx: Db) => Promise<Answer<T>>,
  before: (trx: Db) => Promise<void> = async () => {},
): Promise<Answer<T>> {
  return db.transaction().execute(async (trx): Promise<Answer<T>> => {
    // parties of two sites may be in conflict, so changes of all sites come one after the other; this lock comes before any other
    await sql`select pg_advisory_xact_lock(hashtext('signalbox.parties'))`.execute(trx);
    await before(trx);
    const { rows } = await sql`select from sites where site = ${site} for update`.execute(trx);
    if (rows.length === 0) return refused({ because: "unknown", what: `site ${site}` });
    const answer = await readAnswer(trx, site, key);
    if (answer !== null)
      return { kind: "done", position: answer.position, replayed: true, result: await again(trx, answerSchema.parse(answer.answer), answer.position) };
    return act(trx);
  });
}

export const done = <T>(position: number, result: T): Answer<T> => ({ kind: "done", position, replayed: false, result });

/** Proposes the next revision of a party, on record. What no party may be permitted is refused here already. */
export async function propose(db: Db, asked: Asked, definition: Definition): Promise<Answer<Revision>> {
  const { site, party, by, key } = asked;
  return change(
    db,
    { site, key },
    async (trx, { revision }) => mustBe(await readRevision(trx, site, party, revision ?? 0)),
    async (trx) => {
      const revisions = await readRevisions(trx, site, party);
      const revision = (revisions.at(-1)?.revision ?? 0) + 1;
      const proposed: Party = { site, party, revision, ...definition };
      const { conflicts, shared } = await standing(trx, proposed, asked);
      if (conflicts.length > 0) return refused({ because: "conflict", conflicts });
      const before = revisions.findLast(({ state }) => state === "active");
      const act = {
        type: ACTS.proposed,
        object: `party ${party}@${revision}`,
        old: before === undefined ? null : { revision: before.revision, content: definitionOf(before) },
        new: { party, revision, content: definition, ...forEverySite(shared) },
      };
      const position = await recordAct(trx, site, act, by, under(key, { revision }));
      await sql`insert into party_revisions (site, party, revision, position, content, proposed_by)
        values (${site}, ${party}, ${revision}, ${position}, ${JSON.stringify(definition)}::jsonb, ${by.actor})`.execute(trx);
      return done(position, mustBe(await readRevision(trx, site, party, revision)));
    },
  );
}

/** Approves what another person has proposed, on record. */
export async function approve(db: Db, asked: Asked, revision: number): Promise<Answer<Revision>> {
  const { site, party, by, key } = asked;
  return onRevision(db, asked, revision, "proposed", async (trx, found, shared) => {
    if (!isPerson(found.proposed.by) || !isPerson(by.actor)) return { because: "nobody" };
    if (found.proposed.by === by.actor) return { because: "self", proposer: by.actor };
    const position = await recordAct(trx, site, actOn(ACTS.approved, found, { proposedBy: found.proposed.by, ...forEverySite(shared) }), by, under(key));
    await sql`insert into party_approvals (site, party, revision, position, proposed_by, approved_by)
      values (${site}, ${party}, ${revision}, ${position}, ${found.proposed.by}, ${by.actor})`.execute(trx);
    return position;
  });
}

/** Puts an approved revision into force, in the place of the one before, on record. */
export async function activate(db: Db, asked: Asked, revision: number): Promise<Answer<Revision>> {
  const { site, party, by, key } = asked;
  return onRevision(db, asked, revision, "approved", async (trx, found, shared) => {
    if (!isPerson(by.actor)) return { because: "nobody" };
    const newer = (await readRevisions(trx, site, party)).some((one) => one.revision > revision && one.activated !== null && one.state !== "revoked");
    if (newer) return { because: "state", state: "replaced" };
    if (shared && !(await hasOneCredential(trx, site, party))) return { because: "conflict", conflicts: [otherCredential(found)] };
    const of = { site, party, definition: found };
    const said = { ...forEverySite(shared), ...(await signingActOf(trx, of)) };
    const position = await recordAct(trx, site, actOn(ACTS.activated, found, said), by, under(key));
    await sql`insert into party_activations (site, party, revision, position, activated_by)
      values (${site}, ${party}, ${revision}, ${position}, ${by.actor})`.execute(trx);
    await signByRevision(trx, of);
    return position;
  });
}

interface Stands {
  /** What stands against a revision beside all that is in force, and after all that was. */
  readonly conflicts: readonly Conflict[];
  /** Whether the party is a service of another site too. */
  readonly shared: boolean;
}

async function standing(trx: Db, party: Party, asked: Asked): Promise<Stands> {
  const beside = besideOfSites(conflictsOf(party, await readActive(trx)), asked);
  if (party.signing === undefined) return beside;
  return { ...beside, conflicts: [...beside.conflicts, ...conflictsOfKeys(party, await readKeysEver(trx))] };
}

/** The people of a site decide alone about what is theirs alone: what a service of several sites is given is for a person who answers for all of them. */
function besideOfSites(found: readonly Conflict[], { by, everySite = false }: Pick<Asked, "by" | "everySite">): Stands {
  const answers = everySite && isPerson(by.actor);
  return {
    conflicts: found.filter(({ code, refuses }) => refuses || (code === "SHARED_SERVICE" && !answers)),
    shared: found.some(({ code }) => code === "SHARED_SERVICE"),
  };
}

/** On record only where it was asked for. */
const forEverySite = (shared: boolean): Readonly<Record<string, true>> => (shared ? { everySite: true } : {});

/** Whether a party has the credential here that it has at its other sites: none, at all of them, is one too. */
async function hasOneCredential(trx: Db, site: string, party: string): Promise<boolean> {
  const { rows } = await sql<{ one: boolean }>`
    select coalesce(bool_and(o.verifier is not distinct from c.verifier), true) as one from parties_active o
    left join lateral (
      select verifier from party_credentials c where c.site = ${site} and c.party = ${party}
        and c.position > coalesce((select max(v.position) from party_revocations v where v.site = c.site and v.party = c.party), 0)
      order by c.position desc limit 1) c on true
    where o.party = ${party} and o.site <> ${site}`.execute(trx);
  return rows[0]?.one ?? true;
}

/** Changes a revision that stands where it must. Parties may have come beside it since it was proposed, so what is in conflict is asked again. */
async function onRevision(
  db: Db,
  asked: Asked,
  revision: number,
  from: PartyState,
  act: (trx: Db, found: Revision, shared: boolean) => Promise<number | Refusal>,
): Promise<Answer<Revision>> {
  const { site, party, key } = asked;
  const read = async (trx: Db): Promise<Revision> => mustBe(await readRevision(trx, site, party, revision));
  return change(
    db,
    { site, key },
    read,
    async (trx) => {
      const revisions = await readRevisions(trx, site, party);
      const found = revisions.find((one) => one.revision === revision);
      if (found === undefined) return refused({ because: "unknown", what: `revision ${revision} of party ${party} at site ${site}` });
      if (found.state !== from) return refused({ because: "state", state: found.state });
      const { conflicts, shared } = await standing(trx, found, asked);
      if (conflicts.length > 0) return refused({ because: "conflict", conflicts });
      const came = await act(trx, found, shared);
      return typeof came === "number" ? done(came, await read(trx)) : refused(came);
    },
    async (trx) => {
      if (from === "approved") await lockSigning(trx, { site, party, definition: await readRevision(trx, site, party, revision) });
    },
  );
}

const actOn = (type: string, { party, revision }: Revision, more: Readonly<Record<string, unknown>> | null) => ({
  type,
  object: `party ${party}@${revision}`,
  old: null,
  new: { party, revision, ...more },
});

/** Revokes a party with its credential and everything that was proposed for it, on record; by whom it may be. */
export async function revoke(db: Db, { site, party, by, key }: Asked, reason: string): Promise<Answer<readonly Revision[]>> {
  const read = (trx: Db): Promise<readonly Revision[]> => readRevisions(trx, site, party);
  const act = async (trx: Db): Promise<Answer<readonly Revision[]>> => {
    const revisions = await read(trx);
    const last = revisions.at(-1);
    if (last === undefined) return refused({ because: "unknown", what: `party ${party} at site ${site}` });
    if (last.state === "revoked") return refused({ because: "state", state: "revoked" });
    const before = revisions.find(({ state }) => state === "active")?.revision ?? null;
    const told = { type: ACTS.revoked, object: `party ${party}`, old: { revision: before }, new: { party } };
    const position = await recordAct(trx, site, told, { ...by, reason }, under(key));
    await sql`insert into party_revocations (site, party, position, reason, revoked_by) values (${site}, ${party}, ${position}, ${reason}, ${by.actor})`.execute(
      trx,
    );
    await signByNobody(trx, site, party);
    return done(position, await read(trx));
  };
  return change(db, { site, key }, read, act, (trx) => lockSigning(trx, { site, party, definition: null }));
}

/** Revokes one signing key of a party, for good and in every revision, on record. Like every taking away it needs no second person. */
export async function revokeKey(db: Db, { site, party, by, key }: Asked, kid: string, reason: string): Promise<Answer<readonly Revision[]>> {
  const read = (trx: Db): Promise<readonly Revision[]> => readRevisions(trx, site, party);
  const act = async (trx: Db): Promise<Answer<readonly Revision[]>> => {
    const revisions = await read(trx);
    if (!revisions.some(({ signing }) => signing?.keys.some((one) => one.kid === kid)))
      return refused({ because: "unknown", what: `key ${kid} of party ${party} at site ${site}` });
    if ((await readRevokedKeys(trx, site, party)).has(kid)) return refused({ because: "state", state: "revoked" });
    const told = { type: ACTS.keyRevoked, object: `key ${kid} of party ${party}`, old: null, new: { party, kid } };
    const position = await recordAct(trx, site, told, { ...by, reason }, under(key));
    await sql`insert into party_key_revocations (site, party, kid, position, reason, revoked_by)
      values (${site}, ${party}, ${kid}, ${position}, ${reason}, ${by.actor})`.execute(trx);
    await signWithoutKey(trx, site, party, kid);
    return done(position, await read(trx));
  };
  return change(db, { site, key }, read, act, (trx) => lockSigning(trx, { site, party, definition: null }));
}

/**
 * Issues a new credential to a party, in the place of the one before, on record: to a service of several sites at all of them at once, so that no site's takes the place of another's. The
 * password is in the first answer alone: whoever asks again under the same key gets none.
 */
export async function giveCredential(db: Db, asked: Asked, issue: () => Issued = issueCredential): Promise<Answer<{ readonly password: string | null }>> {
  const { site, party, by, key } = asked;
  return change<{ readonly password: string | null }>(
    db,
    { site, key },
    async () => ({ password: null }),
    async (trx) => {
      const revisions = await readRevisions(trx, site, party);
      const last = revisions.at(-1);
      if (last === undefined) return refused({ because: "unknown", what: `party ${party} at site ${site}` });
      if (last.state === "revoked") return refused({ because: "state", state: "revoked" });
      const namesakes = await readNamesakes(trx, site, party);
      const { conflicts, shared } = besideOfSites(ofName(revisions.find(({ state }) => state === "active") ?? last, namesakes), asked);
      if (conflicts.length > 0) return refused({ because: "conflict", conflicts });
      const { password, verifier } = issue();
      const bytes = Buffer.from(verifier);
      const { rows } = await sql<{ sha256: string }>`select encode(sha256(${bytes}::bytea), 'hex') as sha256`.execute(trx);
      const act = { type: ACTS.credential, object: `party ${party}`, old: null, new: { party, verifierSha256: rows[0]?.sha256, ...forEverySite(shared) } };
      const issueAt = async (at: string, who: Attribution, answered: AnsweredAct | null): Promise<number> => {
        const position = await recordAct(trx, at, act, who, answered);
        await sql`insert into party_credentials (site, party, position, verifier, issued_by) values (${at}, ${party}, ${position}, ${bytes}, ${by.actor})`.execute(
          trx,
        );
        return position;
      };
      // the address that was asked names this site
      const elsewhere = { ...by, from: by.from?.split(" ", 1)[0] ?? null };
      for (const namesake of namesakes) await issueAt(namesake.site, elsewhere, null);
      const position = await issueAt(site, by, under(key));
      return done(position, { password });
    },
    // whoever locks the heads of several sites does so in their order
    async (trx) => {
      const sites = [site, ...(await readNamesakes(trx, site, party)).map((one) => one.site)];
      await sql`select from sites where site = any(${sites}::text[]) order by site for update`.execute(trx);
    },
  );
}

/** The parties of other sites that are in force under a name. */
const readNamesakes = async (trx: Db, site: string, party: string): Promise<readonly ActiveParty[]> =>
  (await readActive(trx)).filter((one) => one.site !== site && one.party === party);

/** Every revision of a site's parties, or of one, by party and number. */
export async function readRevisions(db: Db, site: string, party: string | null = null): Promise<readonly Revision[]> {
  const { rows } = await sql<RevisionRow>`
    select r.party, r.revision, r.position, r.content, r.proposed_by, r.proposed_at,
      p.position as approved_position, p.approved_by, p.approved_at, a.position as activated_position, a.activated_by, a.activated_at,
      v.position as revoked_position, v.revoked_by, v.revoked_at, v.reason,
      exists (select from party_activations n where n.site = r.site and n.party = r.party and n.position > a.position) as replaced
    from party_revisions r
    left join party_approvals p on p.site = r.site and p.party = r.party and p.revision = r.revision
    left join party_activations a on a.site = r.site and a.party = r.party and a.revision = r.revision
    left join lateral (select * from party_revocations v where v.site = r.site and v.party = r.party and v.position > r.position order by v.position limit 1) v on true
    where r.site = ${site} and (${party}::text is null or r.party = ${party}) order by r.party, r.revision`.execute(db);
  return rows.map((row) => revisionOf(site, row));
}

interface RevisionRow {
  readonly party: string;
  readonly revision: number;
  readonly position: bigint;
  readonly content: unknown;
  readonly proposed_by: string;
  readonly proposed_at: string;
  readonly approved_position: bigint | null;
  readonly approved_by: string | null;
  readonly approved_at: string | null;
  readonly activated_position: bigint | null;
  readonly activated_by: string | null;
  readonly activated_at: string | null;
  readonly revoked_position: bigint | null;
  readonly revoked_by: string | null;
  readonly revoked_at: string | null;
  readonly reason: string | null;
  readonly replaced: boolean;
}

function revisionOf(site: string, row: RevisionRow): Revision {
  const at = (position: bigint | null, by: string | null, when: string | null): Done | null =>
    position === null ? null : { position: safePosition(position), by: by ?? "", at: when ?? "" };
  const [approved, activated] = [at(row.approved_position, row.approved_by, row.approved_at), at(row.activated_position, row.activated_by, row.activated_at)];
  const revocation = at(row.revoked_position, row.revoked_by, row.revoked_at);
  // what was replaced before the party was revoked stays replaced
  const replaced = activated !== null && row.replaced;
  const revoked = revocation === null || replaced ? null : { ...revocation, reason: row.reason ?? "" };
  const state = replaced ? "replaced" : revoked !== null ? "revoked" : activated !== null ? "active" : approved !== null ? "approved" : "proposed";
  const { party, revision } = row;
  const proposed = { by: row.proposed_by, at: row.proposed_at, position: safePosition(row.position) };
  return { site, party, revision, ...definitionSchema.parse(row.content), position: proposed.position, state, proposed, approved, activated, revoked };
}

const readRevision = async (db: Db, site: string, party: string, revision: number): Promise<Revision | null> =>
  (await readRevisions(db, site, party)).find((one) => one.revision === revision) ?? null;

function mustBe(revision: Revision | null): Revision {
  if (revision === null) throw new Error("a revision of a party is on record and is not there");
  return revision;
}

const definitionOf = ({ kind, owner, may, validFrom, validUntil, signing }: Definition): Definition => ({
  kind,
  owner,
  may,
  validFrom,
  validUntil,
  ...(signing === undefined ? {} : { signing }),
});

/** The parties in force, of every site or of some, by site and name; also those that are not valid at the moment. */
export async function readActive(db: Db, sites: readonly string[] | null = null): Promise<readonly ActiveParty[]> {
  const { rows } = await sql<{
    site: string;
    party: string;
    revision: number;
    position: bigint;
    content: unknown;
    verifier: Buffer | null;
    approvedBy: string;
    approvedAt: string;
  }>`
    select site, party, revision, position, content, verifier, approved_by as "approvedBy", approved_at as "approvedAt" from parties_active
    where ${sites === null} or site = any(${sites ?? []}::text[]) order by site, party`.execute(db);
  return rows.map(({ content, position, verifier, ...row }) => ({
    ...row,
    ...definitionSchema.parse(content),
    position: safePosition(position),
    verifier: verifier?.toString("utf8") ?? null,
  }));
}

/** The position of the last act at each site that changed who may do what; a site without any is not among them. */
export async function readChanged(db: Db): Promise<ReadonlyMap<string, number>> {
  const { rows } = await sql<{ site: string; position: bigint }>`
    select site, max(position) as position from (
      select site, position from party_activations union all select site, position from party_revocations union all select site, position from party_credentials
    ) as changes group by site order by site`.execute(db);
  return new Map(rows.map(({ site, position }) => [site, safePosition(position)]));
}

/**
 * The sites at which the registry speaks: where a party was ever active. It goes on speaking when the last one is revoked, which takes rights away and must not give everybody all of them.
 */
export async function readGoverned(db: Db, sites: readonly string[] | null = null): Promise<readonly string[]> {
  const { rows } = await sql<{ site: string }>`
    select distinct site from party_activations where ${sites === null} or site = any(${sites ?? []}::text[]) order by site`.execute(db);
  return rows.map(({ site }) => site);
}

/** By site, the names that are, or ever were to be, those of its parties. */
export async function readNames(db: Db): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const { rows } = await sql<{ site: string; names: readonly string[] }>`
    select s.site, array(select distinct r.party from party_revisions r where r.site = s.site) as names from sites s order by s.site`.execute(db);
  return new Map(rows.map(({ site, names }) => [site, new Set(names)]));
}

/** The registry as the broker must enforce it now. */
export interface InForce {
  readonly parties: readonly ActiveParty[];
  /** What it was read from: `rtm1@1207`, of each site with parties. */
  readonly revision: string;
}

export async function readInForce(db: Db, sites: readonly string[] | null, nowMs: number): Promise<InForce> {
  return db
    .transaction()
    .setIsolationLevel("repeatable read")
    .setAccessMode("read only")
    .execute(async (trx) => {
      const changed = [...(await readChanged(trx))].filter(([site]) => sites === null || sites.includes(site));
      const parties = (await readActive(trx, sites)).filter((party) => isValid(party, nowMs));
      return { parties, revision: changed.map(([site, position]) => `${site}@${position}`).join(" ") || "none" };
    });
}
