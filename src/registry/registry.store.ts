import { createHash } from "node:crypto";
import { sql } from "kysely";
import { recordKnown } from "../access/access.store.ts";
import { type Attribution, recordAct, recordActEverywhere } from "../audit/act.store.ts";
import type { Db } from "../db/database.ts";
import { canonicalJson } from "./canonical.ts";
import { type DefinitionKind, GOVERNED, type Governed, readGoverned } from "./governed.store.ts";

/** What a registry write comes to. A refusal says what in the content stands against it, by JSON pointer. */
export type Registered =
  | { readonly kind: "registered" | "unchanged"; readonly hash: string; readonly inForce: boolean }
  | {
      readonly kind: "refused";
      readonly code: string;
      readonly reason: string;
      readonly errors: readonly { readonly pointer: string; readonly detail: string }[];
    };

const refused = (code: string, pointer: string, reason: string): Registered => ({ kind: "refused", code, reason, errors: [{ pointer, detail: reason }] });

const hashOf = (content: unknown): Buffer => createHash("sha256").update(canonicalJson(content)).digest();

/** Publishes a recipe revision, for good: the same content again changes nothing, other content is refused. The content is checked by the caller. */
export const putRecipe = (db: Db, recipe: { readonly recipe: string; readonly revision: number }, by: Attribution): Promise<Registered> =>
  publish(db, "recipe", recipe.recipe, recipe, by);

/** Publishes a state machine revision, likewise. */
export const putStateMachine = (db: Db, definition: { readonly name: string; readonly revision: number }, by: Attribution): Promise<Registered> =>
  publish(db, "state machine", definition.name, definition, by);

/** What a person publishes awaits another's approval; what nobody in particular does, or the service itself, is in force at once. */
async function publish(db: Db, kind: DefinitionKind, name: string, content: { readonly revision: number }, by: Attribution): Promise<Registered> {
  const { revision } = content;
  const hash = hashOf(content);
  const { table, key, act } = GOVERNED[kind];
  const proposedBy = /^person:\S/.test(by.actor) ? by.actor : null;
  const fresh = await db.transaction().execute(async (trx) => {
    const { rows } = await sql`
      insert into ${sql.table(table)} (${sql.ref(key)}, revision, hash, content, proposed_by)
      values (${name}, ${revision}, ${hash}, ${JSON.stringify(content)}::jsonb, ${proposedBy})
      on conflict do nothing returning hash`.execute(trx);
    const made = { hash: hash.toString("hex"), ...(proposedBy === null ? {} : { awaitsApproval: true }) };
    if (rows.length > 0) await recordActEverywhere(trx, { type: `${act}.registered`, object: `${kind} ${name}@${revision}`, old: null, new: made }, by);
    return rows.length > 0;
  });
  const found = await readGoverned(db, kind, name, revision);
  if (found === null) throw new Error(`${kind} ${name}@${revision} was there and is gone`);
  if (found.hash !== hash.toString("hex"))
    return refused("REV_PUBLISHED", "/revision", `${inWords(kind)} ${name}@${revision} is published with other content; publish a new revision.`);
  return { kind: fresh ? "registered" : "unchanged", hash: found.hash, inForce: found.inForce };
}

const inWords = (kind: DefinitionKind): string => (kind === "recipe" ? "Recipe" : "State machine");

const SHIPPED: Attribution = { actor: "signalbox", from: "start of the service", reason: "shipped with this version" };

/** Publishes the state machines that are shipped. Throws when one of them was published before with other content: a published revision never changes its meaning. */
export async function seedStateMachines(db: Db, shipped: readonly { readonly name: string; readonly revision: number }[]): Promise<void> {
  for (const definition of shipped) {
    const put = await putStateMachine(db, definition, SHIPPED);
    if (put.kind === "refused") throw new Error(put.reason);
  }
}

export const readRecipe = (db: Db, recipe: string, revision: number): Promise<Governed | null> => readGoverned(db, "recipe", recipe, revision);
export const readStateMachine = (db: Db, name: string, revision: number): Promise<Governed | null> => readGoverned(db, "state machine", name, revision);

export async function readRecipeRevisions(db: Db, recipe: string): Promise<readonly Omit<Listed, "name">[]> {
  const { rows } = await sql<Omit<Listed, "name">>`
    select revision, encode(d.hash, 'hex') as hash, d.proposed_by is null or a.approved_by is not null as "inForce"
    from recipes d left join recipe_approvals a using (recipe, revision) where recipe = ${recipe} order by revision`.execute(db);
  return rows;
}

export async function readStateMachineRevisions(db: Db, name: string): Promise<readonly Omit<Listed, "name">[]> {
  const { rows } = await sql<Omit<Listed, "name">>`
    select revision, encode(d.hash, 'hex') as hash, d.proposed_by is null or a.approved_by is not null as "inForce"
    from state_machines d left join state_machine_approvals a using (name, revision) where name = ${name} order by revision`.execute(db);
  return rows;
}

export interface Listed {
  readonly name: string;
  readonly revision: number;
  readonly hash: string;
  readonly inForce: boolean;
}

/** Every revision of every recipe after one of them, by name and revision. */
export async function listRecipes(db: Db, after: { readonly name: string; readonly revision: number } | null, limit: number): Promise<readonly Listed[]> {
  const { rows } = await sql<Listed>`
    select recipe as name, revision, encode(d.hash, 'hex') as hash, d.proposed_by is null or a.approved_by is not null as "inForce"
    from recipes d left join recipe_approvals a using (recipe, revision)
    where ${after === null} or (recipe::text, revision) > (${after?.name ?? ""}, ${after?.revision ?? 0}) order by recipe::text, revision limit ${limit}`.execute(
    db,
  );
  return rows;
}

/** Every revision of every state machine after one of them, likewise. */
export async function listStateMachines(db: Db, after: { readonly name: string; readonly revision: number } | null, limit: number): Promise<readonly Listed[]> {
  const { rows } = await sql<Listed>`
    select name, revision, encode(d.hash, 'hex') as hash, d.proposed_by is null or a.approved_by is not null as "inForce"
    from state_machines d left join state_machine_approvals a using (name, revision)
    where ${after === null} or (name, revision) > (${after?.name ?? ""}, ${after?.revision ?? 0}) order by name, revision limit ${limit}`.execute(db);
  return rows;
}

/** Makes a site and its shard known; nothing happens when they are. A site is one shard until it is divided. Its log begins with who is known here by then, if anybody is. */
export async function registerSite(db: Db, site: string, by: Attribution): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const { rows } = await sql`insert into sites (site) values (${site}) on conflict do nothing returning site`.execute(trx);
    await sql`insert into shards (shard, site) values (${site}, ${site}) on conflict do nothing`.execute(trx);
    if (rows.length > 0) await recordKnown(trx, site, by);
  });
}

export interface EquipmentRecord {
  readonly equipment: string;
  readonly line: string;
  readonly class: string;
  readonly title: string | null;
}

/**
 * Registers equipment, and with it the numbering source of its own; changes it where that is allowed. Locks the equipment's row, as commits do, and raises its version:
 * whoever judged with the old class judges again.
 */
export async function putEquipment(db: Db, site: string, equipment: EquipmentRecord, by: Attribution): Promise<Registered> {
  await registerSite(db, site, by);
  const { equipment: name, line, class: className, title } = equipment;
  const object = `equipment ${name}`;
  const hash = hashOf(equipment).toString("hex");
  return db.transaction().execute(async (trx): Promise<Registered> => {
    const { rows: fresh } = await sql`
      insert into equipment (site, equipment, line, class, title) values (${site}, ${name}, ${line}, ${className}, ${title}) on conflict do nothing returning equipment`.execute(
      trx,
    );
    if (fresh.length > 0) {
      const source = `/site/${site}/line/${line}/eq/${name}`;
      await sql`insert into sources (site, source, line, equipment, shard) values (${site}, ${source}, ${line}, ${name}, ${site})`.execute(trx);
      await recordAct(trx, site, { type: "equipment.registered", object, old: null, new: equipment }, by);
      return { kind: "registered", hash, inForce: true };
    }
    const { rows } = await sql<{ line: string; class: string; title: string | null }>`
      select line, class, title from equipment where site = ${site} and equipment = ${name} for update`.execute(trx);
    const before = rows[0];
    if (before === undefined) throw new Error(`equipment ${name} of site ${site} was there and is gone`);
    if (before.line === line && before.class === className && before.title === title) return { kind: "unchanged", hash, inForce: true };
    if (before.line !== line) {
      return refused("CTX_WRONG_LINE", "/line", `${name} stands on line ${before.line}, and its sources are named after that; register it under a new id.`);
    }
    if (before.class !== className) {
      const { rows: held } = await sql`select 1 from context_locks where site = ${site} and equipment = ${name} and freed_at is null limit 1`.execute(trx);
      if (held.length > 0) return refused("LCK_CONFLICT", "/class", `${name} is held by a batch; it changes when it is free.`);
    }
    await sql`update equipment set class = ${className}, title = ${title}, version = version + 1 where site = ${site} and equipment = ${name}`.execute(trx);
    await recordAct(trx, site, { type: "equipment.changed", object, old: { equipment: name, ...before }, new: equipment }, by);
    return { kind: "registered", hash, inForce: true };
  });
}

export async function readEquipment(db: Db, site: string, equipment: string): Promise<EquipmentRecord | null> {
  const { rows } = await sql<EquipmentRecord>`select equipment, line, class, title from equipment where site = ${site} and equipment = ${equipment}`.execute(
    db,
  );
  return rows[0] ?? null;
}

/** The equipment of a site after a name, in order of names. */
export async function listEquipment(db: Db, site: string, after: string | null, limit: number): Promise<readonly EquipmentRecord[]> {
  const { rows } = await sql<EquipmentRecord>`
    select equipment, line, class, title from equipment where site = ${site} and (${after}::text is null or equipment > ${after}) order by equipment limit ${limit}`.execute(
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

/**
 * Registers a source below an equipment, or changes whether it numbers and whether it is believed. Locks the source's row, the first that commits lock too, and raises
 * its version: nothing is judged with what it was before.
 */
export async function putSource(db: Db, site: string, record: SourceRecord, by: Attribution): Promise<Registered> {
  const { source, line, equipment, device, numbering, revoked } = record;
  const object = `source ${source}`;
  const hash = hashOf(record).toString("hex");
  return db.transaction().execute(async (trx): Promise<Registered> => {
    const { rows: known } = await sql<{ line: string }>`select line from equipment where site = ${site} and equipment = ${equipment}`.execute(trx);
    if (known[0] === undefined) return refused("CTX_UNKNOWN_EQUIPMENT", "/source", `No equipment ${equipment} is registered at site ${site}.`);
    if (known[0].line !== line) return refused("CTX_WRONG_LINE", "/source", `${equipment} stands on line ${known[0].line}.`);
    const { rows: fresh } = await sql`
      insert into sources (site, source, line, equipment, device, shard, numbering, revoked)
      values (${site}, ${source}, ${line}, ${equipment}, ${device}, ${site}, ${numbering}, ${revoked}) on conflict (source) do nothing returning source`.execute(
      trx,
    );
    if (fresh.length > 0) {
      await recordAct(trx, site, { type: "source.registered", object, old: null, new: record }, by);
      return { kind: "registered", hash, inForce: true };
    }
    const { rows } = await sql<{ numbering: boolean; revoked: boolean; heard: boolean }>`
      select numbering, revoked, epoch is not null as heard from sources where source = ${source} for update`.execute(trx);
    const before = rows[0];
    if (before === undefined) throw new Error(`source ${source} was there and is gone`);
    if (before.numbering === numbering && before.revoked === revoked) return { kind: "unchanged", hash, inForce: true };
    if (before.numbering !== numbering && before.heard) {
      return refused("SEQ_REUSED", "/numbering", `${source} has numbered events on record; it goes on numbering.`);
    }
    await sql`update sources set numbering = ${numbering}, revoked = ${revoked}, version = version + 1 where source = ${source}`.execute(trx);
    const old = { ...record, numbering: before.numbering, revoked: before.revoked };
    await recordAct(trx, site, { type: "source.changed", object, old, new: record }, by);
    return { kind: "registered", hash, inForce: true };
  });
}

/** The sources of a site after a name, in order of names. */
export async function listSources(db: Db, site: string, after: string | null, limit: number): Promise<readonly SourceRecord[]> {
  const { rows } = await sql<SourceRecord>`
    select source, line, equipment, device, numbering, revoked from sources
    where site = ${site} and (${after}::text is null or source > ${after}) order by source limit ${limit}`.execute(db);
  return rows;
}

/** The source that an id names at a site: an equipment's own by the equipment's id, a device's by `equipment:device`. The equipment's own comes first. */
export async function readSourceById(db: Db, site: string, id: string): Promise<SourceRecord | null> {
  const { rows } = await sql<SourceRecord>`
    select source, line, equipment, device, numbering, revoked from sources
    where site = ${site} and equipment || coalesce(':' || device, '') = ${id} order by device nulls first limit 1`.execute(db);
  return rows[0] ?? null;
}
