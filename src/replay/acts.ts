// Acts that change what signals are judged by: registering equipment, sources and definitions.
import { z } from "zod";
import type { Definition } from "../decide/world-data.ts";
import type { Published } from "../registry/published.store.ts";
import { parseRecipe, type Recipe } from "../registry/recipe.ts";
import { applyPartyAct, isPartyAct } from "./party-acts.ts";
import type { RecordedSite } from "./recorded.ts";
import { registerEquipment, registerSource } from "./registry.ts";
import type { SourceRow } from "./rows.ts";
import type { Definitions, SiteRecord } from "./site-record.ts";
import { applyStationAct, isStationAct } from "./station-acts.ts";

/** The published revisions, as far as they are there behind a position. */
export class DefinitionsByPosition implements Definitions {
  /** Behind which position the definitions are asked for. */
  position = 0;
  readonly #recipes = new Map<string, Published & { readonly recipe: Recipe }>();
  readonly #machines = new Map<string, Published>();

  constructor(published: readonly Published[]) {
    for (const one of published) {
      if (one.kind === "recipe") this.#recipes.set(one.name, { ...one, recipe: parseRecipe(one.content) });
      else this.#machines.set(one.name, one);
    }
  }

  recipe(name: string): (Definition & { readonly recipe: Recipe }) | null {
    return this.#known(this.#recipes.get(name));
  }

  machine(name: string): Definition | null {
    return this.#known(this.#machines.get(name));
  }

  #known<T extends Published>(definition: T | undefined): (T & Definition) | null {
    if (definition === undefined || definition.since > this.position) return null;
    const { inForceSince } = definition;
    const inForce = inForceSince === undefined || (inForceSince !== null && inForceSince <= this.position);
    return inForce ? definition : { ...definition, awaitsApproval: true };
  }
}

const equipment = z.object({ equipment: z.string(), line: z.string(), class: z.string(), title: z.string().nullable() });
const source = z.object({ source: z.string(), equipment: z.string(), device: z.string().nullable(), numbering: z.boolean(), revoked: z.boolean() });
const published = z.object({ hash: z.string(), awaitsApproval: z.literal(true).optional() });
const body = z.object({ object: z.string(), new: z.unknown() });

/** Registers what was there at the start. What became known later is made known by `appear`. */
export function registerAtStart(record: SiteRecord, { registered, sourceKeys }: RecordedSite): void {
  // equipment comes with the source of its own
  for (const one of registered.equipment) registerEquipment(record, one, sourceKeys);
  for (const one of registered.sources) if (one.device !== null) registerSource(record, one, sourceKeys);
  for (const { source: name, numbering, revoked } of registered.sources) Object.assign(record.sources.get(name) ?? {}, { numbering, revoked });
}

/** Gives a source the key under which the record names it. */
export function nameSource(record: SiteRecord, row: SourceRow, key: string): void {
  if (key === row.key) return;
  if (record.sourcesByKey.get(row.key) === row) record.sourcesByKey.delete(row.key);
  row.key = key;
  record.sourcesByKey.set(key, row);
}

/** What an act changes of the registry; in words, what in it cannot be. */
export function applyAct(
  record: SiteRecord,
  site: Pick<RecordedSite, "sourceKeys" | "definitions">,
  type: string | null,
  said: unknown,
  actor: string | null,
): string | null {
  if (isPartyAct(type)) return applyPartyAct(record, type, body.parse(said).new);
  if (isStationAct(type)) return applyStationAct(record, type, body.parse(said).new, actor ?? "");
  switch (type) {
    case "equipment.registered":
      registerEquipment(record, equipment.parse(body.parse(said).new), site.sourceKeys);
      return null;
    case "equipment.changed": {
      const { equipment: name, class: className, title } = equipment.parse(body.parse(said).new);
      const row = record.equipment.get(name);
      if (row === undefined) return `equipment ${name} changes and is not registered`;
      record.equipment.set(name, { ...row, class: className, title, version: row.version + 1 });
      return null;
    }
    case "source.registered":
      registerSource(record, source.parse(body.parse(said).new), site.sourceKeys);
      return null;
    case "source.changed":
      return changeSource(record, source.parse(body.parse(said).new));
    case "recipe.registered":
    case "state-machine.registered":
      return isPublished(site.definitions, body.parse(said));
    case "recipe.approved":
    case "state-machine.approved":
      return isApproved(site.definitions, body.parse(said));
    default:
      return null;
  }
}

function changeSource(record: SiteRecord, { source: name, numbering, revoked }: z.infer<typeof source>): string | null {
  const row: SourceRow | undefined = record.sources.get(name);
  if (row === undefined) return `source ${name} changes and is not registered`;
  Object.assign(row, { numbering, revoked, version: row.version + 1 });
  return null;
}

function isPublished(definitions: readonly Published[], { object, new: made }: z.infer<typeof body>): string | null {
  const known = definitions.find(({ kind, name }) => `${kind} ${name}` === object);
  if (known === undefined) return `${object} was registered and is not there`;
  const { hash, awaitsApproval } = published.parse(made);
  if (known.hash !== hash) return `${object} is not the one that was registered`;
  return (awaitsApproval === true) === (known.inForceSince !== undefined)
    ? null
    : `${object} was ${awaitsApproval ? "to be approved, and is not" : "in force at once"}`;
}

function isApproved(definitions: readonly Published[], { object }: z.infer<typeof body>): string | null {
  const known = definitions.find(({ kind, name }) => `${kind} ${name}` === object);
  return known?.inForceSince == null ? `${object} was approved, and is not` : null;
}
