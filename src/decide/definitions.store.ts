// The recipes and state machines that batches are bound to, read once each.
import { sql } from "kysely";
import type { Db } from "../db/database.ts";
import { parseRecipe, type Recipe } from "../registry/recipe.ts";
import type { Definition } from "./world-data.ts";

/** Immutable definitions by name, kept for the life of the process; one that awaits its approval is read again each time. */
export interface Definitions {
  readonly recipes: Map<string, Definition & { readonly recipe: Recipe }>;
  readonly machines: Map<string, Definition>;
}

export const noDefinitions = (): Definitions => ({ recipes: new Map(), machines: new Map() });

export async function readDefinitions(db: Db, recipes: readonly string[], machines: readonly string[], known: Definitions): Promise<void> {
  const newRecipes = recipes.filter((name) => isOpen(known.recipes.get(name)));
  const newMachines = machines.filter((name) => isOpen(known.machines.get(name)));
  if (newRecipes.length > 0) {
    const { rows } = await sql<Read>`
      select r.recipe || '@' || r.revision as name, encode(r.hash, 'hex') as hash, r.content, r.proposed_by is not null and a.approved_by is null as awaits
      from recipes r left join recipe_approvals a on a.recipe = r.recipe and a.revision = r.revision where r.recipe || '@' || r.revision = any(${newRecipes}::text[])`.execute(
      db,
    );
    for (const row of rows) known.recipes.set(row.name, { ...definitionOf(row), recipe: parseRecipe(row.content) });
  }
  if (newMachines.length > 0) {
    const { rows } = await sql<Read>`
      select m.name || '@' || m.revision as name, encode(m.hash, 'hex') as hash, m.content, m.proposed_by is not null and a.approved_by is null as awaits
      from state_machines m left join state_machine_approvals a on a.name = m.name and a.revision = m.revision where m.name || '@' || m.revision = any(${newMachines}::text[])`.execute(
      db,
    );
    for (const row of rows) known.machines.set(row.name, definitionOf(row));
  }
}

interface Read extends Definition {
  readonly name: string;
  readonly awaits: boolean;
}

const isOpen = (known: Definition | undefined): boolean => known === undefined || known.awaitsApproval === true;
const definitionOf = ({ hash, content, awaits }: Read): Definition => ({ hash, content, ...(awaits ? { awaitsApproval: true } : {}) });
