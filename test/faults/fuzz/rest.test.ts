// Promise: over REST nobody gets further than the interface says. Every answer is one that the served document lists, a wrong request is told so without inner details, and
// changes nothing.
// Attack: requests made from the served OpenAPI document, parameter by parameter and field by field, valid, at the edge and wrong, and then requests that no document foresees:
// other methods and media types, broken and oversized bodies, headers that mean nothing, paths that try to get out.
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { BLEND } from "../../support/blend.ts";
import { INSIDE } from "../../support/inside.ts";
import { measured, SEED } from "../../support/measure.ts";
import { envelope, eventTopic, sourceOf } from "../../support/mqtt.ts";
import { validatedFetch } from "../../support/validate.ts";
import { type Door, fuzzed, openDoor, TIMEOUT_MS } from "./door.ts";
import { type Known, oddText, type Schema, schemaShape, valuesFor } from "./schema-values.ts";

const SITE = "restfuzz";
const SCALE = sourceOf(SITE, "4", "scale-1");
const signer = mkdtempSync(join(tmpdir(), "signalbox-fuzz-signer-"));
let door: Door;
let database: pg.Client;
let known: Known;
let operations: readonly Operation[];

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean | undefined;
  readonly schema: Schema;
}
interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly body: Schema | null;
}
interface Asked {
  readonly operation: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

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

beforeAll(async () => {
  // with a signer: a request may have the site show only what is signed
  door = await openDoor(SITE, { broker: "embedded", settings: { AUDIT_DIR: join(signer, "state"), AUDIT_MIRROR_DIR: join(signer, "mirror") } });
  const { plant } = door;
  database = new pg.Client({ connectionString: plant.database.superUrl });
  await database.connect();
  const ok = async (method: string, path: string, body: unknown): Promise<void> => {
    const answer = await plant.ask(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  };
  await ok("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND);
  for (const [equipment, kind] of [
    ["scale-1", "scale"],
    ["mixer-1", "mixer"],
    ["scale-2", "scale"],
  ] as const)
    await plant.equipment(SITE, equipment, "4", kind);
  for (const [i, commands] of [["release-to-floor", "start"], ["release-to-floor"], []].entries()) {
    const batch = `B-${i + 1}`;
    await ok("POST", `/v1/sites/${SITE}/batches`, {
      batch,
      jobOrder: `PO-${i + 1}`,
      line: "4",
      recipe: "blend",
      revision: 3,
      quantity: { value: "25.000", unit: "kg" },
      equipment: { scale: "scale-1", mixer: "mixer-1" },
    });
    for (const command of commands) await ok("POST", `/v1/sites/${SITE}/batches/${batch}/commands`, { command });
  }
  // something of everything that has an id: accepted, refused, quarantined, behind a gap, with a lock
  const context = { batchid: "B-1", stepid: "weigh" };
  const verdicts = await door.deliver(
    [
      envelope(SCALE, 1, 1, "step.start", {}, context),
      envelope(SCALE, 1, 2, "step.evidence", { evidence: "net-weight", value: "99", unit: "kg" }, context),
      envelope(SCALE, 1, 3, "nothing.known"),
      envelope(SCALE, 1, 3, "call.raised", { call: "again" }, { id: "reused" }),
      envelope(SCALE, 1, 7, "call.raised", { call: "early" }),
    ].map((event) => ({ topic: eventTopic(SCALE), payload: JSON.stringify(event) })),
  );
  const ids = async (path: string): Promise<unknown[]> =>
    z
      .array(z.looseObject({ id: z.string() }))
      .parse((await plant.ask("GET", path)).body.items)
      .map(({ id }) => id);
  known = {
    site: [SITE],
    line: ["4"],
    equipment: ["scale-1", "mixer-1", "scale-2"],
    device: ["head"],
    class: ["scale", "mixer"],
    role: ["scale", "mixer"],
    batch: ["B-1", "B-2", "B-3", "B-4", "B-5"],
    jobOrder: ["PO-1", "PO-4"],
    step: ["weigh", "blend"],
    recipe: ["blend", "mix"],
    revision: [3, 1],
    verdict: verdicts.map(({ verdict }) => verdict),
    type: ["call.raised", "signalbox.step.start.v1"],
    source: [SCALE, `${SCALE}/device/head`],
    topic: [eventTopic(SCALE), `${SCALE.slice(1)}/diag`],
    event: [envelope(SCALE, 1, 4, "call.raised", { call: "help" }), {}],
    stream: ["batch/B-1", "equipment/scale-1", "site"],
    evidence: ["net-weight", { evidence: "net-weight", value: "12.503", unit: "kg" }],
    patience: ["PT5S", "P1D", "PT0S"],
    reason: ["as agreed"],
    quantity: [{ value: "25.000", unit: "kg" }],
    stateMachines: [BLEND.stateMachines],
    "idempotency-key": ["key-1", "key-2", "key-3"],
    "if-match": ['"1"', "*", 'W/"2"'],
    "last-event-id": ["0", "5"],
    // ids, by what they are ids of
    gaps: (await plant.ask("GET", "/v1/gaps")).body.items.map((source) => source.gap),
    quarantine: await ids("/v1/quarantine"),
    exceptions: await ids("/v1/exceptions"),
    "context-locks": await ids("/v1/context-locks"),
    recipes: ["blend", "mix"],
    "state-machines": ["step.governed", "batch.governed"],
    "event-types": ["call.raised", "signalbox.step.start.v1"],
    sources: ["scale-1", "scale-1:head", "new-1"],
    // and bodies as a whole
    "PUT /v1/registry/recipes/{id}/revisions/{revision}": [BLEND, { ...BLEND, recipe: "mix", revision: 1 }],
    "PUT /v1/registry/state-machines/{id}/revisions/{revision}": [
      (await plant.ask("GET", "/v1/registry/state-machines/step.governed/revisions/1")).body.content,
    ],
    "PUT /v1/sites/{site}/registry/equipment/{id}": ["scale-1", "mixer-1", "scale-2"].map((equipment) => ({ equipment, line: "4", class: "scale" })),
  };
  for (const kind of ["gaps", "quarantine", "exceptions", "context-locks"]) expect(known[kind]?.length, kind).toBeGreaterThan(0);
  operations = await described();
});
afterAll(async () => {
  await database?.end();
  await door?.stop();
  rmSync(signer, { recursive: true, force: true });
});

async function described(): Promise<Operation[]> {
  const document = served.parse(await (await fetch(`${door.plant.url}/openapi.json`)).json());
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters, requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      parameters,
      body: requestBody?.content["application/json"]?.schema ?? null,
    })),
  );
}

/** What a header can carry at all. */
const headerText = (value: unknown): string => String(value).replace(/[^\x20-\x7e\xa0-\xff]/g, "~");
const asText = (value: unknown): string => (typeof value === "object" ? JSON.stringify(value) : String(value));

/** What an id in a path is the id of. */
const kindOf = (path: string): string => path.split("/{id}")[0]?.split("/").at(-1) ?? "";

/** A request for an operation, and now and then one that has more, less, or something else than it says. */
function requestFor(operation: Operation): fc.Arbitrary<Asked> {
  const parameters = operation.parameters.map((parameter) => {
    const given = valuesFor(parameter.schema, known, parameter.name === "id" ? kindOf(operation.path) : parameter.name);
    // a path has all of its parameters; what may be left out mostly is, since a key or a version given by chance refuses all the rest
    const left = parameter.in === "path" ? 0 : parameter.required === true ? 1 : 4;
    return fc.oneof(
      { weight: left, arbitrary: fc.constant(undefined) },
      { weight: 2, arbitrary: given.map((value) => ({ ...parameter, value: asText(value) })) },
    );
  });
  const more = fc.oneof(
    { weight: 15, arbitrary: fc.constant("") },
    { weight: 1, arbitrary: fc.tuple(oddText, oddText).map(([a, b]) => `${encodeURIComponent(a.toWellFormed())}=${encodeURIComponent(b.toWellFormed())}`) },
  );
  const whole = known[`${operation.method} ${operation.path}`];
  const bodies =
    operation.body === null ? fc.constant(undefined) : fc.oneof(valuesFor(operation.body, known), ...(whole === undefined ? [] : [fc.constantFrom(...whole)]));
  const body =
    operation.body === null
      ? bodies.map(() => undefined)
      : fc.option(
          bodies.map((value) => JSON.stringify(value)),
          { nil: undefined, freq: 30 },
        );
  return fc.tuple(fc.tuple(...parameters), more, body).map(([given, extra, text]) => {
    const values = given.filter((one) => one !== undefined);
    // "." and ".." never arrive, since every client resolves them before it asks; and nothing between two slashes is no parameter: both are for the test below
    const segment = (value: string): string => encodeURIComponent(value.toWellFormed()).replace(/^\.{0,2}$/, "%20");
    const path = values.filter((one) => one.in === "path").reduce((at, { name, value }) => at.replace(`{${name}}`, segment(value)), operation.path);
    const query = values.filter((one) => one.in === "query").map(({ name, value }) => `${name}=${encodeURIComponent(value.toWellFormed())}`);
    if (extra !== "") query.push(extra);
    return {
      operation: `${operation.method} ${operation.path}`,
      method: operation.method,
      path: query.length === 0 ? path : `${path}?${query.join("&")}`,
      headers: {
        ...Object.fromEntries(values.filter((one) => one.in === "header").map(({ name, value }) => [name, headerText(value)])),
        ...(text === undefined ? {} : { "content-type": "application/json" }),
      },
      body: text,
    };
  });
}

/** A problem is one by RFC 9457, has a code, and says nothing of what is inside. */
function ofAProblem(status: number, type: string | null, text: string, about: string): void {
  if (status === 503 && about.includes("/health/ready")) return;
  if (type?.startsWith("application/problem+json") !== true) throw new Error(`${about}: ${status} came as ${type}: ${text.slice(0, 300)}`);
  const problem = z.looseObject({ status: z.literal(status), code: z.string(), detail: z.string(), title: z.string() }).parse(JSON.parse(text));
  // what the request said itself may be said again
  const { instance: _, ...said } = problem;
  if (INSIDE.test(JSON.stringify(said))) throw new Error(`${about} tells of the inside: ${text.slice(0, 1_000)}`);
}

/** How much there is of everything that a request can bring about. */
async function amounts(): Promise<string> {
  const tables = ["facts", "batches", "steps", "evidence", "recipes", "state_machines", "equipment", "sources", "outcomes", "sites"];
  const text = `select ${tables.map((table) => `(select count(*) from ${table})::int as ${table}`).join(", ")}`;
  const { rows } = await database.query({ name: "amounts", text });
  return JSON.stringify(rows[0]);
}

test(
  "whatever is asked of an operation, it answers as documented, never fails, and changes nothing where it refuses",
  async () => {
    const fetcher = await validatedFetch(door.plant.url);
    const answered = new Map<string, Set<number>>(operations.map(({ method, path }) => [`${method} ${path}`, new Set()]));
    let requests = 0;
    await fc.assert(
      fc.asyncProperty(fc.tuple(...operations.map((operation) => fc.array(requestFor(operation), { maxLength: 2, size: "max" }))), async (all) => {
        let before = await amounts();
        for (const asked of all.flat()) {
          const about = `${asked.method} ${asked.path} ${JSON.stringify(asked.headers)} ${asked.body?.slice(0, 500) ?? ""} (seed ${SEED})`;
          const response = await fetcher(asked.path, {
            method: asked.method,
            headers: asked.headers,
            ...(asked.body === undefined ? {} : { body: asked.body }),
          }).catch((error: unknown) => {
            throw new Error(`${about}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
          });
          requests += 1;
          answered.get(asked.operation)?.add(response.status);
          if (response.headers.get("content-type")?.startsWith("text/event-stream") === true) {
            await response.body?.cancel();
            continue;
          }
          const text = await response.text();
          if (response.status >= 500) throw new Error(`${about}: ${response.status} ${text}`);
          if (response.status >= 400) ofAProblem(response.status, response.headers.get("content-type"), text, about);
          // what a read changed would be found behind the next refusal
          if (asked.method === "GET") continue;
          const after = await amounts();
          if (response.status >= 400 && after !== before) throw new Error(`${about}: ${response.status}, and yet ${before} became ${after}`);
          before = after;
        }
        await door.goesOn("requests by the document");
      }),
      // what was asked before stays done, so a smaller example would be another one: the request that failed is named
      { ...fuzzed(10), endOnFailure: true },
    );
    const never = [...answered].filter(([, statuses]) => ![...statuses].some((status) => status < 300)).map(([operation]) => operation);
    measured("fuzz.rest", `seed ${SEED}: ${requests} requests of ${operations.length} operations`);
    console.log(`rest, seed ${SEED}: ${requests} requests of ${operations.length} operations; never done: ${never.join(", ")}`);
    expect(answered.size).toBe(operations.length);
  },
  TIMEOUT_MS,
);

const PARTS = ["v1", "sites", SITE, "batches", "B-1", "events", "registry", "recipes", "docs", "docs/static", "openapi.json", "metrics"];
const WAYS_OUT = [
  "",
  ".",
  "..",
  "%2e%2e",
  "%2e%2e%2f",
  "..%5c",
  "..;",
  "%00",
  "%zz",
  "%",
  "%c0%ae%c0%ae",
  "%ff",
  ";x=1",
  "*",
  "\\",
  "~",
  "|",
  "a%0d%0ab",
  "+",
  "x".repeat(9_000),
];
const TYPES = [
  "application/json",
  "application/json; charset=utf-16",
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data",
  "",
  "json",
  "application/json;;",
  "*/*",
];
const BODIES = [
  "",
  "{",
  "null",
  "[]",
  '"x"',
  "{}",
  '{"reason":"x","reason":"y"}',
  '{"__proto__":{"x":1}}',
  '{"reason":"\\ud800"}',
  "\ufeff{}",
  "{}{}",
  "[".repeat(50_000),
  '{"reason":"\\u0000"}',
];

const strange = fc.record({
  method: fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "HEAD", "LOCK", "SEARCH", "M-SEARCH"),
  target: fc.oneof(
    fc.array(fc.oneof(fc.constantFrom(...PARTS), fc.constantFrom(...WAYS_OUT)), { minLength: 1, maxLength: 8 }).map((parts) => `/${parts.join("/")}`),
    fc.constantFrom("*", "//", "/?", "/v1/events?&&==", "/v1/events?limit=1&limit=2", "/v1/events?limit[]=1", "/v1/events?%zz=1", "/v1/events?cursor=%00"),
    fc.constantFrom(
      ...["batches/B-1/commands", "batches", "batches/B-1/steps/weigh/commands"].map((path) => `/v1/sites/${SITE}/${path}`),
      "/v1/events/dry-run",
    ),
  ),
  headers: fc.dictionary(
    fc.constantFrom(
      "content-type",
      "accept",
      "if-match",
      "idempotency-key",
      "accept-encoding",
      "range",
      "expect",
      "x-http-method-override",
      "host",
      "origin",
      "te",
      "transfer-encoding",
      "content-length",
      "upgrade",
      "last-event-id",
    ),
    fc.oneof(
      fc.constantFrom(...TYPES, "chunked", "-1", "99999999999", "100-continue", "websocket", "identity;q=0", "\u00ff", '"', "x".repeat(20_000)),
      oddText.map(headerText),
    ),
    { maxKeys: 4 },
  ),
  body: fc.oneof({ weight: 30, arbitrary: fc.constantFrom(...BODIES) }, { weight: 1, arbitrary: fc.constant(`"${"x".repeat(1_100_000)}"`) }),
});

type Strange = { readonly method: string; readonly target: string; readonly headers: Readonly<Record<string, string>>; readonly body: string };

/** Written to the wire by hand: a client library sends nothing that is not in order. null: the server hung up without a word, as it may on what is no HTTP. */
function send({ method, target, headers, body }: Strange): Promise<{ status: number; type: string | null; text: string } | null> {
  const { hostname, port } = new URL(door.plant.url);
  const own = { host: `${hostname}:${port}`, connection: "close", "content-length": String(Buffer.byteLength(body)) };
  const lines = Object.entries({ ...own, ...headers }).map(([name, value]) => `${name}: ${value}`);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    const chunks: Buffer[] = [];
    let failure: Error | null = null;
    socket.on("data", (chunk) => chunks.push(chunk));
    // a server that answers before it has read all of a body resets the connection behind its answer
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "ECONNRESET" && error.code !== "EPIPE") failure = error;
    });
    socket.setTimeout(20_000, () => socket.destroy(new Error(`no answer to ${method} ${target}`)));
    socket.on("close", () => {
      if (failure !== null) return reject(failure);
      const [head = "", ...rest] = Buffer.concat(chunks).toString("utf8").split("\r\n\r\n");
      const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1];
      // what went before the answer: go on, said to whoever asks whether it may
      if (status === "100") return resolve(answerOf(rest));
      return resolve(answerOf([head, ...rest]));
    });
    socket.end(Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`, "latin1"), Buffer.from(body)]));
  });
}

function answerOf([head = "", ...rest]: readonly string[]): { status: number; type: string | null; text: string } | null {
  const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1];
  if (status === undefined) return null;
  const text = rest.join("\r\n\r\n");
  const chunked = /^transfer-encoding: chunked/im.test(head);
  return {
    status: Number(status),
    type: /^content-type: (.*)$/im.exec(head)?.[1] ?? null,
    text: chunked ? text.replace(/^[0-9a-f]+\r\n|\r\n[0-9a-f]+\r\n/gi, "") : text,
  };
}

test(
  "what no document foresees is refused as a problem, changes nothing, and tells nothing of the inside",
  async () => {
    const statuses = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(fc.array(strange, { minLength: 1, maxLength: 60, size: "max" }), async (all) => {
        const before = await amounts();
        await Promise.all(
          all.map(async (one) => {
            const about = `${JSON.stringify({ ...one, target: one.target.slice(0, 200), body: one.body.slice(0, 200) }).slice(0, 2_000)} (seed ${SEED})`;
            const answer = await send(one);
            const status = String(answer?.status ?? "hung up");
            statuses.set(status, (statuses.get(status) ?? 0) + 1);
            if (answer === null) return;
            if (answer.status >= 500) throw new Error(`${about}: ${answer.status} ${answer.text.slice(0, 500)}`);
            // an expectation that cannot be met is answered by the HTTP server itself, with the status alone (RFC 9110, 15.5.18)
            if (answer.status >= 400 && answer.status !== 417 && one.method !== "HEAD") ofAProblem(answer.status, answer.type, answer.text, about);
          }),
        );
        expect(await amounts()).toBe(before);
        await door.goesOn("strange requests");
      }),
      fuzzed(12),
    );
    measured("fuzz.rest.strange", `seed ${SEED}: ${[...statuses].map(([status, n]) => `${status} ${n}`).join(", ")}`);
    console.log(`strange requests, seed ${SEED}: ${[...statuses].map(([status, n]) => `${status} ${n}`).join(", ")}`);
  },
  TIMEOUT_MS,
);
