import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { signatureInWords } from "../audit/entry.ts";
import { GUARDS } from "../decide/guards.ts";
import { stateMachineSchema } from "../decide/state-machine.ts";
import { checkStateMachine } from "../decide/state-machine-check.ts";
import { dataSchema, EVENT_TYPES, type EventTypeName, isEventTypeName } from "../decode/event-types.ts";
import { parseSource } from "../decode/topic.ts";
import { approveDefinition, type DefinitionKind, type Governed } from "../registry/governed.store.ts";
import { recipeSchema } from "../registry/recipe.ts";
import { checkRecipe } from "../registry/recipe-check.ts";
import {
  listEquipment,
  listRecipes,
  listSources,
  listStateMachines,
  putEquipment,
  putRecipe,
  putSource,
  putStateMachine,
  type Registered,
  readEquipment,
  readRecipe,
  readRecipeRevisions,
  readSourceById,
  readStateMachine,
  readStateMachineRevisions,
} from "../registry/registry.store.ts";
import { attributionOf } from "./attribution.http.ts";
import type { ApiDeps } from "./deps.ts";
import { faultsAt } from "./fault.ts";
import { personIn } from "./guard.http.ts";
import { invalid, notFound, Problem } from "./problem.ts";
import { listSites } from "./reads.store.ts";
import {
  ACT_PROBLEMS,
  cursorText,
  decodeCursor,
  json,
  listLimit,
  page,
  pageOf,
  plantId,
  positionNumber,
  READ_PROBLEMS,
  REGISTRY_PROBLEMS,
  reasonHeaders,
  wholeNumber,
} from "./schemas.ts";
import { signatureSchema } from "./signatures.http.ts";
import { mustBeSigned } from "./signing.http.ts";

const inForce = z.boolean().describe("Batches can be bound to it. What a person registers awaits another's approval.");
const registered = z.object({ result: z.enum(["registered", "unchanged"]), hash: z.string(), inForce });
const content = z.record(z.string(), z.unknown());
const definition = z.object({
  hash: z.string(),
  content,
  inForce,
  proposed: z
    .object({ by: z.string(), at: z.string() })
    .nullable()
    .describe("null: by nobody in particular, or by the service itself; then it was in force at once."),
  approved: z
    .object({ by: z.string(), at: z.string(), signed: z.string().nullable().describe("The signature, as it is printed."), signature: signatureSchema })
    .nullable(),
});
const definitionView = ({ approved, ...rest }: Governed): z.infer<typeof definition> =>
  definition.parse({ ...rest, approved: approved === null ? null : { ...approved, signed: signatureInWords(approved.signature) } });
const revisions = z.object({ items: z.array(z.object({ revision: z.int(), hash: z.string(), inForce })) });
const equipmentSchema = z.object({ equipment: z.string(), line: z.string(), class: z.string(), title: z.string().nullable() });
const sourceSchema = z.object({
  source: z.string(),
  line: z.string(),
  equipment: z.string(),
  device: z.string().nullable(),
  numbering: z.boolean(),
  revoked: z.boolean(),
});
const listed = z.object({ name: z.string(), revision: z.int(), hash: z.string(), inForce });
const pages = z.strictObject({ cursor: cursorText, limit: listLimit });
const listedCursor = z.tuple([z.string().regex(/^[!-~]{1,256}$/), positionNumber]);
const revision = wholeNumber(1, 999_999_999);

/** State machine names have a slash; in a path it stands as a dot: `step.governed`. */
const machineName = (id: string): string => id.replace(".", "/");

export function registryRoutes(scope: FastifyInstance, deps: ApiDeps): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  const { db, own } = deps;

  const answer = (put: Registered) => {
    if (put.kind === "refused") throw new Problem(409, put.code, put.reason, { errors: [...put.errors] });
    return { result: put.kind, hash: put.hash, inForce: put.inForce };
  };
  const refuse = (problems: readonly { pointer: string; problem: string }[]): void => {
    if (problems.length > 0)
      throw invalid(
        `It cannot be registered: ${problems[0]?.problem}`,
        problems.map(({ pointer, problem }) => ({ pointer, detail: problem })),
      );
  };

  const known = async (site: string): Promise<void> => {
    if (!(await listSites(db)).includes(site)) throw notFound(`site ${site}`);
  };

  for (const [kind, operationId, summary, list] of [
    ["recipes", "listRecipes", "Every revision of every recipe", listRecipes],
    ["state-machines", "listStateMachines", "Every revision of every state machine", listStateMachines],
  ] as const) {
    app.get(
      `/v1/registry/${kind}`,
      {
        schema: {
          operationId,
          summary,
          tags: ["registry"],
          querystring: pages,
          response: { 200: json(page(listed), "A page, by name and revision."), ...READ_PROBLEMS },
        },
      },
      async (request) => {
        const { cursor, limit } = request.query;
        const after = decodeCursor(cursor, listedCursor);
        const rows = await list(db, after === null ? null : { name: after[0], revision: after[1] }, limit + 1);
        return pageOf(rows, limit, ({ name, revision: number }) => [name, number]);
      },
    );
  }

  app.put(
    "/v1/registry/recipes/:id/revisions/:revision",
    {
      schema: {
        operationId: "putRecipe",
        summary: "Publishes a recipe revision, for good; a recipe that cannot complete is refused",
        tags: ["registry"],
        headers: reasonHeaders,
        params: z.strictObject({ id: plantId, revision }),
        body: recipeSchema,
        response: { 200: json(registered, "Published, or unchanged."), ...REGISTRY_PROBLEMS },
      },
    },
    async (request) => {
      const { id, revision: number } = request.params;
      if (request.body.recipe !== id || request.body.revision !== number)
        throw invalid("Path and content name different recipes.", [{ pointer: "/recipe", detail: `is not ${id}@${number}` }]);
      const names = new Set<string>();
      for (const name of Object.values(request.body.stateMachines)) {
        const [machine = "", rev = "0"] = name.split("@");
        if ((await readStateMachine(db, machine, Number(rev))) !== null) names.add(name);
      }
      refuse(checkRecipe(request.body, names).filter((p) => p.severity !== "warning"));
      return answer(await putRecipe(own, request.body, attributionOf(request, null)));
    },
  );
  app.get(
    "/v1/registry/recipes/:id/revisions/:revision",
    {
      schema: {
        operationId: "getRecipe",
        summary: "A recipe revision",
        tags: ["registry"],
        params: z.strictObject({ id: plantId, revision }),
        response: { 200: json(definition, "The recipe."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const found = await readRecipe(db, request.params.id, request.params.revision);
      if (found === null) throw notFound(`recipe ${request.params.id}@${request.params.revision}`);
      return definitionView(found);
    },
  );
  app.get(
    "/v1/registry/recipes/:id",
    {
      schema: {
        operationId: "listRecipeRevisions",
        summary: "The revisions of a recipe",
        tags: ["registry"],
        params: z.strictObject({ id: plantId }),
        response: { 200: json(revisions, "The revisions."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const items = await readRecipeRevisions(db, request.params.id);
      if (items.length === 0) throw notFound(`recipe ${request.params.id}`);
      return { items: [...items] };
    },
  );

  app.put(
    "/v1/registry/state-machines/:id/revisions/:revision",
    {
      schema: {
        operationId: "putStateMachine",
        summary: "Publishes a state machine revision, for good, once the checker has nothing against it",
        description: "The id is the machine's name with a dot for its slash: step.governed.",
        tags: ["registry"],
        headers: reasonHeaders,
        params: z.strictObject({ id: plantId, revision }),
        body: content,
        response: { 200: json(registered, "Published, or unchanged."), ...REGISTRY_PROBLEMS },
      },
    },
    async (request) => {
      const parsed = stateMachineSchema.safeParse(request.body);
      if (!parsed.success)
        throw invalid(
          "It is no state machine.",
          parsed.error.issues.flatMap((issue) => faultsAt(issue)),
        );
      if (parsed.data.name !== machineName(request.params.id) || parsed.data.revision !== request.params.revision)
        throw invalid("Path and content name different state machines.", [{ pointer: "/name", detail: `is not ${machineName(request.params.id)}` }]);
      refuse(checkStateMachine(request.body, new Set(GUARDS.keys())));
      return answer(await putStateMachine(own, parsed.data, attributionOf(request, null)));
    },
  );
  app.get(
    "/v1/registry/state-machines/:id/revisions/:revision",
    {
      schema: {
        operationId: "getStateMachine",
        summary: "A state machine revision",
        tags: ["registry"],
        params: z.strictObject({ id: plantId, revision }),
        response: { 200: json(definition, "The state machine."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const found = await readStateMachine(db, machineName(request.params.id), request.params.revision);
      if (found === null) throw notFound(`state machine ${machineName(request.params.id)}@${request.params.revision}`);
      return definitionView(found);
    },
  );
  app.get(
    "/v1/registry/state-machines/:id",
    {
      schema: {
        operationId: "listStateMachineRevisions",
        summary: "The revisions of a state machine",
        tags: ["registry"],
        params: z.strictObject({ id: plantId }),
        response: { 200: json(revisions, "The revisions."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const items = await readStateMachineRevisions(db, machineName(request.params.id));
      if (items.length === 0) throw notFound(`state machine ${machineName(request.params.id)}`);
      return { items: [...items] };
    },
  );

  for (const [kind, of, operationId, nameOf] of [
    ["recipe", "recipes", "approveRecipe", (id) => id],
    ["state machine", "state-machines", "approveStateMachine", machineName],
  ] as const satisfies readonly (readonly [DefinitionKind, string, string, (id: string) => string])[]) {
    app.post(
      `/v1/registry/${of}/:id/revisions/:revision/approval`,
      {
        schema: {
          operationId,
          summary: `Approves a ${kind} revision that another person has registered: from then on batches are bound to it`,
          description: "Signed: ask for a challenge, and sign that.",
          tags: ["registry"],
          headers: reasonHeaders,
          params: z.strictObject({ id: plantId, revision }),
          body: z.strictObject({
            hash: z
              .string()
              .regex(/^[0-9a-f]{64}$/, "is no SHA-256 in hexadecimal")
              .describe("The revision's own: whoever approves names what they have seen."),
          }),
          response: { 200: json(definition, "The revision, in force."), ...ACT_PROBLEMS },
        },
      },
      async (request) => {
        const { id, revision: number } = request.params;
        const object = `${kind} ${nameOf(id)}@${number}`;
        personIn(request);
        mustBeSigned(request);
        const approved = await approveDefinition(own, kind, { name: nameOf(id), revision: number, hash: request.body.hash }, attributionOf(request, null));
        if (approved.kind === "approved") return definitionView(approved.revision);
        switch (approved.because) {
          case "unknown":
            throw notFound(object);
          case "in force":
            throw new Problem(409, "REV_IN_FORCE", `${object} is in force.`);
          case "other":
            throw new Problem(409, "REV_OTHER", `${object} has another hash.`);
          case "own":
            throw new Problem(403, "SIGNATURE_OWN_DEED", `You have registered ${object} yourself; another person approves it.`);
        }
      },
    );
  }

  app.get(
    "/v1/registry/event-types",
    {
      schema: {
        operationId: "listEventTypes",
        summary: "The event types that this version takes",
        tags: ["registry"],
        response: { 200: json(z.object({ items: z.array(z.object({ type: z.string(), title: z.string() })) }), "The event types."), ...READ_PROBLEMS },
      },
    },
    async () => ({ items: Object.entries(EVENT_TYPES).map(([name, { title }]) => ({ type: `signalbox.${name}.v1`, title })) }),
  );
  app.get(
    "/v1/registry/event-types/:id",
    {
      schema: {
        operationId: "getEventType",
        summary: "How an event type is handled, and the schema of its data",
        tags: ["registry"],
        params: z.strictObject({ id: z.string().max(128) }),
        response: {
          200: json(
            z.object({
              type: z.string(),
              title: z.string(),
              mood: z.string(),
              waits: z.boolean(),
              ordering: z.string(),
              context: z.string(),
              patience: z.string(),
              schema: content,
            }),
            "The event type.",
          ),
          ...READ_PROBLEMS,
        },
      },
    },
    async (request) => {
      const name = typeIn(request.params.id);
      const { schema: _, ...handling } = EVENT_TYPES[name];
      return { type: `signalbox.${name}.v1`, ...handling, schema: dataSchema(name) };
    },
  );
  app.put(
    "/v1/registry/event-types/:id",
    {
      schema: {
        operationId: "putEventType",
        summary: "Event types are shipped with the service",
        tags: ["registry"],
        params: z.strictObject({ id: z.string().max(128) }),
        body: content,
        response: { ...REGISTRY_PROBLEMS },
      },
    },
    async () => {
      throw new Problem(409, "REV_PUBLISHED", "Event types are shipped with the service and do not change within a version.");
    },
  );

  app.put(
    "/v1/sites/:site/registry/equipment/:id",
    {
      schema: {
        operationId: "putEquipment",
        summary: "Registers equipment; it is at once a numbering source, and its site is known from then on",
        tags: ["registry"],
        headers: reasonHeaders,
        params: z.strictObject({ site: plantId, id: plantId }),
        body: z.strictObject({ equipment: plantId, line: plantId, class: plantId, title: z.string().min(1).max(256).optional() }),
        response: { 200: json(registered, "Registered, or unchanged."), ...REGISTRY_PROBLEMS },
      },
    },
    async (request) => {
      const { site, id } = request.params;
      const { equipment, line, class: className, title } = request.body;
      if (equipment !== id) throw invalid("Path and content name different equipment.", [{ pointer: "/equipment", detail: `is not ${id}` }]);
      const put = await putEquipment(own, site, { equipment, line, class: className, title: title ?? null }, attributionOf(request, site));
      await deps.siteRegistered(site);
      return answer(put);
    },
  );
  app.get(
    "/v1/sites/:site/registry/equipment/:id",
    {
      schema: {
        operationId: "getEquipment",
        summary: "A piece of equipment",
        tags: ["registry"],
        params: z.strictObject({ site: plantId, id: plantId }),
        response: { 200: json(equipmentSchema, "The equipment."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const found = await readEquipment(db, request.params.site, request.params.id);
      if (found === null) throw notFound(`equipment ${request.params.id} at site ${request.params.site}`);
      return found;
    },
  );
  app.get(
    "/v1/sites/:site/registry/equipment",
    {
      schema: {
        operationId: "listEquipment",
        summary: "The equipment of a site",
        tags: ["registry"],
        params: z.strictObject({ site: plantId }),
        querystring: pages,
        response: { 200: json(page(equipmentSchema), "The equipment."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const { site } = request.params;
      const { cursor, limit } = request.query;
      await known(site);
      const after = decodeCursor(cursor, z.tuple([plantId]));
      return pageOf(await listEquipment(db, site, after?.[0] ?? null, limit + 1), limit, ({ equipment }) => [equipment]);
    },
  );

  app.put(
    "/v1/sites/:site/registry/sources/:id",
    {
      schema: {
        operationId: "putSource",
        summary: "Registers a source below an equipment, or revokes it",
        description: "The id is any plant id; the source names itself in the body.",
        tags: ["registry"],
        headers: reasonHeaders,
        params: z.strictObject({ site: plantId, id: plantId }),
        body: z.strictObject({ source: z.string().max(512), numbering: z.boolean().default(true), revoked: z.boolean().default(false) }),
        response: { 200: json(registered, "Registered, or unchanged."), ...REGISTRY_PROBLEMS },
      },
    },
    async (request) => {
      const { source, numbering, revoked } = request.body;
      await known(request.params.site);
      const address = parseSource(source);
      if (address === null || address.site !== request.params.site)
        throw invalid("The source is none of this site's.", [
          { pointer: "/source", detail: `looks like /site/${request.params.site}/line/{l}/eq/{e}[/device/{d}]` },
        ]);
      return answer(
        await putSource(
          own,
          address.site,
          { source, line: address.line, equipment: address.equipment, device: address.device, numbering, revoked },
          attributionOf(request, address.site),
        ),
      );
    },
  );
  app.get(
    "/v1/sites/:site/registry/sources",
    {
      schema: {
        operationId: "listSources",
        summary: "The sources of a site",
        tags: ["registry"],
        params: z.strictObject({ site: plantId }),
        querystring: pages,
        response: { 200: json(page(sourceSchema), "The sources."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const { site } = request.params;
      const { cursor, limit } = request.query;
      await known(site);
      const after = decodeCursor(cursor, z.tuple([z.string().regex(/^[!-~]{1,512}$/)]));
      return pageOf(await listSources(db, site, after?.[0] ?? null, limit + 1), limit, ({ source }) => [source]);
    },
  );
  app.get(
    "/v1/sites/:site/registry/sources/:id",
    {
      schema: {
        operationId: "getSourceRecord",
        summary: "The source of an equipment",
        description: "The id is the equipment's, or equipment:device for a device.",
        tags: ["registry"],
        params: z.strictObject({ site: plantId, id: z.string().max(129) }),
        response: { 200: json(sourceSchema, "The source."), ...READ_PROBLEMS },
      },
    },
    async (request) => {
      const { site, id } = request.params;
      const found = await readSourceById(db, site, id);
      if (found === null) throw notFound(`source ${id} at site ${site}`);
      return found;
    },
  );
}

/** A type by its short or its full name. */
export function typeIn(text: string): EventTypeName {
  const name = /^signalbox\.(.+)\.v1$/.exec(text)?.[1] ?? text;
  if (!isEventTypeName(name)) throw notFound(`event type ${text}`);
  return name;
}
