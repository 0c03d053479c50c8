import type { Direction, Party, Right } from "./party.ts";

// What each right means at a broker: the topic filters of the contract's section 3. Everything that enforces or compares rights takes them from here.

/** The filters of a right; none where the subject has no topic there. */
export function filtersOf(prefix: string, site: string, { what, where }: Pick<Right, "what" | "where">): readonly string[] {
  // the broker's own topics stand outside of every site, and behind no prefix
  if (what === "broker") return where === "site" ? ["$SYS/broker/#"] : [];
  const root = `${prefix}site/${site}`;
  if (where === "site") return what === "outcome" ? [`${root}/outcome`] : what === "checkpoint" ? [`${root}/audit/checkpoint`] : [];
  if ("batch" in where) {
    const branch = `${root}/line/${where.line}/batch/${where.batch}`;
    return what === "outcome" ? [`${branch}/outcome`] : what === "mirror" ? [`${branch}/state`] : [];
  }
  const branch = `${root}/line/${where.line}/eq/${where.equipment}`;
  switch (what) {
    case "cursor":
      return [`${branch}/cursor`, ...(where.devices ?? []).map((device) => `${branch}/device/${device}/cursor`)];
    case "reply":
      return [`${branch}/reply/#`];
    case "checkpoint":
    case "mirror":
      return [];
    default:
      return [`${branch}/${what}`];
  }
}

/** The branch of an equipment. */
export interface BranchName {
  readonly line: string;
  readonly equipment: string;
}

/** The branches on which a party publishes events, each once. A published right names its branch (conflict WILDCARD). */
export function eventBranches(may: readonly Right[]): readonly BranchName[] {
  const found = new Map<string, BranchName>();
  for (const { direction, what, where } of may) {
    if (direction !== "publish" || what !== "event" || typeof where === "string" || "batch" in where) continue;
    found.set(`${where.line}/${where.equipment}`, { line: where.line, equipment: where.equipment });
  }
  return [...found.values()];
}

/** Whether a topic is one that a filter means (MQTT 5, section 4.7). */
export function matches(filter: string, topic: string): boolean {
  const [wanted, levels] = [filter.split("/"), topic.split("/")];
  // what begins with $ is not meant by a wildcard in the first level
  if (topic.startsWith("$") && /^[+#]/.test(filter)) return false;
  for (const [i, level] of wanted.entries()) {
    if (level === "#") return true;
    if (i >= levels.length || (level !== "+" && level !== levels[i])) return false;
  }
  return wanted.length === levels.length;
}

/** Whether two filters have a topic in common. */
export function overlap(one: string, other: string): boolean {
  const [a, b] = [one.split("/"), other.split("/")];
  if (one.startsWith("$") !== other.startsWith("$")) return false;
  for (let i = 0; ; i += 1) {
    const [x, y] = [a[i], b[i]];
    if (x === "#" || y === "#") return true;
    if (x === undefined || y === undefined) return x === y;
    if (x !== y && x !== "+" && y !== "+") return false;
  }
}

/** What one user may do at the broker, as filters, each once and in order. */
export interface Rights {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/** The rights of every user out of the parties that are in force. A user of several sites has the rights of all of them. */
export function rightsByUser(parties: readonly Party[], prefix: string): ReadonlyMap<string, Rights> {
  const users = new Map<string, { readonly publish: Set<string>; readonly subscribe: Set<string> }>();
  for (const { site, party, may } of parties) {
    const own = users.get(party) ?? { publish: new Set(), subscribe: new Set() };
    users.set(party, own);
    for (const right of may) for (const filter of filtersOf(prefix, site, right)) own[right.direction].add(filter);
  }
  return new Map(
    [...users].sort(([a], [b]) => (a < b ? -1 : 1)).map(([user, { publish, subscribe }]) => [user, { publish: sorted(publish), subscribe: sorted(subscribe) }]),
  );
}

const sorted = (filters: Iterable<string>): readonly string[] => [...filters].sort();

/**
 * Whether a user may publish on a topic, or be given what is published there. Said right by right and topic by topic, without the compiler: what is compiled, and what the embedded
 * broker does, must agree with it.
 */
export function mayDo(parties: readonly Party[], prefix: string, user: string, direction: Direction, topic: string): boolean {
  return parties.some(
    ({ site, party, may }) =>
      party === user && may.some((right) => right.direction === direction && filtersOf(prefix, site, right).some((filter) => matches(filter, topic))),
  );
}
