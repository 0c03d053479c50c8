// Promise: an export that does not come to its end leaves nothing behind, costs nobody else anything, and never looks whole to whoever has part of it. Who hangs up is no error; what breaks off is.
// Attack: callers that hang up at every moment, an entry that is changed while it goes out, and a service that is stopped in the middle, of each form.
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { Writable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Plant, startPlant } from "../../support/plant.ts";

const SITE = "wide1";
/** More than the sockets between hold: 24 MB. */
const ENTRIES = 1_500;
const home = mkdtempSync(path(tmpdir(), "signalbox-broken-off-"));
const logged: string[] = [];
let plant: Plant;

beforeAll(async () => {
  const logTo = new Writable({
    write(chunk, _encoding, done) {
      logged.push(...String(chunk).split("\n"));
      done();
    },
  });
  const settings = { AUDIT_DIR: path(home, "state"), AUDIT_MIRROR_DIR: path(home, "mirror"), LOG_LEVEL: "info" };
  plant = await startPlant({ broker: "embedded", logTo, settings });
  await plant.equipment(SITE, "button", "1", "button");
  // an administrator's own long acts; those before them were registered
  await plant.database.query(`set session_replication_role = replica;
    with head as (select position from sites where site = '${SITE}')
    insert into audit_entries (site, position, entry) select '${SITE}', h.position + n, convert_to(
      '{"site":"${SITE}","position":' || h.position + n || ',"generation":1,"time":"2026-11-25T08:00:09.104211Z","shard":"${SITE}","term":0,"base":' || h.position + n - 1 || ',"batches":{}}'
      || E'\n{"signals":[{"ref":-1,"kind":"act","type":"call.made","actor":"somebody","body":{"object":"call ' || n || '","old":null,"new":null,"from":null,"reason":"' || repeat('because ', 2000) || '"}}]}', 'UTF8')
      from head h, generate_series(1, ${ENTRIES}) n;
    insert into signals (site, position, generation, shard, kind, type, actor, body, received_at, recorded_at)
      select '${SITE}', position, 1, '${SITE}', 'act', 'call.made', 'somebody', '{}', '2026-11-25T08:00:09.104211Z', '2026-11-25T08:00:09.104211Z'
      from audit_entries e where e.site = '${SITE}' and not exists (select from signals g where g.site = e.site and g.position = e.position);
    update sites set position = position + ${ENTRIES} where site = '${SITE}'`);
});
afterAll(async () => {
  await plant?.stop();
  rmSync(home, { recursive: true, force: true });
});

const errors = (): readonly string[] => logged.filter((line) => /"level":"(error|fatal)"/.test(line));
const ask = (format: string, signal?: AbortSignal): Promise<Response> =>
  fetch(`${plant.url}/v1/audit/exports`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ site: SITE, positions: { from: 1, to: ENTRIES }, format, reason: "an inspector asks" }),
    ...(signal === undefined ? {} : { signal }),
  });

// some of them were logged as failures of the service
test("whoever hangs up, at whatever moment, is no error, and the service goes on", async () => {
  for (const format of ["csv", "html", "bundle"])
    for (const ms of [1, 30, 100, 300, 900]) {
      const gone = new AbortController();
      const asking = ask(format, gone.signal).then((response) => response.arrayBuffer());
      setTimeout(() => gone.abort(), ms);
      await expect(asking).rejects.toThrow("abort");
    }
  // by the raw connection, too: half closed, and cut off
  for (const end of ["end", "destroy"] as const) {
    const { hostname, port } = new URL(plant.url);
    const body = JSON.stringify({ site: SITE, positions: { from: 1, to: ENTRIES }, format: "csv", reason: "an inspector asks" });
    const socket = connect(Number(port), hostname).on("error", () => {});
    socket.write(`POST /v1/audit/exports HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket[end]();
    socket.destroy();
  }
  const whole = await ask("csv");
  expect((await whole.text()).split("\r\n").length).toBeGreaterThan(ENTRIES);
  expect(errors()).toEqual([]);
});

test("a bundle says its length before its first byte, and has it", async () => {
  const response = await ask("bundle");
  expect(response.status, response.ok ? "" : await response.clone().text()).toBe(201);
  const bytes = (await response.arrayBuffer()).byteLength;
  expect(bytes % 512).toBe(0);
  expect(response.headers.get("content-length")).toBe(String(bytes));
});

// nothing was logged: the caller's connection broke, and nobody knew why
test("what is changed while it goes out breaks the connection, and is an error in the log", async () => {
  const response = await ask("csv");
  const reader = response.body?.getReader();
  await reader?.read();
  const change = (from: string, to: string): Promise<unknown> =>
    plant.database.query(`set session_replication_role = replica; update audit_entries
      set entry = convert_to(replace(convert_from(entry, 'UTF8'), '${from}', '${to}'), 'UTF8') where site = '${SITE}' and position = ${ENTRIES}`);
  await change("because because", "becauze because");
  await expect(rest(reader)).rejects.toThrow();
  expect(errors().join()).toContain("an export broke off");
  expect(errors().join()).toContain("was changed meanwhile");
  await change("becauze because", "because because");
  logged.length = 0;
});

async function rest(reader: { read(): Promise<{ readonly done: boolean }> } | undefined): Promise<void> {
  while ((await reader?.read())?.done === false);
}

test("a service that is stopped in the middle breaks the connections at once; nobody has what looks whole", async () => {
  const going = await Promise.all(["csv", "html"].map((format) => ask(format)));
  const readers = going.map(({ body }) => body?.getReader());
  for (const reader of readers) expect((await reader?.read())?.done).toBe(false);
  const prepared = ask("bundle").then((response) => response.arrayBuffer());
  await new Promise((resolve) => setTimeout(resolve, 50));
  const began = performance.now();
  const [, ...ends] = await Promise.allSettled([plant.service.stop(), prepared, ...readers.map(rest)]);
  expect(ends.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  expect(performance.now() - began).toBeLessThan(8_000);
  expect(errors()).toEqual([]);
  await plant.restart();
  expect((await ask("csv")).status).toBe(201);
});
