import { hash } from "node:crypto";
import { sql } from "kysely";
import { recordAct } from "../audit/act.store.ts";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import { canonicalJson } from "../registry/canonical.ts";
import { type Conflict, conflictsOf, conflictsOfKeys, inWords, toReview } from "./conflicts.ts";
import { type KeyOfRevision, readKeysEver } from "./keys.store.ts";
import { ACTS, type Answer, type Asked, change, done, isPerson, type Revision, readActive, readRevisions, refused, under } from "./parties.store.ts";
import { type Definition, isValid, type Party, type PartyKind, type PartyState } from "./party.ts";
import { filtersOf } from "./topics.ts";

/** Where a signing key of a party stands. `early`: it is in force and not yet valid; `unused`: no revision in force has it. */
export const KEY_STATES = ["valid", "early", "expired", "unused", "revoked"] as const;

/** A signing key that any revision of a party ever had. */
export interface ReviewedKey {
  readonly kid: string;
  readonly publicKey: string;
  readonly state: (typeof KEY_STATES)[number];
  readonly validFrom: string | null;
  readonly validUntil: string | null;
  /** By itself, or with its party. */
  readonly revoked: { readonly by: string; readonly at: string; readonly reason: string } | null;
}

/** One party as a reviewer sees it: what it may do in words and in topics, who answers for it, who approved it, and what speaks against it. */
export interface ReviewedParty {
  readonly party: string;
  readonly kind: PartyKind;
  readonly owner: string;
  readonly revision: number;
  readonly state: PartyState;
  readonly may: readonly { readonly right: string; readonly topics: readonly string[]; readonly types: readonly string[] | null }[];
  readonly validFrom: string | null;
  readonly validUntil: string | null;
  /** By which keys it signs; absent: by none. */
  readonly signing?: Definition["signing"];
  /** Every key that it ever had, the oldest first; absent: it had none. */
  readonly keys?: readonly ReviewedKey[];
  readonly proposedBy: string;
  readonly approvedBy: string | null;
  readonly approvedAt: string | null;
  readonly activatedAt: string | null;
  readonly credential: { readonly state: "none" | "issued" | "revoked"; readonly issuedAt: string | null };
  readonly conflicts: readonly Conflict[];
}

export interface Review {
  readonly review: number;
  /** Of the report that was seen, in hexadecimal. */
  readonly digest: string;
  readonly parties: number;
  readonly conflicts: number;
  readonly finding: string;
  readonly by: string;
  readonly at: string;
}

export interface AccessReport {
  readonly site: string;
  readonly parties: readonly ReviewedParty[];
  /** SHA-256 over the parties as they are reported, in hexadecimal: what a reviewer signs off. */
  readonly digest: string;
  /** Reviews that were signed off, the last one first. */
  readonly history: readonly Review[];
}

/** Who may do what at a site, as of one moment; null: there is no such site. */
export async function readAccessReport(db: Db, site: string, prefix: string, nowMs: number): Promise<AccessReport | null> {
  return db
    .transaction()
    .setIsolationLevel("repeatable read")
    .setAccessMode("read only")
    .execute(async (trx) => {
      const { rows } = await sql`select from sites where site = ${site}`.execute(trx);
      return rows.length === 0 ? null : reportOf(trx, site, prefix, nowMs);
    });
}

async function reportOf(trx: Db, site: string, prefix: string, nowMs: number): Promise<AccessReport> {
  const history = await readReviews(trx, site);
  const active = await readActive(trx);
  const people = await readPeople(trx);
  const credentials = await readCredentials(trx, site);
  const keysEver = await readKeysEver(trx);
  const parties = counting(await readRevisions(trx, site)).map((revision) => {
    const credential = credentials.get(revision.party) ?? { state: "none" as const, issuedAt: null };
    const others = active.filter((one) => one.site !== site || one.party !== revision.party);
    const inForce = active.find((one) => one.site === site && one.party === revision.party)?.revision ?? null;
    const keys = keysOf(revision, keysEver, inForce, nowMs);
    return reviewed(revision, { credential, keys, keysEver }, others, prefix, { seenAt: history[0]?.at ?? null, people, nowMs });
  });
  return { site, parties, digest: hash("sha256", canonicalJson(parties), "hex"), history };
}

/** What a review is about: what is in force, or on its way. */
const IN_QUESTION: ReadonlySet<PartyState> = new Set(["active", "approved", "proposed"]);

/** Of each party the revision that counts: the active one, and the last where none is; beside the active one also what is on its way to follow it. */
function counting(revisions: readonly Revision[]): readonly Revision[] {
  return [...new Set(revisions.map(({ party }) => party))].flatMap((party) => {
    const own = revisions.filter((one) => one.party === party);
    const counts = own.filter(({ state }) => state === "active" || state === "approved" || state === "proposed");
    return counts.length > 0 ? counts : own.slice(-1);
  });
}

/** The keys that a party ever had, each once, as the revision in force says of it, or else the last one that had it. */
function keysOf({ site, party }: Party, ever: readonly KeyOfRevision[], inForce: number | null, nowMs: number): readonly ReviewedKey[] {
  const found = new Map<string, { readonly said: KeyOfRevision; readonly revoked: KeyOfRevision["revoked"] }>();
  for (const key of ever) {
    if (key.site !== site || key.party !== party) continue;
    const name = `${key.kid} ${key.publicKey}`;
    const known = found.get(name);
    found.set(name, { said: known?.said.revision === inForce ? known.said : key, revoked: known?.revoked ?? key.revoked });
  }
  return [...found.values()].map(({ said, revoked }) => {
    const { kid, publicKey, validFrom, validUntil } = said;
    const early = validFrom !== null && nowMs < Date.parse(validFrom);
    const inUse = isValid(said, nowMs) ? "valid" : early ? "early" : "expired";
    const state = revoked !== null ? "revoked" : said.revision === inForce ? inUse : "unused";
    return { kid, publicKey, state, validFrom, validUntil, revoked: revoked === null ? null : { by: revoked.by, at: revoked.at, reason: revoked.reason } };
  });
}

/** What a revision's keys are held against: not what was revoked of its own since it is in force, which needs no second look. */
const keysAgainst = ({ site, party, activated, state }: Revision, ever: readonly KeyOfRevision[]): readonly KeyOfRevision[] =>
  ever.filter(
    (key) => state !== "active" || key.site !== site || key.party !== party || key.revoked === null || key.revoked.position < (activated?.position ?? 0),
  );

function reviewed(
  revision: Revision,
  {
    credential,
    keys,
    keysEver,
  }: { readonly credential: ReviewedParty["credential"]; readonly keys: readonly ReviewedKey[]; readonly keysEver: readonly KeyOfRevision[] },
  others: readonly Party[],
  prefix: string,
  { seenAt, people, nowMs }: { readonly seenAt: string | null; readonly people: ReadonlySet<string> | null; readonly nowMs: number },
): ReviewedParty {
  const { site, party, kind, owner, state, may, validFrom, validUntil, signing, proposed, approved, activated } = revision;
  const approvedAt = approved?.at ?? null;
  const last =
    [seenAt, approvedAt]
      .filter((at) => at !== null)
      .sort()
      .at(-1) ?? proposed.at;
  const conflicts =
    state === "revoked" || state === "replaced"
      ? []
      : [
          ...conflictsOf(revision, others, prefix),
          ...conflictsOfKeys(revision, keysAgainst(revision, keysEver)),
          ...(state === "active" ? toReview(revision, { credential: credential.state, seenAt: last, people, nowMs }) : []),
        ];
  return {
    party,
    kind,
    owner,
    revision: revision.revision,
    state,
    may: may.map((right) => ({
      right: `${right.direction} ${right.what} ${inWords(right.where)}`,
      topics: filtersOf(prefix, site, right),
      types: right.types ?? null,
    })),
    validFrom,
    validUntil,
    ...(signing === undefined ? {} : { signing }),
    ...(keys.length === 0 ? {} : { keys }),
    proposedBy: proposed.by,
    approvedBy: approved?.by ?? null,
    approvedAt,
    activatedAt: activated?.at ?? null,
    credential,
    conflicts,
  };
}

/** Who may sign in; null: nobody does yet. */
async function readPeople(db: Db): Promise<ReadonlySet<string> | null> {
  const { rows } = await sql<{ person: string; active: boolean }>`select person, active from person_standings`.execute(db);
  return rows.length === 0 ? null : new Set(rows.flatMap(({ person, active }) => (active ? [`person:${person}`] : [])));
}

async function readCredentials(db: Db, site: string): Promise<ReadonlyMap<string, ReviewedParty["credential"]>> {
  const { rows } = await sql<{ party: string; revoked: boolean; issuedAt: string }>`
    select distinct on (c.party) c.party, c.issued_at as "issuedAt",
      exists (select from party_revocations v where v.site = c.site and v.party = c.party and v.position > c.position) as revoked
    from party_credentials c where c.site = ${site} order by c.party, c.position desc`.execute(db);
  return new Map(rows.map(({ party, revoked, issuedAt }) => [party, { state: revoked ? "revoked" : "issued", issuedAt }]));
}

async function readReviews(db: Db, site: string): Promise<readonly Review[]> {
  const { rows } = await sql<Omit<Review, "review"> & { readonly review: bigint }>`
    select review, encode(digest, 'hex') as digest, parties, conflicts, finding, reviewed_by as by, reviewed_at as at
    from party_reviews where site = ${site} order by review desc`.execute(db);
  return rows.map((row) => ({ ...row, review: safePosition(row.review) }));
}

/**
 * Signs a report off, on record: by a person, who names the digest of what they have seen, and only while it is what there is; and who has neither proposed nor approved any of what it reports.
 */
export async function signOff(
  db: Db,
  { site, by, key }: Omit<Asked, "party">,
  { digest, finding }: { readonly digest: string; readonly finding: string },
  prefix: string,
  nowMs: number,
): Promise<Answer<Review>> {
  const read = async (trx: Db, position: number): Promise<Review> => {
    const found = (await readReviews(trx, site)).find(({ review }) => review === position);
    if (found === undefined) throw new Error("an access review is on record and is not there");
    return found;
  };
  return change(
    db,
    { site, key },
    (trx, _answer, position) => read(trx, position),
    async (trx) => {
      if (!isPerson(by.actor)) return refused({ because: "nobody" });
      const report = await reportOf(trx, site, prefix, nowMs);
      const own = report.parties.find(({ state, proposedBy, approvedBy }) => IN_QUESTION.has(state) && (proposedBy === by.actor || approvedBy === by.actor));
      if (own !== undefined) return refused({ because: "own", party: own.party });
      if (report.digest !== digest) return refused({ because: "digest", digest: report.digest });
      const conflicts = report.parties.reduce((sum, one) => sum + one.conflicts.length, 0);
      const seen = { digest, parties: report.parties.length, conflicts, finding };
      const position = await recordAct(trx, site, { type: ACTS.reviewed, object: `parties of site ${site}`, old: null, new: seen }, by, under(key));
      await sql`insert into party_reviews (site, review, digest, parties, conflicts, finding, reviewed_by)
        values (${site}, ${position}, decode(${digest}, 'hex'), ${seen.parties}, ${conflicts}, ${finding}, ${by.actor})`.execute(trx);
      return done(position, await read(trx, position));
    },
  );
}
