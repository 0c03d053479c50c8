// Acts that a person signs: what the signature means, and which record it is about. Machines never sign, and nobody in particular cannot.

export interface SignedAct {
  /** The meaning of the signature (21 CFR 11.50(a)(3)), as a reader sees it beside the name. */
  readonly meaning: string;
  /** What is done, for the sentence that the signer is shown: `stop batch B-1`. */
  readonly does: string;
  /** Null: every site. */
  readonly site: string | null;
  /** Of a context lock: its site is that of its row, since its id does not tell it. */
  readonly lock?: string;
  /** In words: `batch B-1`. */
  readonly record: string;
  /** Where the record that it is about is read; its digest is taken of the answer, or is the one that the answer gives. */
  readonly read: string;
  /** Whose entity tag the act names, so that it is done only to what was seen; null: what it is about has none. */
  readonly tagged: string | null;
}

type Parts = Readonly<Record<string, string>>;
interface Rule {
  readonly path: RegExp;
  /** Null: with this body it is no act that is signed. */
  readonly of: (parts: Parts, body: Readonly<Record<string, unknown>>, address: string) => SignedAct | null;
}

const BATCH: Readonly<Record<string, readonly [does: string, meaning: string]>> = {
  stop: ["stop", "stopped"],
  abort: ["abort", "aborted"],
  amend: ["amend", "amendment authorised"],
  recommend: ["recommend for disposition", "recommended by production"],
  release: ["release", "released by quality"],
  conditional: ["release conditionally", "released by quality, conditionally"],
  reject: ["reject", "rejected by quality"],
};
const STEP: Readonly<Record<string, readonly [does: string, meaning: string]>> = {
  verify: ["verify", "verified"],
  skip: ["skip", "skipping authorised"],
  rework: ["have done again", "rework authorised"],
};
const GAP: Readonly<Record<string, string>> = { wait: "go on waiting for", skip: "give up what is missing in", rebase: "set anew" };
const EXCEPTION: Readonly<Record<string, readonly [string, string]>> = {
  continue: ["let go on what opened", "exception disposed of: continue"],
  rework: ["have done again the step of", "exception disposed of: rework"],
  abort: ["abort the step of", "exception disposed of: abort"],
};
const QUARANTINE: Readonly<Record<string, string>> = { reprocess: "have judged again", reject: "reject" };

const named = (table: Readonly<Record<string, readonly [string, string]>>, name: unknown): readonly [string, string] | null =>
  typeof name === "string" && Object.hasOwn(table, name) ? (table[name] ?? null) : null;

const RULES: readonly Rule[] = [
  {
    path: /^\/v1\/sites\/(?<site>[^/]+)\/batches\/(?<batch>[^/]+)\/commands$/,
    of({ site = "", batch = "" }, { command, revision }) {
      const said = named(BATCH, command);
      if (said === null) return null;
      const to = command === "amend" ? ` to revision ${String(revision)} of its recipe` : "";
      return { site, meaning: said[1], does: `${said[0]} batch ${batch}${to}`, record: `batch ${batch}`, ...ofBatch(site, batch) };
    },
  },
  {
    path: /^\/v1\/sites\/(?<site>[^/]+)\/batches\/(?<batch>[^/]+)\/steps\/(?<step>[^/]+)\/commands$/,
    of({ site = "", batch = "", step = "" }, { command }) {
      const said = named(STEP, command);
      if (said === null) return null;
      return { site, meaning: said[1], does: `${said[0]} step ${step} of batch ${batch}`, record: `batch ${batch}`, ...ofBatch(site, batch) };
    },
  },
  {
    path: /^\/v1\/gaps\/(?<id>[^/]+)\/resolution$/,
    of({ id = "" }, { action }) {
      const site = /^(.{1,64})\.\d{1,16}$/.exec(id)?.[1] ?? null;
      if (site === null || typeof action !== "string" || !Object.hasOwn(GAP, action)) return null;
      return {
        site,
        meaning: "gap resolved",
        does: `${GAP[action]} gap ${id}`,
        record: `gap ${id}`,
        read: `/v1/gaps?id=${encodeURIComponent(id)}`,
        tagged: null,
      };
    },
  },
  {
    path: /^\/v1\/sources\/(?<site>[^/]+)\/(?<line>[^/]+)\/(?<equipment>[^/]+)(?:\/(?<device>[^/]+))?\/succession$/,
    of({ site = "", line = "", equipment = "", device }) {
      const at = `/v1/sources/${[site, line, equipment, ...(device === undefined ? [] : [device])].join("/")}`;
      const source = `source ${[equipment, ...(device === undefined ? [] : [device])].join(", device ")}`;
      return { site, meaning: "succession authorised", does: `let ${source} be followed by another`, record: source, read: at, tagged: at };
    },
  },
  {
    path: /^\/v1\/quarantine\/(?<id>[^/]+)\/resolution$/,
    of({ id = "" }, { action }) {
      const site = /^(.{1,64})\.\d+\.\d+$/.exec(id)?.[1] ?? null;
      if (site === null || typeof action !== "string" || !Object.hasOwn(QUARANTINE, action)) return null;
      return { site, meaning: "quarantine resolved", does: `${QUARANTINE[action]} event ${id}`, record: `event ${id}`, read: `/v1/events/${id}`, tagged: null };
    },
  },
  {
    path: /^\/v1\/exceptions\/(?<id>[^/]+)\/resolution$/,
    of({ id = "" }, { disposition }) {
      const site = /^(.{1,64})\.\d{1,15}\.\d{1,4}$/.exec(id)?.[1] ?? null;
      const said = named(EXCEPTION, disposition);
      if (site === null || said === null) return null;
      return {
        site,
        meaning: said[1],
        does: `${said[0]} exception ${id}`,
        record: `exception ${id}`,
        read: `/v1/exceptions?id=${encodeURIComponent(id)}`,
        tagged: null,
      };
    },
  },
  {
    path: /^\/v1\/context-locks\/(?<id>[^/]+)\/takeover$/,
    of({ id = "" }) {
      const read = `/v1/context-locks?id=${encodeURIComponent(id)}`;
      return { site: null, lock: id, meaning: "take-over authorised", does: "take over", record: `lock ${id}`, read, tagged: null };
    },
  },
  {
    path: /^\/v1\/audit\/sites\/(?<site>[^/]+)\/reviews\/(?<review>[^/]+)\/conclusion$/,
    of({ site = "", review = "" }, { conclusion }) {
      const at = `/v1/audit/sites/${site}/reviews/${review}`;
      return { site, meaning: "reviewed", does: `conclude review ${review}: ${String(conclusion)}`, record: `review ${review}`, read: at, tagged: null };
    },
  },
  {
    path: /^\/v1\/registry\/(?:recipes|state-machines)\/(?<id>[^/]+)\/revisions\/\d{1,9}\/approval$/,
    of(_, __, address) {
      const revision = definitionIn(address);
      if (revision === null) return null;
      const record = `${revision.kind} ${revision.name}@${revision.revision}`;
      return { site: null, meaning: "configuration approved", does: `approve ${record}`, record, read: address.replace(/\/approval$/, ""), tagged: null };
    },
  },
];

const ofBatch = (site: string, batch: string): { readonly read: string; readonly tagged: string } => ({
  read: `/v1/sites/${site}/batches/${batch}/audit-trail`,
  tagged: `/v1/sites/${site}/batches/${batch}`,
});

/** Which revision an address is to approve; null: none. A state machine's name has a slash, which stands as a dot in an address. */
export function definitionIn(address: string): { readonly kind: "recipe" | "state machine"; readonly name: string; readonly revision: number } | null {
  const [, kind, id = "", revision] = /^\/v1\/registry\/(recipes|state-machines)\/([^/]+)\/revisions\/(\d{1,9})\/approval$/.exec(address) ?? [];
  const name = decoded({ id })?.["id"];
  if (kind === undefined || name === undefined) return null;
  return kind === "recipes"
    ? { kind: "recipe", name, revision: Number(revision) }
    : { kind: "state machine", name: name.replace(".", "/"), revision: Number(revision) };
}

/** Null: it is no address that anything is at, or one that would lead elsewhere than it says. */
function decoded(parts: Readonly<Record<string, string | undefined>>): Parts | null {
  try {
    const named = Object.entries(parts).flatMap(([name, part]) => (part === undefined ? [] : [[name, decodeURIComponent(part)] as const]));
    return named.some(([, part]) => /^\.{1,2}$|\//.test(part)) ? null : Object.fromEntries(named);
  } catch {
    return null;
  }
}

/** What a request would have a person sign; null: nothing. */
export function signedAct(address: string, body: unknown): SignedAct | null {
  for (const rule of RULES) {
    const parts = rule.path.exec(address)?.groups;
    if (parts === undefined) continue;
    const named = decoded(parts);
    if (named === null) return null;
    return rule.of(named, Object(body), address);
  }
  return null;
}
