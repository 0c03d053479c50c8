import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import type { Definition } from "./party.ts";
import { leftBy, periodOf, type Signing, signingBy, withoutKey, withoutKeys } from "./signing.ts";
import { type BranchName, eventBranches } from "./topics.ts";

interface SigningBranch extends BranchName {
  readonly signing: Signing;
}

/** A party at a site, and the revision of it that comes into force, if one does. */
interface Of {
  readonly site: string;
  readonly party: string;
  readonly definition: Definition | null;
}

/** What holds on the branches of a party, and on those that a revision of it is given: the last one who was given a branch counts. */
async function standsOn(trx: Db, { site, party, definition }: Of): Promise<readonly SigningBranch[]> {
  const given = JSON.stringify(definition === null ? [] : eventBranches(definition.may));
  const { rows } = await sql<SigningBranch>`
    select line, equipment, signing from signing_branches g
    where site = ${site} and (party = ${party} or exists (select from jsonb_to_recordset(${given}::jsonb) as b (line text, equipment text) where b.line = g.line and b.equipment = g.equipment))
    order by line, equipment`.execute(trx);
  return rows;
}

/** Locks the sources on whose branches it changes who signs, in the order and at the place at which commits lock them: before the site's head. Where nobody signs it locks nothing. */
export async function lockSigning(trx: Db, of: Of): Promise<void> {
  const branches = [...(await standsOn(trx, of)), ...(of.definition?.signing === undefined ? [] : eventBranches(of.definition.may))];
  if (branches.length === 0) return;
  await sql`select from sources s join jsonb_to_recordset(${named(branches)}::jsonb) as b (line text, equipment text) on s.line = b.line and s.equipment = b.equipment
    where s.site = ${of.site} order by s.source_key for update of s`.execute(trx);
}

/**
 * What the entry of an activation says about signing beside which revision it is, where it says anything. Replay goes by it: an activation of which nothing is said was one before any of it was so.
 */
export interface SigningAct {
  /** Its keys count while the party is valid, and no longer. */
  readonly keysInPeriod?: true;
  /** The branches that the party leaves, as line/equipment: nothing is believed there by its keys, and what had to be signed must be. */
  readonly left?: readonly string[];
}

export async function signingActOf(trx: Db, of: Of & { readonly definition: Definition }): Promise<SigningAct> {
  const { party, definition } = of;
  const left = leaving(await standsOn(trx, of), party, definition).filter(({ signing }) => signing.left !== true);
  return {
    ...(definition.signing === undefined || periodOf(definition) === null ? {} : { keysInPeriod: true }),
    ...(left.length === 0 ? {} : { left: left.map(({ line, equipment }) => `${line}/${equipment}`) }),
  };
}

/** The branches of a party that a revision of it does not name. */
function leaving(before: readonly SigningBranch[], party: string, { may }: Definition): readonly SigningBranch[] {
  const given = new Set(eventBranches(may).map(({ line, equipment }) => `${line}/${equipment}`));
  return before.filter(({ line, equipment, signing }) => signing.party === party && !given.has(`${line}/${equipment}`));
}

/**
 * A revision has come into force: from here on its keys count on its branches, and those of the revision before do not. That a party is given other branches opens none: whoever takes it away has not
 * said that nobody need sign there.
 */
export async function signByRevision(trx: Db, of: Of & { readonly definition: Definition }): Promise<void> {
  const before = await standsOn(trx, of);
  const { site, party, definition } = of;
  if (before.length === 0 && definition.signing === undefined) return;
  const signing = definition.signing === undefined ? null : signingBy(party, definition.signing, await readRevokedKeys(trx, site, party), periodOf(definition));
  const given = signing === null ? [] : eventBranches(definition.may).map((branch) => ({ ...branch, signing }));
  const left = leaving(before, party, definition).map((branch) => ({ ...branch, signing: leftBy(branch.signing) }));
  await put(trx, site, before, [...given, ...left]);
}

/** A key was revoked. */
export async function signWithoutKey(trx: Db, site: string, party: string, kid: string): Promise<void> {
  await change(trx, site, party, (signing) => withoutKey(signing, kid));
}

/** The party was revoked. */
export async function signByNobody(trx: Db, site: string, party: string): Promise<void> {
  await change(trx, site, party, withoutKeys);
}

async function change(trx: Db, site: string, party: string, to: (signing: Signing) => Signing): Promise<void> {
  const before = (await standsOn(trx, { site, party, definition: null })).filter(({ signing }) => signing.party === party);
  await put(
    trx,
    site,
    before,
    before.map((branch) => ({ ...branch, signing: to(branch.signing) })),
  );
}

/** The version of every source there rises: whoever judged by the keys before judges again. */
async function put(trx: Db, site: string, before: readonly BranchName[], now: readonly SigningBranch[]): Promise<void> {
  const touched = named([...before, ...now]);
  await sql`delete from signing_branches g using jsonb_to_recordset(${touched}::jsonb) as b (line text, equipment text)
    where g.site = ${site} and g.line = b.line and g.equipment = b.equipment`.execute(trx);
  await sql`insert into signing_branches (site, line, equipment, party, signing)
    select ${site}, b.line, b.equipment, b.signing ->> 'party', b.signing
    from jsonb_to_recordset(${JSON.stringify(now)}::jsonb) as b (line text, equipment text, signing jsonb)`.execute(trx);
  await sql`update sources s set version = s.version + 1 from (select distinct line, equipment from jsonb_to_recordset(${touched}::jsonb) as b (line text, equipment text)) b
    where s.site = ${site} and s.line = b.line and s.equipment = b.equipment`.execute(trx);
}

const named = (branches: readonly BranchName[]): string => JSON.stringify(branches.map(({ line, equipment }) => ({ line, equipment })));

/** The keys of a party that were ever revoked. */
export async function readRevokedKeys(db: Db, site: string, party: string): Promise<ReadonlySet<string>> {
  const { rows } = await sql<{ kid: string }>`select kid from party_key_revocations where site = ${site} and party = ${party}`.execute(db);
  return new Set(rows.map(({ kid }) => kid));
}
