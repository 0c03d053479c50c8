// The documents are what outsiders build on: each is valid under the schema of its own standard, and says nothing vague about what it takes.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv from "ajv";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { asyncApi } from "../../../src/api/asyncapi.ts";
import { REQUEST_CODES } from "../../../src/api/codes.ts";
import { CODES } from "../../../src/decide/verdict.ts";
import { EVENT_TYPES } from "../../../src/decode/event-types.ts";
import { apiAlone } from "../../support/api.ts";

const require = createRequire(import.meta.url);

const schema = z.looseObject({ type: z.string().optional(), additionalProperties: z.unknown().optional() });
const operation = z.looseObject({
  operationId: z.string().optional(),
  summary: z.string().optional(),
  requestBody: z.looseObject({ content: z.record(z.string(), z.looseObject({ schema })) }).optional(),
  responses: z.record(z.string(), z.looseObject({ description: z.string(), content: z.record(z.string(), z.looseObject({ schema: z.unknown() })).optional() })),
});
const openApi = z.looseObject({ openapi: z.string(), paths: z.record(z.string(), z.record(z.string(), operation)) });

const METHODS = /\b(GET|PUT|POST|PATCH)\b/g;
/** What section 7 of the contract lists and this release serves. Holds, signatures and audit are not part of it. */
const CONTRACT = `
GET /v1/events
GET /v1/events/{verdict}
POST /v1/events/dry-run
GET POST /v1/sites/{site}/batches
GET PATCH /v1/sites/{site}/batches/{batch}
GET /v1/sites/{site}/batches/{batch}/timeline
GET /v1/sites/{site}/batches/{batch}/record
GET /v1/sites/{site}/batches/{batch}/permitted
GET /v1/sites/{site}/batches/{batch}/outcomes
POST /v1/sites/{site}/batches/{batch}/commands
POST /v1/sites/{site}/batches/{batch}/steps/{step}/commands
GET /v1/context-locks
POST /v1/context-locks/{id}/takeover
GET /v1/sources/{site}/{line}/{equipment}
GET /v1/sources/{site}/{line}/{equipment}/{device}
POST /v1/sources/{site}/{line}/{equipment}/succession
POST /v1/sources/{site}/{line}/{equipment}/{device}/succession
GET /v1/gaps
POST /v1/gaps/{id}/resolution
GET /v1/quarantine
POST /v1/quarantine/{id}/resolution
GET /v1/exceptions
POST /v1/exceptions/{id}/resolution
GET /v1/outcomes
GET /v1/outcomes/events
GET /v1/registry/recipes/{id}
GET PUT /v1/registry/recipes/{id}/revisions/{revision}
GET /v1/registry/state-machines/{id}
GET PUT /v1/registry/state-machines/{id}/revisions/{revision}
GET PUT /v1/registry/event-types/{id}
GET PUT /v1/sites/{site}/registry/equipment/{id}
GET PUT /v1/sites/{site}/status/{kind}/{id}
GET PUT /v1/sites/{site}/outcomes/confirmation
GET PUT /v1/sites/{site}/registry/sources/{id}
GET /v1/codes
GET /v1/schemas/{type}
GET /v1/context-windows
GET /openapi.json
GET /asyncapi.json
GET /health/live
GET /health/ready
GET /metrics`
  .trim()
  .split("\n")
  .flatMap((line) => (line.match(METHODS) ?? []).map((method) => `${method} ${line.replace(METHODS, "").trim()}`));

let api: FastifyInstance;
let document: z.infer<typeof openApi>;

beforeAll(async () => {
  api = await apiAlone();
  document = openApi.parse((await api.inject("/openapi.json")).json());
});
afterAll(() => api.close());

const operations = (): { readonly name: string; readonly method: string; readonly operation: z.infer<typeof operation> }[] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, found]) => ({ name: `${method.toUpperCase()} ${path}`, method, operation: found })),
  );

describe("the OpenAPI document", () => {
  test("is valid OpenAPI 3.1", async () => {
    const result = await new Validator().validate(JSON.parse(JSON.stringify(document)));
    expect(result.errors).toBeUndefined();
    expect(result.valid).toBe(true);
    expect(document.openapi).toMatch(/^3\.1\./);
  });

  test("has every resource of the contract that this release serves", () => {
    expect(operations().map(({ name }) => name)).toEqual(expect.arrayContaining(CONTRACT));
  });

  test("names every operation once, and says what it is for", () => {
    const ids = operations().map(({ operation: { operationId } }) => operationId);
    expect(ids).not.toContain(undefined);
    expect(ids).toHaveLength(new Set(ids).size);
    expect(operations().filter(({ operation: { summary } }) => summary === undefined)).toEqual([]);
  });

  test("describes every problem as a problem document, and none that cannot come", () => {
    for (const { name, method, operation: found } of operations()) {
      for (const status of ["400", "404", "500", "503"]) expect(Object.keys(found.responses), name).toContain(status);
      expect(Object.keys(found.responses).includes("415"), name).toBe(method !== "get");
      for (const [status, response] of Object.entries(found.responses)) {
        if (Number(status) >= 400 && name !== "GET /health/ready")
          expect(Object.keys(response.content ?? {}), `${name} ${status}`).toEqual(["application/problem+json"]);
      }
      expect(JSON.stringify(found)).not.toContain("Not used");
    }
  });

  test("permits no unknown field in any body that is not free content", () => {
    const free = new Set(["PUT /v1/registry/state-machines/{id}/revisions/{revision}", "PUT /v1/registry/event-types/{id}"]);
    const open = operations().filter(
      ({ operation: { requestBody } }) => requestBody !== undefined && requestBody.content["application/json"]?.schema.additionalProperties !== false,
    );
    expect(new Set(open.map(({ name }) => name))).toEqual(free);
  });

  // answers that come in several types had lost them
  test("says which headers an export comes with, and in which bounds numbers of an address are", () => {
    const created: unknown = document.paths["/v1/audit/exports"]?.["post"]?.responses["201"];
    expect(Object.keys(Object(created).headers)).toEqual(["location", "content-disposition", "repr-digest", "idempotent-replayed"]);
    expect(Object.keys(Object(created).content)).toEqual(["text/html", "text/csv", "application/x-tar"]);
    const parameters = Object(document.paths["/v1/audit/entries"]?.["get"])["parameters"];
    const limit = parameters.find(({ name }: { name: string }) => name === "limit");
    expect(limit).toMatchObject({ required: false, schema: { type: "integer", minimum: 1, maximum: 500 }, description: "Without it, 100." });
  });

  test("is shown to people at /docs", async () => {
    const page = await api.inject("/docs/");
    expect(page.statusCode).toBe(200);
    expect(page.headers["content-type"]).toContain("text/html");
  });
});

describe("the AsyncAPI document", () => {
  const specification = require.resolve("@asyncapi/specs/schemas/3.1.0-without-$id.json");

  test.each(["", "acme/plant/"])("is valid AsyncAPI 3.1 with the prefix %j", (prefix) => {
    const ajv = new Ajv.default({ strict: false, allErrors: true, validateFormats: true });
    addFormats.default(ajv);
    const valid = ajv.compile(JSON.parse(readFileSync(specification, "utf8")));
    expect(valid(JSON.parse(JSON.stringify(asyncApi({ version: "1.0.0", prefix })))), ajv.errorsText(valid.errors)).toBe(true);
  });

  test("has the topics of the contract, in both directions, below the prefix in use", () => {
    const parsed = z
      .looseObject({
        channels: z.record(z.string(), z.looseObject({ address: z.string() })),
        operations: z.record(z.string(), z.looseObject({ action: z.string(), channel: z.object({ $ref: z.string() }) })),
      })
      .parse(asyncApi({ version: "1.0.0", prefix: "acme/" }));
    const eq = "acme/site/{site}/line/{line}/eq/{equipment}";
    const spoken = Object.values(parsed.operations).map(({ action, channel }) => `${action} ${parsed.channels[channel.$ref.split("/").at(-1) ?? ""]?.address}`);
    expect(spoken.sort()).toEqual(
      [
        `receive ${eq}/event`,
        `receive ${eq}/diag`,
        `send ${eq}/verdict`,
        `send ${eq}/cursor`,
        `send ${eq}/device/{device}/cursor`,
        `send ${eq}/reply/{reply}`,
        `send ${eq}/outcome`,
        "send acme/site/{site}/line/{line}/batch/{batch}/outcome",
        "send acme/site/{site}/line/{line}/batch/{batch}/state",
        "send acme/site/{site}/outcome",
        "send acme/site/{site}/audit/checkpoint",
      ].sort(),
    );
  });
});

test("every outcome that an event or a command can bring about is named in the AsyncAPI document", () => {
  const parsed = z
    .looseObject({
      components: z.looseObject({
        messages: z.looseObject({
          outcome: z.looseObject({ payload: z.looseObject({ properties: z.looseObject({ type: z.object({ enum: z.array(z.string()) }) }) }) }),
        }),
      }),
    })
    .parse(asyncApi({ version: "1.0.0", prefix: "" }));
  const named = parsed.components.messages.outcome.payload.properties.type.enum;
  expect(named).toHaveLength(new Set(named).size);
  // the contract's ten of section 6, and what is told and moves nothing
  for (const type of ["batch.created", "batch.ready", "batch.started", "step.started", "evidence.recorded", "step.completed", "batch.completed"])
    expect(named).toContain(`signalbox.${type}.v1`);
  const told = Object.keys(EVENT_TYPES).filter((name) => /^(material\.(?!check)|label\.(?!check)|count|sample|downtime|alarm|call)/.test(name));
  expect(told.length).toBeGreaterThan(10);
  for (const name of told) expect(named).toContain(`signalbox.${name}.v1`);
});

describe("what is served beside them", () => {
  test("codes of requests and codes of events never share a name", () => {
    expect(Object.keys(REQUEST_CODES).filter((code) => Object.hasOwn(CODES, code))).toEqual([]);
  });

  test("every code is served with its meaning", async () => {
    const { items } = z
      .object({ items: z.array(z.looseObject({ code: z.string(), meaning: z.string().min(1), remedy: z.string().min(1) })) })
      .parse((await api.inject("/v1/codes")).json());
    expect(items.map(({ code }) => code).sort()).toEqual([...Object.keys(CODES), ...Object.keys(REQUEST_CODES)].sort());
  });

  test("every event type has its schema under its short and its full name", async () => {
    for (const name of Object.keys(EVENT_TYPES)) {
      const [short, full] = [await api.inject(`/v1/schemas/${name}`), await api.inject(`/v1/schemas/signalbox.${name}.v1`)];
      expect(short.statusCode, name).toBe(200);
      expect(full.json()).toEqual(short.json());
      const ajv = new Ajv2020.default({ strict: false });
      addFormats.default(ajv);
      expect(() => ajv.compile(schema.parse(short.json())), name).not.toThrow();
    }
  });
});
