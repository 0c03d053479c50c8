import { type Direction, isValid, type Party, type PartyKind, type Right, type Subject } from "./party.ts";
import { filtersOf, overlap } from "./topics.ts";

// Segregation of duties at the broker: what no party may be permitted, whoever approves it, and what an access review must see.

export const CONFLICTS = {
  EVENTS_AND_OUTCOMES: { refuses: true, meaning: "A party that publishes device events must not write outcomes." },
  VERIFIES_AND_APPROVES: { refuses: true, meaning: "A party that publishes verifications must not take them up as approved." },
  BEYOND_OWN_BRANCH: { refuses: true, meaning: "A device acts on one branch, its own; a gateway on branches that are named." },
  WILDCARD: { refuses: true, meaning: "A right reaches beyond what its party's kind may be given with +." },
  OUT_IS_THE_SERVICES: { refuses: true, meaning: "What the service decides is published by the service alone." },
  NOT_OF_THIS_KIND: { refuses: true, meaning: "A party of this kind does not do this." },
  READS_ALL_EVENTS: { refuses: true, meaning: "Nobody but the service reads the events of every equipment." },
  NO_TOPIC: { refuses: true, meaning: "A right names something that has no topic there." },
  RESERVED_NAME: { refuses: true, meaning: "Names that begin with signalbox- are the service's." },
  SHARED_IDENTITY: { refuses: true, meaning: "One user name at the broker stands for one party." },
  SHARED_SERVICE: {
    refuses: false,
    meaning: "A service of several sites is one user at the broker: what gives it more is for whoever answers for every site.",
  },
  OTHER_CREDENTIAL: { refuses: true, meaning: "A service of several sites has one credential, the same at each of them." },
  SHARED_BRANCH: { refuses: true, meaning: "Two parties publish events of one branch: nobody could tell which of them said what." },
  SHARED_KEY: { refuses: true, meaning: "A signing key, and its id, stand for one party and nothing else, for good." },
  REVOKED_KEY: { refuses: true, meaning: "A signing key that was revoked, by itself or with its party, never comes back." },
  INVALID_PERIOD: { refuses: true, meaning: "The validity ends before it begins." },
  EXPIRED: { refuses: false, meaning: "The party is active and no longer valid: the registry grants it nothing." },
  ORPHAN_OWNER: { refuses: false, meaning: "The person who answers for the party is not known, or not any more." },
  NO_CREDENTIAL: { refuses: false, meaning: "The party is active and no credential was issued to it." },
  OVERDUE_REVIEW: { refuses: false, meaning: "The party's rights were neither approved nor reviewed within a year." },
} as const satisfies Readonly<Record<string, { readonly refuses: boolean; readonly meaning: string }>>;

export type ConflictCode = keyof typeof CONFLICTS;

export interface Conflict {
  readonly code: ConflictCode;
  /** Whether the party cannot be approved or activated with it; otherwise it is for an access review to see. */
  readonly refuses: boolean;
  readonly sentence: string;
}

/** Topics on which only the service speaks (contract, section 3). */
const OUT: ReadonlySet<Subject> = new Set(["outcome", "verdict", "cursor", "reply", "checkpoint", "mirror", "broker"]);
/** What a device says of itself. */
const OF_DEVICES: ReadonlySet<Subject> = new Set(["event", "diag", "telemetry", "state"]);
/** Events by which something is verified. */
const VERIFICATIONS: ReadonlySet<string> = new Set(["signalbox.label.verified.v1", "signalbox.check.performed.v1"]);
/** Where what was verified stands as approved. */
const APPROVED: ReadonlySet<Subject> = new Set(["outcome", "mirror"]);
const DEVICES: ReadonlySet<PartyKind> = new Set(["device", "gateway"]);

const conflict = (code: ConflictCode, sentence: string): Conflict => ({ code, refuses: CONFLICTS[code].refuses, sentence });
const doing = (party: Party, direction: Direction, about: (right: Right) => boolean): readonly Right[] =>
  party.may.filter((right) => right.direction === direction && about(right));

/** What is wrong with a party by itself, and beside the other parties that are in force. `prefix` is the broker's; it changes nothing about what is in conflict. */
export function conflictsOf(party: Party, others: readonly Party[], prefix = ""): readonly Conflict[] {
  return [...byItself(party, prefix), ...besideOthers(party, others, prefix)];
}

function byItself(party: Party, prefix: string): readonly Conflict[] {
  const { kind, party: name, may, validFrom, validUntil } = party;
  const found: Conflict[] = [];
  const events = doing(party, "publish", ({ what }) => what === "event");
  if (events.length > 0 && doing(party, "publish", ({ what }) => what === "outcome").length > 0)
    found.push(conflict("EVENTS_AND_OUTCOMES", `${name} publishes events and writes outcomes: it could make a fact of its own word.`));
  const verifies = events.some(({ types }) => types === undefined || types.some((type) => VERIFICATIONS.has(type)));
  const approved = doing(party, "subscribe", ({ what }) => APPROVED.has(what));
  if (verifies && approved.length > 0)
    found.push(
      conflict(
        "VERIFIES_AND_APPROVES",
        `${name} publishes verifications${events.some(({ types }) => types === undefined) ? " (it may publish every type)" : ""} and reads ${approved[0]?.what}, where they stand as approved.`,
      ),
    );
  for (const right of may) found.push(...ofRight(party, right, prefix));
  if (kind === "device" && new Set(may.map(({ where }) => branchIn(where))).size > 1)
    found.push(conflict("BEYOND_OWN_BRANCH", `${name} is a device and has rights on more than one branch.`));
  if (/^signalbox-/i.test(name)) found.push(conflict("RESERVED_NAME", `${name} is a name of the service.`));
  if (validFrom !== null && validUntil !== null && Date.parse(validUntil) <= Date.parse(validFrom))
    found.push(conflict("INVALID_PERIOD", `${name} would be valid until ${validUntil}, and only from ${validFrom} on.`));
  found.push(...ofKeys(party));
  return found;
}

function ofKeys({ party, kind, signing }: Party): readonly Conflict[] {
  if (signing === undefined) return [];
  const found: Conflict[] = [];
  if (!DEVICES.has(kind)) found.push(conflict("NOT_OF_THIS_KIND", `${party} is a ${kind} and would sign events, which it does not publish.`));
  for (const one of ["kid", "publicKey"] as const)
    if (new Set(signing.keys.map((key) => key[one])).size < signing.keys.length)
      found.push(conflict("SHARED_KEY", `${party} would have ${one === "kid" ? "two keys of one id" : "one key twice"}.`));
  for (const { kid, validFrom, validUntil } of signing.keys)
    if (validFrom !== null && validUntil !== null && Date.parse(validUntil) <= Date.parse(validFrom))
      found.push(conflict("INVALID_PERIOD", `Key ${kid} of ${party} would be valid until ${validUntil}, and only from ${validFrom} on.`));
  return found;
}

/** A signing key that some revision of some party has or had, at whatever site; `revoked`: by itself or with its party, whatever else is said of that. */
export interface KeyOnRecord {
  readonly site: string;
  readonly party: string;
  readonly kid: string;
  readonly publicKey: string;
  readonly revoked: object | null;
}

/** What is wrong with the keys of a revision, by every key that there ever was. Of whom another one is, is told within a site alone. */
export function conflictsOfKeys({ site, party, signing }: Party, ever: readonly KeyOnRecord[]): readonly Conflict[] {
  const found: Conflict[] = [];
  const own = ever.filter((key) => key.site === site && key.party === party);
  for (const { kid, publicKey } of signing?.keys ?? []) {
    const same = ever.filter((key) => key.publicKey === publicKey);
    const other = same.find((key) => key.site !== site || key.party !== party);
    const renamed = own.find((key) => (key.kid === kid) !== (key.publicKey === publicKey));
    if (same.some(({ revoked }) => revoked !== null) || own.some((key) => key.kid === kid && key.revoked !== null))
      found.push(conflict("REVOKED_KEY", `Key ${kid} of ${party} was revoked.`));
    else if (other !== undefined)
      found.push(conflict("SHARED_KEY", `Key ${kid} of ${party} is or was a key of ${other.site === site ? other.party : "another party"} too.`));
    else if (renamed !== undefined)
      found.push(conflict("SHARED_KEY", `Key ${kid} of ${party} is not the one that was called so before, or was called ${renamed.kid}.`));
  }
  return found;
}

function ofRight({ kind, party, site }: Party, right: Right, prefix: string): readonly Conflict[] {
  const { direction, what, where } = right;
  const found: Conflict[] = [];
  const said = `${direction} ${what} ${inWords(where)}`;
  if (filtersOf(prefix, site, right).length === 0) found.push(conflict("NO_TOPIC", `${party} would ${said}, where nothing of the kind is said.`));
  if (kind !== "service") {
    if (direction === "publish" && OUT.has(what)) found.push(conflict("OUT_IS_THE_SERVICES", `${party} would ${said}; only the service does.`));
    if (direction === "publish" && OF_DEVICES.has(what) && !DEVICES.has(kind))
      found.push(conflict("NOT_OF_THIS_KIND", `${party} is no device and would ${said}.`));
    if (direction === "publish" && what === "cmd" && kind !== "mes") found.push(conflict("NOT_OF_THIS_KIND", `${party} is no MES and would ${said}.`));
    if (direction === "publish" && kind === "dashboard")
      found.push(conflict("NOT_OF_THIS_KIND", `${party} is a dashboard, which only reads, and would ${said}.`));
    if (direction === "subscribe" && what === "event" && wide(where)) found.push(conflict("READS_ALL_EVENTS", `${party} would ${said}.`));
    // the topics that the broker says of itself are the same for everybody; a device needs none of them
    if (direction === "publish" && wide(where)) found.push(conflict("WILDCARD", `${party} would ${said}: what is published is published on a named branch.`));
    if (DEVICES.has(kind) && (wide(where) || typeof where === "string" || "batch" in where))
      found.push(conflict("BEYOND_OWN_BRANCH", `${party} is a ${kind} and would ${said}, beyond its own branch.`));
    if (kind === "device" && typeof where === "object" && "devices" in where && (where.devices?.length ?? 0) > 0)
      found.push(conflict("BEYOND_OWN_BRANCH", `${party} is a device and would ${said}: devices behind it would make it a gateway.`));
  } else if (direction === "publish" && !OUT.has(what)) {
    found.push(conflict("NOT_OF_THIS_KIND", `${party} is the service and would ${said}; the service says only what it has decided.`));
  }
  if (right.types !== undefined && (direction !== "publish" || what !== "event"))
    found.push(conflict("NO_TOPIC", `${party} would ${said} of certain types only; only published events have types.`));
  return found;
}

/** Of another site nothing is told but that there is something: neither the site, nor what it calls its own, nor how many they are. */
function besideOthers(party: Party, others: readonly Party[], prefix: string): readonly Conflict[] {
  const found: Conflict[] = [...ofName(party, others)];
  const eventsOf = ({ site, may }: Party): readonly string[] =>
    may.flatMap((right) => (right.direction === "publish" && right.what === "event" ? filtersOf(prefix, site, right) : []));
  const own = eventsOf(party);
  for (const other of others) {
    if (other.site === party.site && other.party === party.party) continue;
    // what is published names its site, so two sites have no branch in common
    const shared = other.site === party.site ? eventsOf(other).find((filter) => own.some((mine) => overlap(mine, filter))) : undefined;
    if (shared !== undefined) found.push(conflict("SHARED_BRANCH", `${party.party} and ${other.party} both publish on ${shared}.`));
  }
  return found;
}

/** A service is one, whatever the number of its sites; anybody else is of one site. */
export function ofName({ site, party, kind }: Party, others: readonly Party[]): readonly Conflict[] {
  const namesakes = others.filter((one) => one.site !== site && one.party === party);
  if (namesakes.length === 0) return [];
  const shared = kind === "service" && namesakes.every((one) => one.kind === "service");
  return shared
    ? [conflict("SHARED_SERVICE", `${party} is a service of another site too: what gives it more is for whoever answers for every site.`)]
    : [conflict("SHARED_IDENTITY", `${party} is the name of a party of another site: at the broker they would be one.`)];
}

/** A service that comes into force at one more site, with another credential than the one that it has. */
export const otherCredential = ({ party }: Pick<Party, "party">): Conflict =>
  conflict(
    "OTHER_CREDENTIAL",
    `${party} has another credential here than at its other sites, or only here, or only there: issue one, which is for all of them.`,
  );

/** What is known of a party that is in force, beside its rights. */
export interface Standing {
  readonly credential: "none" | "issued" | "revoked";
  /** When its rights were last approved or reviewed. */
  readonly seenAt: string;
  /** Persons that are known; null: nobody keeps a list. */
  readonly people: ReadonlySet<string> | null;
  readonly nowMs: number;
}

const REVIEW_MS = 365 * 24 * 60 * 60 * 1000;

/** What an access review must see of an active party, beside what refuses it. */
export function toReview(party: Party, { credential, seenAt, people, nowMs }: Standing): readonly Conflict[] {
  const { party: name, owner, validUntil } = party;
  const found: Conflict[] = [];
  if (!isValid(party, nowMs) && validUntil !== null && Date.parse(validUntil) <= nowMs)
    found.push(conflict("EXPIRED", `${name} was valid until ${validUntil}.`));
  if (people !== null && !people.has(owner)) found.push(conflict("ORPHAN_OWNER", `${name} belongs to ${owner}, who is not known here.`));
  if (credential !== "issued") found.push(conflict("NO_CREDENTIAL", `${name} has no credential of ours; it may have a certificate.`));
  if (nowMs - Date.parse(seenAt) > REVIEW_MS) found.push(conflict("OVERDUE_REVIEW", `${name} was last approved or reviewed at ${seenAt}.`));
  return found;
}

const wide = (where: Right["where"]): boolean =>
  typeof where === "object" &&
  (where.line === "+" || ("batch" in where ? where.batch === "+" : where.equipment === "+" || (where.devices ?? []).includes("+")));

const branchIn = (where: Right["where"]): string =>
  typeof where === "string" ? where : "batch" in where ? `${where.line} ${where.batch}` : `${where.line}/${where.equipment}`;

export function inWords(where: Right["where"]): string {
  if (typeof where === "string") return "of the site";
  const line = where.line === "+" ? "every line" : `line ${where.line}`;
  if ("batch" in where) return `of ${where.batch === "+" ? "every batch" : `batch ${where.batch}`} on ${line}`;
  const devices = where.devices ?? [];
  const behind = devices.length === 0 ? "" : devices.includes("+") ? " and every device behind it" : ` and ${devices.join(", ")} behind it`;
  return `of ${where.equipment === "+" ? "every equipment" : where.equipment} on ${line}${behind}`;
}
