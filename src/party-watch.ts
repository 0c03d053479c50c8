import type { Db } from "./db/database.ts";
import type { Verdict } from "./decide/verdict.ts";
import type { Log } from "./ops/log.ts";
import type { Time } from "./ops/time.ts";
import { readAcl } from "./parties/acl.file.ts";
import { ACL_FILE, branchText, openDrifts, recordDrift, type Told, toldOf } from "./parties/drift.store.ts";
import { type Drift, driftAt, driftBetween, drifts, mosquittoAcl } from "./parties/mosquitto-acl.ts";
import { type ActiveParty, readActive, readChanged, readGoverned, readNames } from "./parties/parties.store.ts";
import { isValid } from "./parties/party.ts";

export interface PartyMeter {
  /** Statements by which the broker's ACL file is more or less than the registry; null: it cannot be read. */
  aclDrift(lines: number | null): void;
  /** An event on a branch, or of a type, that no party in force may publish. */
  unpermitted(site: string, why: "branch" | "type"): void;
}

export interface PartyWatchOptions {
  readonly db: Db;
  readonly time: Time;
  readonly log: Log;
  readonly meter: PartyMeter;
  readonly prefix: string;
  /** The sites that this process serves; null: all. */
  readonly sites: readonly string[] | null;
  /** The broker's ACL file; null: the broker's own affair. */
  readonly aclFile: string | null;
  /** Who may do what is another than before: the parties that are in force and valid, and whether any ever was, so that the registry speaks. */
  onChanged(parties: readonly ActiveParty[], governed: boolean): Promise<void>;
}

export interface PartyWatch {
  /** Resolves when the parties were read once, or could not be. */
  readonly begun: Promise<void>;
  /** What was decided about events at a site: looked at beside the route, which waits for nothing here. */
  observed(site: string, verdicts: readonly Pick<Verdict, "round" | "branch" | "type">[]): void;
  /** To whom the registry gives a branch, as it was looked at last; null: to nobody, or it does not speak there. */
  partyOn(site: string, line: string, equipment: string): string | null;
  /** How the broker's file stands; null: there is none to look at, or no party was ever active. */
  readonly condition: { readonly ok: boolean; readonly detail: string } | null;
  stop(): Promise<void>;
}

const LOOK_MS = 1_000;
/** Every fifth look the broker's file is read too: a manual change is reported long before a minute has passed. */
const FILE_EVERY = 5;
/** Branches whose drift is told one by one: who may publish anywhere could name any number. */
const MOST_BRANCHES = 1_000;

/** A branch's types; null: every one. */
type Branches = ReadonlyMap<string, ReadonlySet<string> | null>;

/** Watches the registry of parties, the broker's ACL file beside it, and what arrives: what does not agree is logged, counted, and put on record. */
export function watchParties({ db, time, log, meter, prefix, sites, aclFile, onChanged }: PartyWatchOptions): PartyWatch {
  let changed = "";
  let active: readonly ActiveParty[] = [];
  let governed: readonly string[] = [];
  let handed: string | null = null;
  let valid: readonly ActiveParty[] = [];
  let permitted: ReadonlyMap<string, Branches> = new Map();
  let owners: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map();
  let revision = "none";
  let looks = 0;
  let looking: Promise<void> | null = null;
  let stopped = false;
  let trouble = false;
  let condition: PartyWatch["condition"] = null;
  let fileDrift: string | null = null;
  /** Drifting branches by site, and what of them is still to be put on record. */
  const drifting = new Map<string, Set<string>>();
  const untold: { readonly site: string; readonly object: string; readonly told: Told }[] = [];

  async function look(): Promise<void> {
    const positions = [...(await readChanged(db))].filter(([site]) => sites === null || sites.includes(site));
    const now = positions.map(([site, position]) => `${site}@${position}`).join(" ");
    if (now !== changed) {
      [active, governed] = [await readActive(db, sites), await readGoverned(db, sites)];
      changed = now;
      revision = now;
    }
    const nowMs = Date.now();
    valid = active.filter((party) => isValid(party, nowMs));
    const table = JSON.stringify([governed, valid.map(({ site, party, revision: number, verifier }) => [site, party, number, verifier])]);
    if (table !== handed) {
      permitted = branchesOf(governed, valid);
      owners = ownersOf(valid);
      await onChanged(valid, governed.length > 0);
      handed = table;
      await endBranches();
    }
    await tell();
    if (aclFile !== null && looks % FILE_EVERY === 0) await readBack(aclFile);
    looks += 1;
  }

  /** Reads the broker's file back and holds it against the registry. */
  async function readBack(path: string): Promise<void> {
    if (governed.length === 0) {
      condition = null;
      fileDrift = null;
      meter.aclDrift(0);
      return;
    }
    let drift: Drift;
    try {
      drift = driftBetween(mosquittoAcl(valid, prefix, revision).text, await readAcl(path));
    } catch (error) {
      if (condition?.ok !== false) log.error({ err: error, path }, "the broker's ACL file cannot be read");
      condition = { ok: false, detail: `${path} cannot be read` };
      meter.aclDrift(null);
      return;
    }
    const lines = drift.more.length + drift.less.length;
    meter.aclDrift(lines);
    const agrees = !drifts(drift);
    condition = agrees
      ? { ok: true, detail: `agrees with the registry (${revision})` }
      : {
          ok: false,
          detail: `differs from the registry in ${lines} lines: ${[...drift.more.map((one) => `+ ${one}`), ...drift.less.map((one) => `- ${one}`)].slice(0, 3).join("; ")}`,
        };
    const key = JSON.stringify(drift);
    if (key === fileDrift) return;
    if (!agrees)
      log.error({ path, more: drift.more.slice(0, 20), less: drift.less.slice(0, 20), lines }, "the broker's ACL file is not what the registry says");
    else if (fileDrift !== null) log.info({ path, revision }, "the broker's ACL file agrees with the registry again");
    // the log of the service is its operator's; in the record of a site stands what concerns that site
    const names = await readNames(db);
    for (const site of governed) {
      const own = driftAt(site, drift, prefix, names);
      await recordDrift(db, site, ACL_FILE, drifts(own) ? toldOf(own) : null);
    }
    fileDrift = key;
  }

  /** Puts on record on which branches came what nobody may publish there. */
  async function tell(): Promise<void> {
    for (let next = untold[0]; next !== undefined; next = untold[0]) {
      await recordDrift(db, next.site, next.object, next.told);
      untold.shift();
    }
  }

  /** After a change of the registry, what was drift and is permitted now has ended. */
  async function endBranches(): Promise<void> {
    for (const site of governed) {
      for (const object of await openDrifts(db, site)) {
        const [line, equipment] = /^events on line (\S+), equipment (\S+)$/.exec(object)?.slice(1) ?? [];
        if (line === undefined || equipment === undefined || !permitted.get(site)?.has(`${line}/${equipment}`)) continue;
        await recordDrift(db, site, object, null);
      }
      drifting.delete(site);
    }
  }

  function lookNow(): Promise<void> {
    looking ??= look()
      .then(() => {
        trouble = false;
      })
      .catch((error: unknown) => {
        if (!trouble) log.warn({ err: error }, "the registry of parties could not be looked at; it is tried again");
        trouble = true;
      })
      .finally(() => {
        looking = null;
      });
    return looking;
  }

  const begun = lookNow();
  const end = time.every(LOOK_MS, () => {
    if (!stopped) void lookNow();
  });

  return {
    begun,
    observed(site, verdicts) {
      const branches = permitted.get(site);
      if (branches === undefined) return;
      for (const { round, branch, type } of verdicts) {
        if (round !== 1 || branch.line === null || branch.equipment === null) continue;
        const types = branches.get(`${branch.line}/${branch.equipment}`);
        // what has no type that could be read is nobody's type
        const why = types === undefined ? "branch" : types !== null && (type === null || !types.has(type)) ? "type" : null;
        if (why === null) continue;
        meter.unpermitted(site, why);
        const object = branchText(branch.line, branch.equipment);
        const known = drifting.get(site) ?? new Set();
        drifting.set(site, known);
        if (known.has(object) || known.size >= MOST_BRANCHES) continue;
        known.add(object);
        const reason =
          why === "branch"
            ? "An event came on a branch on which no party in force may publish."
            : "An event came of a type that no party in force may publish there.";
        log.error({ site, line: branch.line, equipment: branch.equipment, type }, "an event came that no party in force may publish");
        untold.push({ site, object, told: { reason, content: { ...branch, why } } });
      }
    },
    partyOn: (site, line, equipment) => owners.get(site)?.get(`${line}/${equipment}`) ?? null,
    get condition() {
      return condition;
    },
    async stop() {
      stopped = true;
      end();
      await looking;
    },
  };
}

/** By site, to whom each branch is given; a branch of two parties (conflict SHARED_BRANCH) is nobody's. */
function ownersOf(valid: readonly ActiveParty[]): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const sites = new Map<string, Map<string, string>>();
  const shared: (readonly [site: string, branch: string])[] = [];
  for (const { site, party, may } of valid)
    for (const { direction, what, where } of may) {
      if (direction !== "publish" || what !== "event" || typeof where === "string" || "batch" in where) continue;
      const [branches, branch] = [sites.get(site) ?? new Map<string, string>(), `${where.line}/${where.equipment}`];
      sites.set(site, branches);
      if (branches.has(branch) && branches.get(branch) !== party) shared.push([site, branch]);
      branches.set(branch, party);
    }
  for (const [site, branch] of shared) sites.get(site)?.delete(branch);
  return sites;
}

/** By site, the branches on which events may be published: of the sites at which the registry speaks. */
function branchesOf(governed: readonly string[], valid: readonly ActiveParty[]): ReadonlyMap<string, Branches> {
  const sites = new Map<string, Map<string, Set<string> | null>>(governed.map((site) => [site, new Map()]));
  for (const { site, may } of valid) {
    const branches = sites.get(site);
    for (const { direction, what, where, types } of may) {
      // a published right names its branch (conflict WILDCARD)
      if (direction !== "publish" || what !== "event" || typeof where === "string" || "batch" in where || branches === undefined) continue;
      const key = `${where.line}/${where.equipment}`;
      const before = branches.get(key);
      branches.set(key, types === undefined || before === null ? null : new Set([...(before ?? []), ...types]));
    }
  }
  return sites;
}
