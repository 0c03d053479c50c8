import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import { keepAnswer, type RequestKey } from "./request-key.store.ts";

/** Who did something, from where (`address method path`, or a command), and why. */
export interface Attribution {
  readonly actor: string;
  readonly from: string | null;
  readonly reason: string | null;
  /** The role by which they might. */
  readonly role?: string | null;
  /** The signature under which it was done, whole: it stands in the act that it signs. */
  readonly signature?: unknown;
}

/** Something done that is no signal of the plant: it is on record at a position of its own. Never holds a secret. */
export interface Act {
  /** In the past tense, as outcomes are: `recipe.registered`. */
  readonly type: string;
  /** What it was done to: `recipe blend@3`. */
  readonly object: string;
  readonly old: unknown;
  readonly new: unknown;
  /** The batches whose record it changes. An access changes none. */
  readonly batches?: readonly string[];
}

/** What an act was answered with, where it was asked under a key: the entry says it too, as that of a command does. */
export interface AnsweredAct {
  readonly asked: RequestKey;
  readonly answer: Readonly<Record<string, unknown>> & { readonly kind: "recorded" };
}

/** Records an act at a site, in the transaction of what was done; locks the site's head, so it comes last. Gives its position. */
export async function recordAct(
  trx: Db,
  site: string,
  act: Act,
  { actor, from, reason, role, signature }: Attribution,
  under: AnsweredAct | null = null,
): Promise<number> {
  const { type, object, old, new: made, batches = [] } = act;
  const body = { object, old, new: made, reason, from, ...(role == null ? {} : { role }), ...(signature == null ? {} : { signature }) };
  const answers = under === null ? {} : { answers: [{ ref: -1, answer: under.answer }] };
  const entry = JSON.stringify({ signals: [{ ref: -1, kind: "act", type, actor, body }], ...answers });
  const { rows } = await sql<{ position: string }>`
    select record_act(${site}, ${actor}, ${type}, ${JSON.stringify(body)}::jsonb, ${batches}::text[], ${entry})::text as position`.execute(trx);
  const position = safePosition(rows[0]?.position ?? "");
  if (under !== null) await keepAnswer(trx, site, position, under.asked, under.answer);
  return position;
}

/** Records an act that concerns every site, at each of them. */
export async function recordActEverywhere(trx: Db, act: Act, by: Attribution): Promise<void> {
  const { rows } = await sql<{ site: string }>`select site from sites order by site`.execute(trx);
  for (const { site } of rows) await recordAct(trx, site, act, by);
}
