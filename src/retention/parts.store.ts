import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { safePosition } from "../db/position.ts";
import type { Obstacle, Part, PartName, RetentionClass } from "./part.ts";

/** There is no such partition, site or hold, or what is asked of it cannot be. */
export class RetentionRefused extends Error {}

/** Every partition that has something in it, the oldest of its class first, with what stands in the way of disposing of it. */
export async function listParts(db: Db): Promise<readonly Part[]> {
  const { rows } = await sql<{ class: RetentionClass; part: string; low: string; high: string }>`
    select class, part, low, high from retention_parts() order by class desc, length(low), low`.execute(db);
  const parts: Part[] = [];
  for (const row of rows) parts.push(await withSites(db, row));
  return parts.filter(({ sites }) => sites.length > 0);
}

export async function readPart(db: Db, { class: name, part }: PartName): Promise<Part> {
  const { rows } = await sql<{ class: RetentionClass; part: string; low: string; high: string }>`
    select class, part, low, high from retention_parts() where class = ${name} and part = ${part}`.execute(db);
  const found = rows[0] === undefined ? null : await withSites(db, rows[0]);
  if (found === null || found.sites.length === 0) throw new RetentionRefused(`There is nothing in a partition ${name}/${part}.`);
  return found;
}

async function withSites(db: Db, part: Omit<Part, "sites">): Promise<Part> {
  const sites = await sql<{ site: string; from: bigint; to: bigint; newest: string; due: string }>`
    select site, from_position as from, to_position as to, newest, due from retention_sites(${part.class}, ${part.part})`.execute(db);
  const obstacles = await sql<Omit<Obstacle, "hold"> & { site: string; hold: bigint | null }>`
    select site, obstacle, detail, hold from retention_obstacles(${part.class}, ${part.part})`.execute(db);
  return {
    ...part,
    sites: sites.rows.map(({ from, to, ...row }) => ({
      ...row,
      from: safePosition(from),
      to: safePosition(to),
      obstacles: obstacles.rows
        .filter(({ site }) => site === row.site)
        .map(({ obstacle, detail, hold }) => ({ obstacle, detail, hold: hold === null ? null : safePosition(hold) })),
    })),
  };
}
