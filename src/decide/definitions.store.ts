// The recipes and state machines that batches are bound to, read once each.
import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { parseRecipe, type Recipe } from "../registry/recipe.ts";
import type { Definition } from "./world-data.ts";

/** Immutable definitions by name, kept for the life of the process. */
export interface Definitions {
  readonly recipes: Map<string, Definition & { readonly recipe: Recipe }>;
  readonly machines: Map<string, Definition>;
}

export const noDefinitions = (): Definitions => ({ recipes: new Map(), machines: new Map() });

export async function readDefinitions(db: Db, recipes: readonly string[], machines: readonly string[], known: Definitions): Promise<void> {
  const newRecipes = recipes.filter((name) => !known.recipes.has(name));
  const newMachines = machines.filter((name) => !known.machines.has(name));
  if (newRecipes.length > 0) {
    const { rows } = await sql<{ name: string; hash: string; content: unknown }>`
      select recipe || '@' || revision as name, encode(hash, 'hex') as hash, content from recipes where recipe || '@' || revision = any(${newRecipes}::text[])`.execute(
      db,
    );
    for (const row of rows) known.recipes.set(row.name, { hash: row.hash, content: row.content, recipe: parseRecipe(row.content) });
  }
  if (newMachines.length > 0) {
    const { rows } = await sql<{ name: string; hash: string; content: unknown }>`
      select name || '@' || revision as name, encode(hash, 'hex') as hash, content from state_machines where name || '@' || revision = any(${newMachines}::text[])`.execute(
      db,
    );
    for (const row of rows) known.machines.set(row.name, { hash: row.hash, content: row.content });
  }
}
