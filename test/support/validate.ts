import Ajv2020, { type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { z } from "zod";
import { join } from "./mqtt.ts";

// Everything the service says in a test is held against the documents that it serves; what is not documented fails.

type Fetch = (path: string, init?: RequestInit) => Promise<Response>;

const openApi = z.looseObject({
  paths: z.record(
    z.string(),
    z.record(z.string(), z.looseObject({ responses: z.record(z.string(), z.looseObject({ content: z.record(z.string(), z.unknown()).optional() })) })),
  ),
});
const asyncApi = z.looseObject({
  id: z.unknown().optional(),
  channels: z.record(z.string(), z.looseObject({ address: z.string(), messages: z.record(z.string(), z.object({ $ref: z.string() })) })),
  operations: z.record(z.string(), z.looseObject({ action: z.enum(["send", "receive"]), channel: z.object({ $ref: z.string() }) })),
});

const checker = (): Ajv2020.default => {
  const ajv = new Ajv2020.default({ strict: false, allErrors: true });
  addFormats.default(ajv);
  return ajv;
};

/** A fetch that fails on an answer that the served OpenAPI document does not describe. */
export async function validatedFetch(baseUrl: string): Promise<Fetch> {
  const document = openApi.parse(await (await fetch(`${baseUrl}/openapi.json`)).json());
  const ajv = checker();
  ajv.addSchema(document, "openapi");
  const paths = Object.keys(document.paths).map((path) => ({
    path,
    pattern: new RegExp(`^${path.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{[^}]+\}/g, "[^/]+")}$`),
  }));
  const literalFirst = paths.sort((a, b) => (a.path.match(/\{/g) ?? []).length - (b.path.match(/\{/g) ?? []).length);
  const compiled = new Map<string, ValidateFunction>();

  return async (path, init = {}) => {
    const response = await fetch(`${baseUrl}${path}`, init);
    const method = (init.method ?? "GET").toLowerCase();
    const bare = decodeURI(path.split("?")[0] ?? "");
    const route = literalFirst.find(({ pattern, path: known }) => pattern.test(bare) && document.paths[known]?.[method] !== undefined);
    if (route === undefined) {
      if (response.status === 404) return response;
      throw new Error(`${method} ${bare} answered ${response.status} and is in no document`);
    }
    const described = document.paths[route.path]?.[method]?.responses[String(response.status)];
    if (described === undefined)
      throw new Error(`${method} ${route.path} answered ${response.status}, which its document does not list: ${await response.clone().text()}`);
    if (response.status === 204) {
      if (described.content !== undefined)
        throw new Error(`${method} ${route.path} answered nothing, and the document says ${Object.keys(described.content).join(", ")}`);
      return response;
    }
    const type = (response.headers.get("content-type") ?? "").split(";")[0]?.trim() ?? "";
    if (described.content?.[type] === undefined)
      throw new Error(`${method} ${route.path} ${response.status} came as ${type}, and the document says ${Object.keys(described.content ?? {}).join(", ")}`);
    if (!/json/.test(type)) return response;
    const pointer = `openapi#/paths/${pointerPart(route.path)}/${method}/responses/${response.status}/content/${pointerPart(type)}/schema`;
    const validate = compiled.get(pointer) ?? ajv.compile({ $ref: pointer });
    compiled.set(pointer, validate);
    const body: unknown = JSON.parse(await response.clone().text());
    if (!validate(body))
      throw new Error(
        `${method} ${bare} ${response.status} does not fit its document: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(body).slice(0, 2000)}`,
      );
    return response;
  };
}

/** What the served AsyncAPI document holds MQTT messages to. */
export interface Described {
  /** Filters of all topics on which the service says something. */
  readonly filters: readonly string[];
  /** Fails on a topic that is no channel and on a payload that fits none of the channel's messages. */
  check(topic: string, body: unknown): void;
}

export async function messageValidator(baseUrl: string): Promise<Described> {
  // an AsyncAPI document's own id is no schema's
  const { id: _, ...document } = asyncApi.parse(await (await fetch(`${baseUrl}/asyncapi.json`)).json());
  const ajv = checker();
  ajv.addSchema(document, "asyncapi");
  const said = new Set(
    Object.values(document.operations)
      .filter(({ action }) => action === "send")
      .map(({ channel }) => channel.$ref.split("/").at(-1)),
  );
  const channels = Object.entries(document.channels).map(([name, channel]) => ({
    pattern: new RegExp(`^${channel.address.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{[^}]+\}/g, "[^/]*")}$`),
    address: channel.address,
    said: said.has(name),
    messages: Object.values(channel.messages).map(({ $ref }) => ajv.compile({ $ref: `asyncapi${$ref}/payload` })),
  }));
  return {
    filters: channels.filter((channel) => channel.said).map(({ address }) => address.replace(/\{[^}]+\}/g, "+")),
    check(topic, body) {
      const channel = channels.find(({ pattern }) => pattern.test(topic));
      if (channel === undefined) throw new Error(`${topic} is no channel of the document`);
      // an empty retained message clears a mirror
      if (body === null && channel.address.endsWith("/state")) return;
      const errors = channel.messages.map((validate) => (validate(body) ? null : ajv.errorsText(validate.errors)));
      if (!errors.includes(null))
        throw new Error(`a message on ${topic} does not fit its document: ${errors.join("; ")}\n${JSON.stringify(body).slice(0, 2000)}`);
    },
  };
}

/** Hears everything the service says on a broker, and holds it against the document that the service serves. */
export async function witness(
  mqttUrl: string,
  baseUrl: string,
): Promise<{ /** Fails with the first message that is not as documented. */ end(): Promise<void> }> {
  const described = await messageValidator(baseUrl);
  const party = await join(mqttUrl, { protocol: 4, reconnect: true });
  await party.subscribe(...described.filters);
  return {
    async end() {
      await party.end();
      for (const { topic, body } of party.seen) described.check(topic, body);
    },
  };
}

const pointerPart = (text: string): string => encodeURIComponent(text.replaceAll("~", "~0").replaceAll("/", "~1"));
