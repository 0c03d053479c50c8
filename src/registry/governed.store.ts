import { sql } from "kysely";
import { type Attribution, recordActEverywhere } from "../audit/act.store.ts";
import type { Db } from "../db/database.ts";

// Recipes and state machines are governed: what one person registers is in force for new batches once another has approved it, by their signature (migration 0019).

export type DefinitionKind = "recipe" | "state machine";

/** Where each kind stands, and what its acts are called. */
export const GOVERNED = {
  recipe: { table: "recipes", approvals: "recipe_approvals", key: "recipe", act: "recipe" },
  "state machine": { table: "state_machines", approvals: "state_machine_approvals", key: "name", act: "state-machine" },
} as const satisfies Readonly<Record<DefinitionKind, Readonly<Record<string, string>>>>;

/** A revision, who proposed it, and who approved it. */
export interface Governed {
  /** SHA-256, hexadecimal. */
  readonly hash: string;
  readonly content: unknown;
  /** Batches can be bound to it. */
  readonly inForce: boolean;
  /** Null: nobody in particular, or the service itself; then it was in force at once. */
  readonly proposed: { readonly by: string; readonly at: string } | null;
  readonly approved: { readonly by: string; readonly at: string; readonly signature: unknown } | null;
}

export async function readGoverned(db: Db, kind: DefinitionKind, name: string, revision: number): Promise<Governed | null> {
  const { table, approvals, key } = GOVERNED[kind];
  const { rows } = await sql<{
    hash: string;
    content: unknown;
    proposedBy: string | null;
    registeredAt: string;
    approvedBy: string | null;
    approvedAt: string | null;
    signature: unknown;
  }>`
    select encode(d.hash, 'hex') as hash, d.content, d.proposed_by as "proposedBy", d.registered_at as "registeredAt", a.approved_by as "approvedBy", a.approved_at as "approvedAt", a.signature
    from ${sql.table(table)} d left join ${sql.table(approvals)} a using (${sql.ref(key)}, revision)
    where d.${sql.ref(key)} = ${name} and d.revision = ${revision}`.execute(db);
  const [row] = rows;
  if (row === undefined) return null;
  const { hash, content, proposedBy, registeredAt, approvedBy, approvedAt, signature } = row;
  return {
    hash,
    content,
    inForce: proposedBy === null || approvedBy !== null,
    proposed: proposedBy === null ? null : { by: proposedBy, at: registeredAt },
    approved: approvedBy === null ? null : { by: approvedBy, at: approvedAt ?? "", signature },
  };
}

/** What approving comes to. */
export type Approved =
  | { readonly kind: "approved"; readonly revision: Governed }
  | { readonly kind: "refused"; readonly because: "unknown" | "in force" | "other" | "own" };

/** Approves a revision that another person has proposed, on record at every site. `hash` is that of what the approver has seen; the attribution has their signature. */
export async function approveDefinition(
  db: Db,
  kind: DefinitionKind,
  at: { readonly name: string; readonly revision: number; readonly hash: string },
  by: Attribution,
): Promise<Approved> {
  const { name, revision, hash } = at;
  const { approvals, key, act } = GOVERNED[kind];
  if (!/^person:\S/.test(by.actor) || by.signature == null) throw new Error(`${kind} ${name}@${revision} is approved by a person, under their signature`);
  return db.transaction().execute(async (trx): Promise<Approved> => {
    const found = await readGoverned(trx, kind, name, revision);
    if (found === null) return { kind: "refused", because: "unknown" };
    if (found.inForce || found.proposed === null) return { kind: "refused", because: "in force" };
    if (found.hash !== hash) return { kind: "refused", because: "other" };
    if (found.proposed.by === by.actor) return { kind: "refused", because: "own" };
    const { rows } = await sql`
      insert into ${sql.table(approvals)} (${sql.ref(key)}, revision, proposed_by, approved_by, signature)
      values (${name}, ${revision}, ${found.proposed.by}, ${by.actor}, ${JSON.stringify(by.signature)}::jsonb) on conflict do nothing returning revision`.execute(
      trx,
    );
    // another approved it a moment ago
    if (rows.length === 0) return { kind: "refused", because: "in force" };
    const made = { hash, proposedBy: found.proposed.by };
    await recordActEverywhere(trx, { type: `${act}.approved`, object: `${kind} ${name}@${revision}`, old: null, new: made }, by);
    const revised = await readGoverned(trx, kind, name, revision);
    if (revised === null) throw new Error(`${kind} ${name}@${revision} was approved and is gone`);
    return { kind: "approved", revision: revised };
  });
}

/** Who proposed a revision; null: nobody in particular, or there is none. */
export async function proposerOf(db: Db, kind: DefinitionKind, name: string, revision: number): Promise<string | null> {
  return (await readGoverned(db, kind, name, revision))?.proposed?.by ?? null;
}
