import { hash } from "node:crypto";
import type { Party } from "./party.ts";
import { overlap, rightsByUser } from "./topics.ts";

// The registry as mosquitto's acl_file: the same registry gives the same bytes. Nothing applies to all users (`pattern`, or lines before the first `user`), and nothing is denied by a line
// of its own: who is not named may do nothing.

export interface CompiledAcl {
  readonly text: string;
  /** SHA-256 of everything below the header, in hexadecimal. */
  readonly sha256: string;
}

/** `revision`: what the registry was compiled from, such as `rtm1@1207` (site and position of the last change). */
export function mosquittoAcl(parties: readonly Party[], prefix: string, revision: string): CompiledAcl {
  const named = new Map<string, string[]>();
  for (const { site, party, revision: number, kind } of parties) named.set(party, [...(named.get(party) ?? []), `${kind} of site ${site}, revision ${number}`]);
  const body = [...rightsByUser(parties, prefix)].flatMap(([user, { publish, subscribe }]) => [
    ...(named.get(user) ?? []).sort().map((line) => `# ${line}`),
    `user ${user}`,
    ...subscribe.map((filter) => `topic read ${filter}`),
    ...publish.map((filter) => `topic write ${filter}`),
    "",
  ]);
  const text = body.map((line) => `${line}\n`).join("");
  const sha256 = hash("sha256", text, "hex");
  const header = [
    "# Who may do what at the broker, compiled out of Signalbox's registry of parties. Change the registry, not this file: what differs is reported as drift.",
    `# revision ${revision}`,
    `# sha256 of what follows: ${sha256}`,
    "",
  ];
  return { text: `${header.join("\n")}\n${text}`, sha256 };
}

/** How a broker's file differs from the registry, statement by statement. */
export interface Drift {
  /** What the broker permits or forbids and the registry does not know. */
  readonly more: readonly string[];
  /** What the registry grants and the broker does not. */
  readonly less: readonly string[];
}

export function driftBetween(registry: string, broker: string): Drift {
  const [ours, theirs] = [statementsIn(registry), statementsIn(broker)];
  return { more: [...theirs].filter((one) => !ours.has(one)).sort(), less: [...ours].filter((one) => !theirs.has(one)).sort() };
}

export const drifts = ({ more, less }: Drift): boolean => more.length + less.length > 0;

/**
 * Of a drift what one site is told: what its own parties may, and who may what on its topics, also where that is said of more than its own; but no name of another site, nor of another's party.
 * What is said of nobody's party and nobody's topics concerns everybody. `names`: of every site, those of its parties.
 */
export function driftAt(site: string, { more, less }: Drift, prefix: string, names: ReadonlyMap<string, ReadonlySet<string>>): Drift {
  const others = new Map([...names].filter(([other]) => other !== site));
  // a broker of one site has nothing to keep from it
  if (others.size === 0) return { more, less };
  const isOthers = (user: string): boolean => names.get(site)?.has(user) !== true && [...others.values()].some((theirs) => theirs.has(user));
  const told = (statements: readonly string[]): readonly string[] => {
    const own = statements.flatMap((statement) => {
      const [, user, said = "", filter = ""] = /^(?:user (.+?)|anonymous|everybody): ((?:topic|pattern) [a-z]+ (.*))$/s.exec(statement) ?? [];
      // its text could name anybody
      if (said === "") return ["unreadable: a line"];
      const reaches = overlap(filter, `${prefix}site/${site}/#`);
      const ofOther = siteIn(filter, prefix) !== site && filter.split("/").some((level) => others.has(level));
      if (ofOther || (user !== undefined && isOthers(user) && !reaches)) return [];
      return [user !== undefined && isOthers(user) ? `a user of another site: ${said}` : statement];
    });
    return [...new Set(own)].sort();
  };
  return { more: told(more), less: told(less) };
}

/** The site that a filter names; null: none, or more than one is meant. */
function siteIn(filter: string, prefix: string): string | null {
  const [levels, root] = [filter.split("/"), `${prefix}site`.split("/")];
  const site = levels[root.length];
  return site === undefined || /^[+#]/.test(site) || !root.every((level, i) => levels[i] === level || levels[i] === "+") ? null : site;
}

/**
 * The statements of an ACL file, each with whom it is about, however they are spaced or ordered; comments are none. Read as mosquitto reads it: words end at blanks and at nothing else,
 * what stands behind the last one is cut off, and a comment has its # at the very beginning. A line that mosquitto does not know keeps it from starting, so it is a statement too.
 */
function statementsIn(text: string): ReadonlySet<string> {
  const found = new Set<string>();
  let who = "anonymous";
  for (const raw of text.split("\n")) {
    const line = raw.replace(/[ \t\v\f\r]+$/, "");
    if (line === "" || line.startsWith("#")) continue;
    const [, word, rest = ""] = /^ *([^ ]+)(?: +(.*))?$/.exec(line) ?? [];
    if (word === "user" && rest !== "") {
      who = `user ${rest}`;
      continue;
    }
    if ((word !== "topic" && word !== "pattern") || rest === "") {
      found.add(`unreadable: ${line}`);
      continue;
    }
    const [, access = "readwrite", filter = ""] = /^(?:(readwrite|read|write|deny) +)?(.*)$/.exec(rest) ?? [];
    const about = word === "pattern" ? "everybody" : who;
    for (const one of access === "readwrite" ? ["read", "write"] : [access]) found.add(`${about}: ${word} ${one} ${filter}`);
  }
  return found;
}
