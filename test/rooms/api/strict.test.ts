// Promise: what nobody reads, nobody may believe to be in force: an unknown field of a write, at whatever depth, and an unknown parameter are refused by name.
// Attack: from the served document, for every route: a body that fits, with one more field in each of its objects in turn; and each query with one more parameter.
import { readFileSync } from "node:fs";
import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { type Schema, schemaShape } from "../../faults/fuzz/schema-values.ts";
import { apiAlone } from "../../support/api.ts";

const UNKNOWN = "nobodyknows";

const served = z.looseObject({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.looseObject({
        parameters: z.array(z.looseObject({ name: z.string(), in: z.string(), required: z.boolean().optional(), schema: schemaShape })).default([]),
        requestBody: z.looseObject({ content: z.record(z.string(), z.looseObject({ schema: schemaShape })) }).optional(),
      }),
    ),
  ),
});
type Route = z.infer<typeof served>["paths"][string][string];

let api: FastifyInstance;
let routes: readonly { readonly method: string; readonly path: string; readonly route: Route; readonly body: Schema | null }[];
beforeAll(async () => {
  api = await apiAlone({ shard: () => ({ command: () => Promise.reject(new Error("it was done")), dryRun: () => Promise.reject(new Error("it was done")) }) });
  const { paths } = served.parse((await api.inject("/openapi.json")).json());
  routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, route]) => ({
      method: method.toUpperCase(),
      path,
      route,
      body: route.requestBody?.content["application/json"]?.schema ?? null,
    })),
  );
});
afterAll(() => api.close());

const TEXTS = [
  "x",
  "1",
  "step/governed@1",
  "0".repeat(64),
  "kg",
  "2026-11-22T08:00:00Z",
  "AAAA",
  "/v1/x",
  "https://provider.example",
  "person:ann",
  "signalbox.step.start.v1",
  "2026-11-22T08:00:00.000Z",
];

/** A value that fits, with everything in it that may be there, or with nothing that need not be. */
function sample(schema: Schema, least = false): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0];
  if (schema.anyOf !== undefined) return sample(schema.anyOf[0] ?? {}, least);
  switch (schema.type) {
    case "string": {
      const fits = TEXTS.find((text) => text.length >= (schema.minLength ?? 0) && new RegExp(schema.pattern ?? "", "u").test(text));
      if (fits === undefined) throw new Error(`no text here fits ${schema.pattern}`);
      return fits;
    }
    case "integer":
    case "number":
      return Math.max(1, schema.minimum ?? 1);
    case "boolean":
      return true;
    case "array":
      return [sample(schema.items ?? {}, least)];
    case "object":
      return {
        ...Object.fromEntries(
          Object.entries(schema.properties ?? {})
            .filter(([name]) => !least || schema.required?.includes(name))
            .map(([name, inner]) => [name, sample(inner, least)]),
        ),
        ...(typeof schema.additionalProperties === "object" && schema.properties === undefined ? { x: sample(schema.additionalProperties) } : {}),
      };
    default:
      return {};
  }
}

/** Every object in a schema that has a fixed set of fields, by the path that its sample has. What is free content, or named by the plant, is none. */
function closed(schema: Schema, at: readonly (string | number)[] = []): readonly (readonly (string | number)[])[] {
  if (schema.anyOf !== undefined) return closed(schema.anyOf[0] ?? {}, at);
  if (schema.type === "array") return closed(schema.items ?? {}, [...at, 0]);
  if (schema.type !== "object") return [];
  const inner = Object.entries(schema.properties ?? {}).flatMap(([name, property]) => closed(property, [...at, name]));
  const named = typeof schema.additionalProperties === "object" && schema.properties === undefined ? closed(schema.additionalProperties, [...at, "x"]) : [];
  return [...(schema.properties === undefined ? [] : [at]), ...inner, ...named];
}

/** A copy with one more field at a path. */
function withUnknown(value: unknown, at: readonly (string | number)[]): unknown {
  const [next, ...rest] = at;
  if (next === undefined) return { ...Object(value), [UNKNOWN]: true };
  if (Array.isArray(value)) return value.map((item, i) => (i === next ? withUnknown(item, rest) : item));
  return { ...Object(value), [next]: withUnknown(Object(value)[next], rest) };
}

function addressOf(path: string, { parameters }: Route, more: Readonly<Record<string, string>> = {}): string {
  const at = parameters.filter((one) => one.in === "path").reduce((told, { name, schema }) => told.replace(`{${name}}`, String(sample(schema))), path);
  const query = new URLSearchParams();
  for (const { name, schema } of parameters.filter((one) => one.in === "query" && one.required === true)) query.set(name, String(sample(schema)));
  for (const [name, value] of Object.entries(more)) query.set(name, value);
  return query.size === 0 ? at : `${at}?${query}`;
}

async function ask(method: string, url: string, body?: unknown) {
  const answer = await api.inject({
    method: method as "GET",
    url,
    ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, payload: JSON.stringify(body) }),
  });
  return { status: answer.statusCode, errors: answer.statusCode === 400 ? (answer.json().errors as unknown) : [], text: answer.body };
}

const pointer = (at: readonly (string | number)[]): string => [...at, UNKNOWN].map((part) => `/${part}`).join("");

test("every body that has a fixed set of fields is refused with one more, in each of its objects, by the place of that field", async () => {
  const free: string[] = [];
  let tried = 0;
  for (const { method, path, route, body } of routes) {
    if (body === null) continue;
    const places = closed(body);
    if (places.length === 0) free.push(`${method} ${path}`);
    const whole = sample(body);
    const url = addressOf(path, route);
    expect((await ask(method, url, whole)).text, `${method} ${path}`).not.toContain(UNKNOWN);
    for (const at of places) {
      const { status, errors } = await ask(method, url, withUnknown(whole, at));
      expect([`${method} ${path}`, status], pointer(at)).toEqual([`${method} ${path}`, 400]);
      expect(errors, `${method} ${path}`).toContainEqual({ pointer: pointer(at), detail: "is not known here" });
      tried += 1;
    }
  }
  // the next two tests are about these; an event that is only tried is judged as it would be over MQTT
  expect(free.sort()).toEqual(["PUT /v1/registry/event-types/{id}", "PUT /v1/registry/state-machines/{id}/revisions/{revision}"]);
  expect(tried).toBeGreaterThan(routes.filter(({ body }) => body !== null).length);
});

test("a state machine is refused with one more field, in each of its objects that is not named by its author", async () => {
  const machine: unknown = JSON.parse(readFileSync(new URL("../../../state-machines/step/governed.v1.json", import.meta.url), "utf8"));
  // what stands below these is named by whoever writes the machine
  const named = new Set(["states", "on", "isa88", "isa95", "params"]);
  const objects = (value: unknown, at: readonly (string | number)[]): readonly (readonly (string | number)[])[] =>
    typeof value !== "object" || value === null
      ? []
      : [
          ...(Array.isArray(value) || named.has(String(at.at(-1))) ? [] : [at]),
          ...Object.entries(value).flatMap(([name, inner]) => (name === "params" ? [] : objects(inner, [...at, Array.isArray(value) ? Number(name) : name]))),
        ];
  const places = objects(machine, []);
  expect(places.length).toBeGreaterThan(20);
  for (const at of places) {
    const { status, errors } = await ask("PUT", "/v1/registry/state-machines/step.governed/revisions/1", withUnknown(machine, at));
    expect(status, pointer(at)).toBe(400);
    expect(errors).toContainEqual({ pointer: pointer(at), detail: "is not known here" });
  }
});

test("an event type is refused whatever it says: no field of it comes into force", async () => {
  expect((await ask("PUT", "/v1/registry/event-types/x", { [UNKNOWN]: true })).status).toBe(409);
});

describe("an unknown parameter", () => {
  test("is refused by name on every route that has a query", async () => {
    const asked = routes.filter(({ route }) => route.parameters.some((one) => one.in === "query"));
    expect(asked.length).toBeGreaterThan(10);
    for (const { method, path, route } of asked) {
      const { status, errors } = await ask(method, addressOf(path, route, { [UNKNOWN]: "1" }));
      expect([`${method} ${path}`, status, errors]).toEqual([`${method} ${path}`, 400, [{ pointer: `/${UNKNOWN}`, detail: "is not known here" }]]);
    }
  });

  test("is refused by name on every route that has none, so that a list which knows no such filter is not taken for what it left", async () => {
    const asked = routes.filter(({ path, route }) => path.startsWith("/v1/") && !route.parameters.some((one) => one.in === "query"));
    expect(asked.length).toBeGreaterThan(50);
    for (const { method, path, route, body } of asked) {
      const { status, errors } = await ask(method, addressOf(path, route, { [UNKNOWN]: "1" }), body === null ? undefined : sample(body, true));
      expect([`${method} ${path}`, status, errors]).toEqual([`${method} ${path}`, 400, [{ pointer: `/${UNKNOWN}`, detail: "is not known here" }]]);
    }
  });

  test("is refused by name on every write, so that nothing that was meant to be tried is done", async () => {
    const writes = routes.filter(({ body }) => body !== null);
    expect(writes.length).toBeGreaterThan(15);
    for (const { method, path, route, body } of writes) {
      const { status, errors } = await ask(method, addressOf(path, route, { dryRun: "true" }), sample(body ?? {}, true));
      expect([`${method} ${path}`, status, errors]).toEqual([`${method} ${path}`, 400, [{ pointer: "/dryRun", detail: "is not known here" }]]);
    }
  });
});

test("what is no route, or no method of one, is 404", async () => {
  for (const { path, route } of routes) {
    const known = new Set(routes.filter((other) => other.path === path).map(({ method }) => method));
    for (const method of ["PUT", "POST", "PATCH", "DELETE"].filter((one) => !known.has(one)))
      expect([method, path, (await ask(method, addressOf(path, route), {})).status]).toEqual([method, path, 404]);
  }
  for (const path of ["/v1", "/v2/events", "/v1/events/", "/v1/sites", "/admin", "/.env"]) expect([path, (await ask("GET", path)).status]).toEqual([path, 404]);
});
