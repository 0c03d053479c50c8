import type { Entry } from "../audit/entry.ts";
import type { LogRow } from "./record.ts";
import { type Standing, standing } from "./standing.ts";
import type { Columns } from "./told-rows.ts";

type Said = Readonly<Record<string, unknown>>;

/** Settings that nobody has changed (migrations 0010 and 0012). */
const UNCHANGED = { publishAfter: "commit", unsignedLimit: 100_000, rotateAfter: 10_000_000 };

/** What acts bring about beside what is decided: logs, restores, reviews, what a site is set to; and which definitions they publish, by object. */
export class ByActs {
  /** `recipe blend@3` → the hash under which it was published, and where. */
  readonly published = new Map<string, { readonly hash: unknown; readonly position: number }>();
  /** The time of the first entry. */
  began: string | null = null;
  private readonly site: string;
  private readonly first: LogRow | null;
  private readonly logs: Columns[] = [];
  private readonly restores: Columns[] = [];
  private readonly reviews: Columns[] = [];
  private readonly conclusions: Columns[] = [];
  private settings: Said = UNCHANGED;
  /** Of the last entry; null: there was none. */
  generation: number | null = null;
  private last = 0;

  constructor(site: string, first: LogRow | null) {
    this.site = site;
    this.first = first;
    if (first !== null) this.log(first.log, first.first, undefined, "begin");
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
      case "recipe.registered":
      case "state-machine.registered":
        this.published.set(String(asked["object"]), { hash: made?.["hash"], position });
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
    const { site, settings, generation, last } = this;
    const before = (this.first?.first ?? 1) - 1;
    const [publish_after, unsigned_limit, rotate_after] = [settings["publishAfter"], settings["unsignedLimit"], settings["rotateAfter"]];
    return [
      standing("sites", [{ site, generation: generation ?? undefined, position: Math.max(last, before), publish_after, unsigned_limit, rotate_after }]),
      standing("shards", [{ site, shard: site }]),
      // restores from before the log began are not in it
      standing("restores", this.restores, (row) => Number(row["generation"]) > (this.first?.generation ?? 0)),
      standing("audit_logs", this.logs),
      standing("audit_reviews", this.reviews),
      standing("audit_review_conclusions", this.conclusions),
    ];
  }

  private log(log: unknown, first_position: number, generation: number | undefined, why: string): void {
    const { site } = this;
    this.logs.push({ site, log, generation, first_position, origin: `signalbox/${site}/${log}`, why });
  }
}

const picked = (said: Said | undefined, names: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(names.map((name) => [name, said?.[name] ?? null]));

const batchIn = (object: unknown): string => String(object).replace(/^batch /, "");
