// Acts about parties, as far as they say by which keys events are signed.
import { z } from "zod";
import { definitionSchema } from "../parties/party.ts";
import { leftBy, periodOf, type Signing, signingBy, withoutKey, withoutKeys } from "../parties/signing.ts";
import { eventBranches } from "../parties/topics.ts";
import { listAt, type ProposedParty, type SiteRecord } from "./site-record.ts";

const { may, validFrom, validUntil, signing } = definitionSchema.shape;
/** What else a revision says is nothing to whoever judges. */
const content = z.object({ may, validFrom, validUntil, signing });
const proposed = z.object({ party: z.string(), revision: z.int(), content });
const activated = z.object({ party: z.string(), revision: z.int(), keysInPeriod: z.literal(true).optional(), left: z.array(z.string()).default([]) });
const revoked = z.object({ party: z.string() });
const keyRevoked = z.object({ party: z.string(), kid: z.string() });

const ACTS = {
  "party.proposed"(record, said) {
    const { party, revision, content } = proposed.parse(said);
    record.partyRevisions.set(`${party}@${revision}`, content);
    return null;
  },
  "party.activated"(record, said) {
    const { party, revision, keysInPeriod = false, left } = activated.parse(said);
    const definition = record.partyRevisions.get(`${party}@${revision}`);
    if (definition === undefined) return `party ${party}@${revision} comes into force and was not proposed`;
    return comesIntoForce(record, party, definition, { keysInPeriod, left });
  },
  "party.key.revoked"(record, said) {
    const { party, kid } = keyRevoked.parse(said);
    listAt(record.revokedKeys, party).push(kid);
    return changeSigning(record, party, (signing) => withoutKey(signing, kid));
  },
  "party.revoked": (record, said) => changeSigning(record, revoked.parse(said).party, withoutKeys),
} satisfies Readonly<Record<string, (record: SiteRecord, said: unknown) => string | null>>;

export const isPartyAct = (type: string | null): type is keyof typeof ACTS => type !== null && Object.hasOwn(ACTS, type);

/** What such an act changes; in words, what in it cannot be. As parties/signing.store.ts does it. */
export const applyPartyAct = (record: SiteRecord, type: keyof typeof ACTS, said: unknown): string | null => ACTS[type](record, said);

function comesIntoForce(
  record: SiteRecord,
  party: string,
  { may, signing: said, ...period }: ProposedParty,
  { keysInPeriod, left }: { readonly keysInPeriod: boolean; readonly left: readonly string[] },
): string | null {
  const given = eventBranches(may).map(({ line, equipment }) => `${line}/${equipment}`);
  const before = [...record.signing].flatMap(([branch, signing]) => (signing.party === party || given.includes(branch) ? [branch] : []));
  const closed = new Map<string, Signing>();
  // what is left without being named was open again, as it was before an activation named it
  for (const [branch, signing] of record.signing)
    if (signing.party === party && !given.includes(branch) && (signing.left === true || left.includes(branch))) closed.set(branch, leftBy(signing));
  const strange = left.find((branch) => !closed.has(branch));
  if (strange !== undefined) return `party ${party} leaves ${strange}, which it did not sign`;
  const signing = said === undefined ? null : signingBy(party, said, new Set(record.revokedKeys.get(party)), keysInPeriod ? periodOf(period) : null);
  put(record, before, new Map([...(signing === null ? [] : given.map((branch) => [branch, signing] as const)), ...closed]));
  return null;
}

function changeSigning(record: SiteRecord, party: string, to: (signing: Signing) => Signing): null {
  const before = [...record.signing].filter(([, signing]) => signing.party === party);
  put(record, [], new Map(before.map(([branch, signing]) => [branch, to(signing)])));
  return null;
}

function put(record: SiteRecord, gone: readonly string[], now: ReadonlyMap<string, Signing>): void {
  for (const branch of gone) record.signing.delete(branch);
  for (const [branch, signing] of now) record.signing.set(branch, signing);
  for (const branch of new Set([...gone, ...now.keys()]))
    for (const row of record.sources.values()) if (`${row.line}/${row.equipment}` === branch) row.version += 1;
}
