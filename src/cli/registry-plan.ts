import { z } from "zod";

export type Kind = "state-machines" | "equipment" | "sources" | "recipes";

/** In this order: a recipe names state machines; a source stands below equipment, whose registration makes the site known. */
export const KINDS: readonly Kind[] = ["state-machines", "equipment", "sources", "recipes"];

export interface Document {
  readonly kind: Kind;
  /** Relative to the directory, for people. */
  readonly file: string;
  readonly content: unknown;
}

export type Planned =
  | { readonly kind: "put"; readonly file: string; readonly name: string; readonly path: string; readonly body: unknown }
  | { readonly kind: "refused"; readonly file: string; readonly reason: string };

const id = z.string().min(1);
const shapes = {
  recipes: z.looseObject({ recipe: id, revision: z.int() }),
  "state-machines": z.looseObject({ name: id, revision: z.int() }),
  equipment: z.looseObject({ equipment: id, site: id.optional() }),
  sources: z.looseObject({ source: id }),
} as const;

/** The request that registers a document. Equipment may name its site itself; otherwise it belongs to `site`. What is wrong with the content the service says. */
export function plan(document: Document, site: string | null): Planned {
  const { file, content } = document;
  const refused = (reason: string): Planned => ({ kind: "refused", file, reason });
  const put = (name: string, path: string, body: unknown): Planned => ({ kind: "put", file, name, path, body });
  const parsed = shapes[document.kind].safeParse(content);
  if (!parsed.success) return refused(parsed.error.issues.map((issue) => `/${issue.path.join("/")} ${issue.message}`).join("; "));
  switch (document.kind) {
    case "recipes": {
      const { recipe, revision } = shapes.recipes.parse(content);
      return put(`recipe ${recipe}@${revision}`, `/v1/registry/recipes/${encodeURIComponent(recipe)}/revisions/${revision}`, content);
    }
    case "state-machines": {
      const { name, revision } = shapes["state-machines"].parse(content);
      // A name has a slash; in a path it stands as a dot.
      return put(
        `state machine ${name}@${revision}`,
        `/v1/registry/state-machines/${encodeURIComponent(name.replace("/", "."))}/revisions/${revision}`,
        content,
      );
    }
    case "equipment": {
      const { site: own, ...body } = shapes.equipment.parse(content);
      const at = own ?? site;
      if (at === null) return refused('names no site: add "site", or give --site');
      return put(`equipment ${body.equipment} at ${at}`, `/v1/sites/${encodeURIComponent(at)}/registry/equipment/${encodeURIComponent(body.equipment)}`, body);
    }
    case "sources": {
      const { source } = shapes.sources.parse(content);
      const [, at, equipment, device] = /^\/site\/([^/]+)\/line\/[^/]+\/eq\/([^/]+)(?:\/device\/([^/]+))?$/.exec(source) ?? [];
      if (at === undefined || equipment === undefined) return refused(`/source looks like /site/{s}/line/{l}/eq/{e}[/device/{d}]`);
      const name = device === undefined ? equipment : `${equipment}.${device}`;
      return put(`source ${source}`, `/v1/sites/${encodeURIComponent(at)}/registry/sources/${encodeURIComponent(name)}`, content);
    }
  }
}
