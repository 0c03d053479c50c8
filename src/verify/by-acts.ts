import type { Entry } from "../audit/entry.ts";
import { PartiesByActs } from "./parties-by-acts.ts";
import type { LogRow } from "./record.ts";
import { type Standing, standing } from "./standing.ts";
import type { Columns } from "./told-rows.ts";

type Said = Readonly<Record<string, unknown>>;

/** Settings that nobody has changed (migrations 0010 and 0012). */
const UNCHANGED = { publishAfter: "commit", unsignedLimit: 100_000, rotateAfter: 10_000_000 };

/** The last disposal of which an entry tells, and all that was disposed of by then. */
export interface ToldDisposed {
  readonly position: number;
  readonly by: string;
  readonly reason: string;
  readonly positions: number;
  readonly batches: readonly string[];
  readonly archives: readonly { readonly archive: unknown; readonly sha256: unknown }[];
}

/** What acts bring about beside what is decided: logs, restores, reviews, retention, parties, what a site is set to; and which definitions they publish, by object. */
export class ByActs {
  /** `recipe blend@3` → the hash under which it was published, and where; and by whom it was proposed, where another had to approve it. */
  readonly published = new Map<string, { readonly hash: unknown; readonly position: number; readonly proposedBy: unknown }>();
  /** `recipe blend@3` → by whom it was approved, and where. */
  readonly approved = new Map<string, { readonly by: unknown; readonly proposedBy: unknown; readonly signature: unknown; readonly position: number }>();
  /** The time of the first entry. */
  began: string | null = null;
  private readonly site: string;
  private readonly first: LogRow | null;
  private readonly logs: Columns[] = [];
  private readonly restores: Columns[] = [];
  private readonly reviews: Columns[] = [];
  private readonly conclusions: Columns[] = [];
  private readonly holds: Columns[] = [];
  private readonly releases: Columns[] = [];
  private readonly archives: Columns[] = [];
  private readonly disposals: Columns[] = [];
  private readonly rules = new Map<string, Columns>();
  private readonly parties = new PartiesByActs();
  private settings: Said = UNCHANGED;
  /** Up to this position entries were disposed of, and their acts are not known. */
  private skipped = 0;
  disposed: ToldDisposed | null = null;
  /** Of the last entry; null: there was none. */
  generation: number | null = null;
  private last = 0;

  constructor(site: string, first: LogRow | null) {
    this.site = site;
    this.first = first;
    if (first !== null) this.log(first.log, first.first, undefined, "begin");
  }

  /** The entries up to a position were disposed of: what their acts brought about cannot be told. */
  skip(to: number): void {
    this.skipped = to;
    this.logs.length = 0;
    this.settings = {};
  }

  next({ head, body }: Entry): void {
    const { position, generation, time } = head;
    this.began ??= time;
    // what stands before the first restore is of the generation in which the site began
    if (this.generation === null && this.logs[0] !== undefined) this.logs[0] = { ...this.logs[0], generation };
    this.generation = generation;
    this.last = position;
    const signal = body["signals"]?.[0];
    if (signal?.["kind"] !== "act") return;
    const asked: Said = Object(signal["body"]);
    const [was, made]: readonly Said[] = [Object(asked["old"]), Object(asked["new"])];
    const { site } = this;
    const by = signal["actor"];
    switch (signal["type"]) {
      case "audit.settings.changed":
        this.settings = made ?? UNCHANGED;
        return;
      case "audit.log.rotated":
        this.log(made?.["log"], position, generation, "rotation");
        return;
      case "record.restored":
        this.log(made?.["log"], position, generation, "restore");
        this.restores.push({ site, generation, previous: was?.["generation"], position: position - 1, reason: asked["reason"], recorded_by: by });
        return;
      case "retention.rule.changed":
        this.rules.set(String(made?.["class"]), { site, class: made?.["class"], keep_days: made?.["keepDays"] });
        return;
      case "legal-hold.placed": {
        const [batch, from_position, to_position] = [made?.["batch"], made?.["from"], made?.["to"]];
        this.holds.push({ site, hold: position, batch, from_position, to_position, reason: asked["reason"], placed_by: by });
        return;
      }
      case "legal-hold.released":
        this.releases.push({ site, hold: was?.["hold"], position, reason: asked["reason"], released_by: by });
        return;
      case "record.archived":
        this.archives.push({ site, archive: position, ...partIn(made), sums_sha256: made?.["sha256"], archived_by: by });
        return;
      case "record.disposed":
        this.disposals.push({ site, disposal: position, ...partIn(made), reason: asked["reason"], disposed_by: by });
        this.disposed = toldDisposed(position, String(by), String(asked["reason"]), made);
        return;
      case "party.proposed":
      case "party.approved":
      case "party.activated":
      case "party.revoked":
      case "party.key.revoked":
      case "party.credential.issued":
      case "parties.reviewed":
        this.parties.next(signal["type"], { site, position, by, reason: asked["reason"], made: made ?? {} });
        return;
      case "recipe.registered":
      case "state-machine.registered":
        this.published.set(String(asked["object"]), { hash: made?.["hash"], position, proposedBy: made?.["awaitsApproval"] === true ? by : null });
        return;
      case "recipe.approved":
      case "state-machine.approved":
        this.approved.set(String(asked["object"]), { by, proposedBy: made?.["proposedBy"], signature: asked["signature"], position });
        return;
      case "review.opened":
        this.reviews.push({
          site,
          review: position,
          batch: batchIn(asked["object"]),
          ...picked(made, ["entries", "digest", "catalogue", "found"]),
          opened_by: by,
        });
        return;
      case "review.concluded":
        this.conclusions.push({ site, review: was?.["review"], position, ...picked(made, ["conclusion", "finding"]), concluded_by: by });
        return;
      default:
    }
  }

  standing(): readonly Standing[] {
    const { site, settings, generation, last, skipped } = this;
    // of rows that come of acts which are not there nothing can be told
    const behind =
      (column: string) =>
      (row: Columns): boolean =>
        Number(row[column]) > skipped;
    const before = (this.first?.first ?? 1) - 1;
    const [publish_after, unsigned_limit, rotate_after] = [settings["publishAfter"], settings["unsignedLimit"], settings["rotateAfter"]];
    return [
      standing("sites", [{ site, generation: generation ?? undefined, position: Math.max(last, before), publish_after, unsigned_limit, rotate_after }]),
      standing("shards", [{ site, shard: site }]),
      // restores from before the log began are not in it
      standing("restores", this.restores, (row) => Number(row["generation"]) > (this.first?.generation ?? 0) && Number(row["position"]) >= skipped),
      standing("audit_logs", this.logs, behind("first_position")),
      standing("audit_reviews", this.reviews, behind("review")),
      standing("audit_review_conclusions", this.conclusions, behind("position")),
      standing("retention_rules", this.rules.values(), (row) => skipped === 0 || this.rules.has(String(row["class"]))),
      standing("legal_holds", this.holds, behind("hold")),
      standing("legal_hold_releases", this.releases, behind("position")),
      standing("record_archives", this.archives, behind("archive")),
      standing("disposals", this.disposals, behind("disposal")),
      ...this.parties.standing(behind),
    ];
  }

  private log(log: unknown, first_position: number, generation: number | undefined, why: string): void {
    const { site } = this;
    this.logs.push({ site, log, generation, first_position, origin: `signalbox/${site}/${log}`, why });
  }
}

const picked = (said: Said | undefined, names: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(names.map((name) => [name, said?.[name] ?? null]));

const partIn = (said: Said | undefined): Columns => ({
  class: said?.["class"],
  part: said?.["part"],
  from_position: said?.["from"],
  to_position: said?.["to"],
});

function toldDisposed(position: number, by: string, reason: string, said: Said | undefined): ToldDisposed {
  const { positions, batches } = Object(said?.["disposed"]);
  const archives = said?.["archives"];
  return {
    position,
    by,
    reason,
    positions: Number(positions) || 0,
    batches: Array.isArray(batches) ? batches.map(String) : [],
    archives: Array.isArray(archives) ? archives.map((one) => ({ archive: Object(one).archive, sha256: Object(one).sha256 })) : [],
  };
}

const batchIn = (object: unknown): string => String(object).replace(/^batch /, "");
