// Promise: a bad database moment stops nothing but itself; the stream of outcomes goes on where it was, for as long as whoever follows may follow.
// Attack: let the first reads fail, then the database be back; let the service stop in the middle of a read; take the right away in the middle of one, while nothing happens, and from who takes nothing.
import { DummyDriver, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler, type QueryResult } from "kysely";
import { afterEach, expect, test, vi } from "vitest";
import { makeSessionToken } from "../../../src/access/token.ts";
import type { ApiDeps } from "../../../src/api/deps.ts";
import type { Tables } from "../../../src/db/schema.ts";
import { createLog } from "../../../src/ops/log.ts";
import { apiAlone } from "../../support/api.ts";

/** A database that answers with what `answer` gives to the statement's text. */
function databaseThat(answer: (text: string) => Promise<readonly unknown[]>): Kysely<Tables> {
  class Driver extends DummyDriver {
    override async acquireConnection() {
      return {
        executeQuery: async <R>({ sql }: { readonly sql: string }): Promise<QueryResult<R>> => ({ rows: JSON.parse(JSON.stringify(await answer(sql))) }),
        streamQuery: () => {
          throw new Error("nothing is streamed here");
        },
      };
    }
  }
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new Driver(),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
}

const outcome = (position: number, ordinal: number) => ({
  site: "rtm1",
  stream: "site",
  line: null,
  sequence: String(position * 10 + ordinal),
  generation: 1,
  position: String(position),
  ordinal,
  type: "call.raised",
  eventTime: null,
  causation: null,
  correlation: null,
  traceparent: null,
  tracestate: null,
  supersedes: null,
  data: {},
  recordedAt: "2026-11-22T08:00:00.000000Z",
});

test("the stream goes on by itself after the database was away, and names a position only when it is complete", async () => {
  let away = true;
  let failed: () => void = () => {};
  const hasFailed = new Promise<void>((resolve) => {
    failed = resolve;
  });
  const rows = [outcome(7, 0), outcome(7, 1), outcome(9, 0)];
  let given = false;
  let commit: () => void = () => {};
  const api = await apiAlone({
    db: databaseThat(async (text) => {
      if (text.includes("from sites")) return [{ site: "rtm1", generation: 1, head: "9", stands: null }];
      if (away) {
        failed();
        throw Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", syscall: "connect" });
      }
      const page = given ? [] : rows;
      given = true;
      return page;
    }),
    onCommitted: (listener) => {
      commit = listener;
      return () => {
        commit = () => {};
      };
    },
  });
  const url = await api.listen({ host: "127.0.0.1", port: 0 });
  const response = await fetch(`${url}/v1/outcomes/events`);
  expect(response.status).toBe(200);
  await hasFailed;
  away = false;
  commit();
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("id: 9")) {
    const { value, done } = (await reader?.read()) ?? { value: undefined, done: true };
    if (done || value === undefined) throw new Error(`the stream ended after: ${text}`);
    text += value;
  }
  expect(text.match(/^id: .*$/gm)).toEqual(["id: 7", "id: 9"]);
  expect(text.match(/^data: /gm)).toHaveLength(3);
  await api.close();
  expect((await reader?.read())?.done ?? true).toBe(true);
});

test("one caller follows so many streams at once and no more; whoever hangs up makes room", async () => {
  const api = await apiAlone({
    db: databaseThat(async (text) => (text.includes("from sites") ? [{ site: "rtm1", generation: 1, head: "9", stands: null }] : [])),
  });
  const url = `${await api.listen({ host: "127.0.0.1", port: 0 })}/v1/outcomes/events`;
  const open = [];
  for (let n = 1; n <= 32; n += 1) {
    const hangUp = new AbortController();
    const response = await fetch(url, { signal: hangUp.signal });
    expect(response.status, String(n)).toBe(200);
    open.push({ hangUp, response });
  }
  const refused = await fetch(url);
  expect(refused.status).toBe(429);
  expect(refused.headers.get("retry-after")).toBe("10");
  expect(await refused.json()).toMatchObject({ code: "REQUEST_TOO_MANY" });
  open[0]?.hangUp.abort();
  await expect
    .poll(async () => {
      const again = await fetch(url);
      if (again.status !== 200) await again.body?.cancel();
      return again.status;
    })
    .toBe(200);
  await api.close();
});

test("a stop in the middle of a read ends the stream and nothing else", async () => {
  let reading: () => void = () => {};
  const isReading = new Promise<void>((resolve) => {
    reading = resolve;
  });
  let release: () => void = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const api = await apiAlone({
    db: databaseThat(async (text) => {
      if (text.includes("from sites")) return [{ site: "rtm1", generation: 1, head: "9", stands: null }];
      reading();
      await released;
      return [outcome(1, 0)];
    }),
  });
  const url = await api.listen({ host: "127.0.0.1", port: 0 });
  const response = await fetch(`${url}/v1/outcomes/events`);
  await isReading;
  const closed = api.close();
  const text = await response.text();
  release();
  await closed;
  expect(text).not.toContain("data:");
});

afterEach(() => {
  vi.useRealTimers();
});

/** A person who holds a role at the site until they are asked after in vain. */
function somebody() {
  const answers = { known: async (): Promise<boolean> => true };
  const access: ApiDeps["access"] = {
    db: databaseThat(async (text) =>
      text.includes("from sign_ins") && (await answers.known())
        ? [{ person: "olga", name: "Olga", temporary: false, stale: true, grants: [{ role: "operator", site: "rtm1" }] }]
        : [],
    ),
    secret: new Uint8Array(32),
    oidc: null,
    openUntilClaimed: false,
  };
  return { access, answers, headers: { authorization: `Bearer ${makeSessionToken()}` } };
}

const HEARTBEAT_MS = 15_000;

test("whose right ends in the middle of a read is sent nothing of what was read", async () => {
  const { access, answers, headers } = somebody();
  const api = await apiAlone({
    access,
    db: databaseThat(async (text) => {
      if (text.includes("from sites")) return [{ site: "rtm1", generation: 1, head: "9", stands: null }];
      answers.known = async () => false;
      return [outcome(1, 0)];
    }),
  });
  const response = await fetch(`${await api.listen({ host: "127.0.0.1", port: 0 })}/v1/outcomes/events`, { headers });
  expect(response.status).toBe(200);
  const text = await response.text();
  expect(text).toContain('event: problem\ndata: {"type":"/problems/REQUEST_UNAUTHENTICATED"');
  expect(text).not.toContain("call.raised");
  await api.close();
});

test("where nobody can be asked the stream stays; where nothing happens it ends with the next heartbeat all the same", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const { access, answers, headers } = somebody();
  const api = await apiAlone({
    access,
    db: databaseThat(async (text) => (text.includes("from sites") ? [{ site: "rtm1", generation: 1, head: "9", stands: null }] : [])),
  });
  const response = await fetch(`${await api.listen({ host: "127.0.0.1", port: 0 })}/v1/outcomes/events`, { headers });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const next = async () => (await reader?.read())?.value ?? "";
  expect(await next()).toBe("retry: 2000\n\n");
  answers.known = () => Promise.reject(Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", syscall: "connect" }));
  vi.advanceTimersByTime(HEARTBEAT_MS);
  expect(await next()).toBe(": here\n\n");
  answers.known = async () => false;
  vi.advanceTimersByTime(HEARTBEAT_MS);
  expect(await next()).toContain("event: problem\n");
  expect((await reader?.read())?.done).toBe(true);
  await api.close();
});

test("whose right has ended and who takes nothing is cut off", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const { access, answers, headers } = somebody();
  let hasEnded: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    hasEnded = resolve;
  });
  let given = false;
  const api = await apiAlone({
    access,
    log: Object.assign(createLog({ level: "silent" }), { info: () => hasEnded() }),
    db: databaseThat(async (text) => {
      if (text.includes("from sites")) return [{ site: "rtm1", generation: 1, head: "9", stands: null }];
      const page = given ? [] : Array.from({ length: 200 }, (_, i) => ({ ...outcome(i + 1, 0), data: { note: "x".repeat(100_000) } }));
      given = true;
      return page;
    }),
  });
  const response = await fetch(`${await api.listen({ host: "127.0.0.1", port: 0 })}/v1/outcomes/events`, { headers });
  const reader = response.body?.getReader();
  // so much that it does not lie in buffers: the rest waits to be taken
  for (let bytes = 0; bytes < 1_000_000; ) bytes += (await reader?.read())?.value?.length ?? 0;
  answers.known = async () => false;
  vi.advanceTimersByTime(HEARTBEAT_MS);
  await ended;
  vi.advanceTimersByTime(HEARTBEAT_MS);
  const rest = async () => {
    while ((await reader?.read())?.done === false);
  };
  await expect(rest()).rejects.toThrow("terminated");
  await api.close();
});
