import { createHash } from "node:crypto";
import { sql } from "kysely";
import type { Db } from "../db/database.ts";

/** What a registry write comes to. What is refused names what is wrong, by pointer. */
export type Registered =
  | { readonly kind: "registered"; readonly hash: string }
  | { readonly kind: "unchanged"; readonly hash: string }
  | { readonly kind: "refused"; readonly code: string; readonly reason: string };

/** Canonical JSON: keys sorted, so that the same content has one hash however it was written. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  return `{${Object.entries(value)
    .filter(([, content]) => content !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, content]) => `${JSON.stringify(key)}:${canonicalJson(content)}`)
    .join(",")}}`;
}

const hashOf = (content: unknown): Buffer => createHash("sha256").update(canonicalJson(content)).digest();

/** Publishes a recipe revision, for good: the same content again changes nothing, other content is refused. The content is checked by the caller. */
export async function putRecipe(db: Db, recipe: { readonly recipe: string; readonly revision: number }): Promise<Registered> {
  const hash = hashOf(recipe);
  const { rows } = await sql<{ hash: Buffer }>`
    insert into recipes (recipe, revision, hash, content) values (${recipe.recipe}, ${recipe.revision}, ${hash}, ${JSON.stringify(recipe)}::jsonb) on conflict do nothing returning hash`.execute(
    db,
  );
  if (rows.length > 0) return { kind: "registered", hash: hash.toString("hex") };
  const { rows: found } = await sql<{ hash: Buffer }>`select hash from recipes where recipe = ${recipe.recipe} and revision = ${recipe.revision}`.execute(db);
  return found[0]?.hash.equals(hash) === true
    ? { kind: "unchanged", hash: hash.toString("hex") }
    : { kind: "refused", code: "REV_PUBLISHED", reason: `Recipe ${recipe.recipe}@${recipe.revision} is published with other content; publish a new revision.` };
}

/** Publishes a state machine revision, likewise. */
export async function putStateMachine(db: Db, definition: { readonly name: string; readonly revision: number }): Promise<Registered> {
  const hash = hashOf(definition);
  const { rows } = await sql<{ hash: Buffer }>`
    insert into state_machines (name, revision, hash, content) values (${definition.name}, ${definition.revision}, ${hash}, ${JSON.stringify(definition)}::jsonb) on conflict do nothing returning hash`.execute(
    db,
  );
  if (rows.length > 0) return { kind: "registered", hash: hash.toString("hex") };
  const { rows: found } = await sql<{
    hash: Buffer;
  }>`select hash from state_machines where name = ${definition.name} and revision = ${definition.revision}`.execute(db);
  return found[0]?.hash.equals(hash) === true
    ? { kind: "unchanged", hash: hash.toString("hex") }
    : {
        kind: "refused",
        code: "REV_PUBLISHED",
        reason: `State machine ${definition.name}@${definition.revision} is published with other content; publish a new revision.`,
      };
}

/** Publishes the state machines that are shipped. Throws when one of them was published before with other content: a published revision never changes its meaning. */
export async function seedStateMachines(db: Db, shipped: readonly { readonly name: string; readonly revision: number }[]): Promise<void> {
  for (const definition of shipped) {
    const put = await putStateMachine(db, definition);
    if (put.kind === "refused") throw new Error(put.reason);
  }
}

export async function readRecipe(db: Db, recipe: string, revision: number): Promise<{ readonly hash: string; readonly content: unknown } | null> {
  const { rows } = await sql<{
    hash: string;
    content: unknown;
  }>`select encode(hash, 'hex') as hash, content from recipes where recipe = ${recipe} and revision = ${revision}`.execute(db);
  return rows[0] ?? null;
}

export async function readRecipeRevisions(db: Db, recipe: string): Promise<readonly { readonly revision: number; readonly hash: string }[]> {
  const { rows } = await sql<{
    revision: number;
    hash: string;
  }>`select revision, encode(hash, 'hex') as hash from recipes where recipe = ${recipe} order by revision`.execute(db);
  return rows;
}

export async function readStateMachine(db: Db, name: string, revision: number): Promise<{ readonly hash: string; readonly content: unknown } | null> {
  const { rows } = await sql<{
    hash: string;
    content: unknown;
  }>`select encode(hash, 'hex') as hash, content from state_machines where name = ${name} and revision = ${revision}`.execute(db);
  return rows[0] ?? null;
}

export async function readStateMachineRevisions(db: Db, name: string): Promise<readonly { readonly revision: number; readonly hash: string }[]> {
  const { rows } = await sql<{
    revision: number;
    hash: string;
  }>`select revision, encode(hash, 'hex') as hash from state_machines where name = ${name} order by revision`.execute(db);
  return rows;
}

/** Makes a site and its shard known; nothing happens when they are. A site is one shard until it is divided. */
export async function registerSite(db: Db, site: string): Promise<void> {
  await sql`insert into sites (site) values (${site}) on conflict do nothing`.execute(db);
  await sql`insert into shards (shard, site) values (${site}, ${site}) on conflict do nothing`.execute(db);
}

export interface EquipmentRecord {
  readonly equipment: string;
  readonly line: string;
  readonly class: string;
  readonly title: string | null;
}

/** Registers equipment, and with it the numbering source of its own; changes it where that is allowed. */
export async function putEquipment(db: Db, site: string, equipment: EquipmentRecord): Promise<Registered> {
  await registerSite(db, site);
  return db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ line: string; class: string; title: string | null }>`
      select line, class, title from equipment where site = ${site} and equipment = ${equipment.equipment} for update`.execute(trx);
    const before = rows[0];
    const source = `/site/${site}/line/${equipment.line}/eq/${equipment.equipment}`;
    if (before === undefined) {
      await sql`insert into equipment (site, equipment, line, class, title) values (${site}, ${equipment.equipment}, ${equipment.line}, ${equipment.class}, ${equipment.title})`.execute(
        trx,
      );
      await sql`insert into sources (site, source, line, equipment, shard) values (${site}, ${source}, ${equipment.line}, ${equipment.equipment}, ${site}) on conflict do nothing`.execute(
        trx,
      );
      return { kind: "registered", hash: "" } as const;
    }
    if (before.line === equipment.line && before.class === equipment.class && before.title === equipment.title) return { kind: "unchanged", hash: "" } as const;
    const { rows: held } =
      await sql`select 1 from context_locks where site = ${site} and equipment = ${equipment.equipment} and freed_at is null limit 1`.execute(trx);
    if (held.length > 0)
      return { kind: "refused", code: "LCK_CONFLICT", reason: `${equipment.equipment} is held by a batch; it changes when it is free.` } as const;
    if (before.line !== equipment.line) {
      return {
        kind: "refused",
        code: "CTX_WRONG_LINE",
        reason: `${equipment.equipment} stands on line ${before.line}, and its sources are named after that; register it under a new id.`,
      } as const;
    }
    await sql`update equipment set class = ${equipment.class}, title = ${equipment.title}, version = version + 1 where site = ${site} and equipment = ${equipment.equipment}`.execute(
      trx,
    );
    return { kind: "registered", hash: "" } as const;
  });
}

export async function readEquipment(db: Db, site: string, equipment: string): Promise<EquipmentRecord | null> {
  const { rows } = await sql<EquipmentRecord>`select equipment, line, class, title from equipment where site = ${site} and equipment = ${equipment}`.execute(
    db,
  );
  return rows[0] ?? null;
}

export async function listEquipment(db: Db, site: string): Promise<readonly EquipmentRecord[]> {
  const { rows } = await sql<EquipmentRecord>`select equipment, line, class, title from equipment where site = ${site} order by equipment limit 5000`.execute(
    db,
  );
  return rows;
}

export interface SourceRecord {
  readonly source: string;
  readonly line: string;
  readonly equipment: string;
  readonly device: string | null;
  readonly numbering: boolean;
  readonly revoked: boolean;
}

/** Registers a source below an equipment, or changes whether it numbers and whether it is believed. */
export async function putSource(db: Db, site: string, record: SourceRecord): Promise<Registered> {
  return db.transaction().execute(async (trx) => {
    const { rows: known } = await sql<{ line: string }>`select line from equipment where site = ${site} and equipment = ${record.equipment}`.execute(trx);
    if (known[0] === undefined)
      return { kind: "refused", code: "CTX_UNKNOWN_EQUIPMENT", reason: `No equipment ${record.equipment} is registered at site ${site}.` } as const;
    if (known[0].line !== record.line)
      return { kind: "refused", code: "CTX_WRONG_LINE", reason: `${record.equipment} stands on line ${known[0].line}.` } as const;
    const { rows } = await sql<{ numbering: boolean; revoked: boolean; heard: boolean }>`
      select numbering, revoked, epoch is not null as heard from sources where source = ${record.source} for update`.execute(trx);
    const before = rows[0];
    if (before === undefined) {
      await sql`insert into sources (site, source, line, equipment, device, shard, numbering, revoked)
        values (${site}, ${record.source}, ${record.line}, ${record.equipment}, ${record.device}, ${site}, ${record.numbering}, ${record.revoked})`.execute(
        trx,
      );
      return { kind: "registered", hash: "" } as const;
    }
    if (before.numbering === record.numbering && before.revoked === record.revoked) return { kind: "unchanged", hash: "" } as const;
    if (before.numbering !== record.numbering && before.heard) {
      return { kind: "refused", code: "SEQ_REUSED", reason: `${record.source} has numbered events on record; it goes on numbering.` } as const;
    }
    await sql`update sources set numbering = ${record.numbering}, revoked = ${record.revoked}, version = version + 1 where source = ${record.source}`.execute(
      trx,
    );
    return { kind: "registered", hash: "" } as const;
  });
}

export async function readSourceRecord(db: Db, source: string): Promise<SourceRecord | null> {
  const { rows } = await sql<SourceRecord>`select source, line, equipment, device, numbering, revoked from sources where source = ${source}`.execute(db);
  return rows[0] ?? null;
}

export async function listSourceRecords(db: Db, site: string): Promise<readonly SourceRecord[]> {
  const { rows } =
    await sql<SourceRecord>`select source, line, equipment, device, numbering, revoked from sources where site = ${site} order by source limit 5000`.execute(
      db,
    );
  return rows;
}
