// Promise: what is exported over REST is what the entries say, all that was chosen and nothing else; it is on record before its first byte, with who, why, what was chosen and a digest of what
// went out. No text in it is a formula or markup, or turns round what is read. A bundle is verified without database and service.
// Attack: reasons that are formulas, markup and turned round; selections of every kind, none, several, too much; no signer; an entry that an administrator changed, also between record and
// handing out; whoever asked hangs up. SIGNALBOX_EXPORT_ENTRIES=100000 makes a long export that long.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readChosen, TreeTorn } from "../../../src/bundle/chosen.store.ts";
import { handOut, recordExport, untilSigned } from "../../../src/bundle/export.store.ts";
import { csvCopy } from "../../../src/bundle/reading-copy.ts";
import { writeBundle } from "../../../src/bundle/write-bundle.ts";
import { openDatabase } from "../../../src/db/database.ts";
import { BLEND } from "../../support/blend.ts";
import { measured } from "../../support/measure.ts";
import { envelope, eventTopic, join, type Party, sourceOf } from "../../support/mqtt.ts";
import { describeWith, findCommand } from "../../support/needs.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { runVerify } from "../../support/signed-record.ts";
import { validatedFetch } from "../../support/validate.ts";

const SITE = "exports";
/** Not served by this process, and signed by nobody. */
const UNSIGNED = "unsigned";
const SCALE = sourceOf(SITE, "4", "scale-1");
const HOSTILE = ["=cmd|' /C calc'!A0", "ok;=1+1", "ok\t@SUM(A1)", '<script>alert("1")</script>', "released \u202edetcejer", "-2+3", ' =1+1, "quoted"\nand on'];
const NOWHERE = { append: async () => {}, put: async () => {}, end: async () => {} };
const home = mkdtempSync(path(tmpdir(), "signalbox-exports-"));
let plant: Plant;
let party: Party;
let fetcher: Awaited<ReturnType<typeof validatedFetch>>;
let opened: ReturnType<typeof openDatabase>;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded", settings: { AUDIT_DIR: path(home, "state"), AUDIT_MIRROR_DIR: path(home, "mirror") } });
  fetcher = await validatedFetch(plant.url);
  opened = openDatabase(plant.database.runtimeUrl, { max: 2, applicationName: "signalbox test" });
  party = await join(plant.mqttUrl, { protocol: 4 });
  await plant.equipment(SITE, "scale-1", "4", "scale");
  await plant.equipment(SITE, "mixer-1", "4", "mixer");
  await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND, { reason: "first recipe" });
  for (const batch of ["B-1", "B-2"]) {
    const order = {
      batch,
      jobOrder: `PO-${batch}`,
      line: "4",
      recipe: "blend",
      revision: 3,
      quantity: { value: "25.000", unit: "kg" },
      equipment: { scale: "scale-1", mixer: "mixer-1" },
    };
    expect((await plant.ask("POST", `/v1/sites/${SITE}/batches`, order)).status).toBe(201);
  }
  const command = (command: string, reason: string) => plant.ask("POST", `/v1/sites/${SITE}/batches/B-1/commands`, { command, reason });
  // those in the middle are refused, and on record all the same
  for (const [i, reason] of HOSTILE.entries()) await command(i === HOSTILE.length - 1 ? "release-to-floor" : "resume", reason);
  await command("start", "shift plan");
  await party.subscribe(`site/${SITE}/line/4/eq/scale-1/verdict`);
  const claim = { batchid: "B-1", stepid: "weigh" };
  await party.publish(eventTopic(SCALE), envelope(SCALE, 1, 1, "step.start", {}, claim));
  await party.publish(eventTopic(SCALE), envelope(SCALE, 1, 2, "step.evidence", { evidence: "net-weight", value: "-12.503", unit: "kg" }, claim));
  await party.until("the weight", ({ body }) => body.causationid === "scale-1-1-2");
  // it has no entries at all: what is chosen of it must be refused before anything is read
  await plant.database.query(`set session_replication_role = replica; insert into sites (site, position) values ('${UNSIGNED}', 200000);
    insert into audit_logs (site, log, generation, first_position, origin, why) values ('${UNSIGNED}', 1, 1, 1, 'signalbox/${UNSIGNED}/1', 'begin')`);
});
afterAll(async () => {
  await party?.end();
  await opened?.close();
  await plant?.stop();
  rmSync(home, { recursive: true, force: true });
});

interface File {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  readonly text: string;
}

async function exported(body: object, headers: Readonly<Record<string, string>> = {}): Promise<File> {
  const response = await fetcher("/v1/audit/exports", {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ site: SITE, reason: "an inspector asks", ...body }),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, headers: response.headers, bytes, text: bytes.toString("utf8") };
}

/** What the log says of an export: its entry, found by what the answer names. */
async function onRecord(file: File) {
  const { status, body } = await plant.ask("GET", file.headers.get("location") ?? "");
  expect(status).toBe(200);
  const entry = Buffer.from(body.entry, "base64").toString().split("\n")[1] ?? "";
  return { item: body, said: JSON.parse(entry).signals[0].body };
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const numbersOf = async (batch: string): Promise<number> =>
  Number((await plant.database.query(`select count(*)::int as n from audit_numbers where site = '${SITE}' and batch = '${batch}'`))[0]?.["n"]);
const head = async (): Promise<number> => Number(Object((await plant.ask("GET", `/v1/audit/sites/${SITE}`)).body).position);

/** The cells of a table, by RFC 4180. */
function cells(marked: string): readonly (readonly string[])[] {
  const csv = marked.replace(/^\uFEFF/, "");
  const rows: string[][] = [[]];
  const cell = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n|$)/y;
  while (cell.lastIndex < csv.length) {
    const [, value = "", end] = cell.exec(csv) ?? [];
    rows.at(-1)?.push(value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value);
    if (end === "\r\n") rows.push([]);
    if (end === undefined) throw new Error("this is no table");
  }
  return rows.slice(0, -1);
}

describe("a table", () => {
  test("has a line for each entry that changed the batch's record, numbered without holes; no text is a formula, every number a number", async () => {
    const file = await exported({ batch: "B-1", format: "csv" });
    expect([file.status, file.headers.get("content-type")]).toEqual([201, "text/csv; charset=utf-8; header=present"]);
    expect(file.headers.get("content-disposition")).toBe(`attachment; filename="signalbox-${SITE}-B-1.csv"`);
    const [names = [], ...rows] = cells(file.text);
    const column = (name: string) => rows.map((row) => row[names.indexOf(name)]);
    const numbers = await numbersOf("B-1");
    expect(column("number")).toEqual(Array.from({ length: numbers }, (_, i) => String(i + 1)));
    expect(rows.every((row) => row.length === names.length)).toBe(true);
    for (const [plain, safe] of [
      [HOSTILE[0], `'${HOSTILE[0]}`],
      [HOSTILE[1], "ok;'=1+1"],
      [HOSTILE[2], "ok\t'@SUM(A1)"],
      [HOSTILE[3], HOSTILE[3]],
      [HOSTILE[4], "released [U+202E]detcejer"],
      [HOSTILE[5], `'${HOSTILE[5]}`],
      [HOSTILE[6], `'${HOSTILE[6]}`],
    ])
      expect(column("why"), plain).toContain(safe);
    for (const cell of [...rows.flat(), ...file.text.split(/[;\t\r\n]/)]) expect(cell).not.toMatch(/^[\s"]*(?:[=+@]|-(?!\d+(\.\d+)?$))/);
    // a spreadsheet takes it for UTF-8
    expect(file.bytes.subarray(0, 3)).toEqual(Buffer.from("\uFEFFposition").subarray(0, 3));
    expect(file.text).toContain("→");
    expect(file.text).toContain("-12.503");
  });

  test("is on record with its digest, who, why and what, without a number of the batch; the digest is that of a review", async () => {
    const before = await numbersOf("B-1");
    const file = await exported({ batch: "B-1", format: "csv", reason: "=an inspector asks" });
    const { item, said } = await onRecord(file);
    expect(item).toMatchObject({ what: "audit.exported", object: "batch B-1", why: "=an inspector asks", batches: {}, who: { name: "unattributed" } });
    const review = Object((await plant.ask("POST", "/v1/audit/reviews", { site: SITE, batch: "B-1" })).body);
    expect(said).toMatchObject({
      reason: "=an inspector asks",
      from: expect.stringMatching(/POST \/v1\/audit\/exports$/),
      new: { form: "csv", entries: before, digest: review.trail.digest, sha256: sha256(file.bytes) },
    });
    expect(file.headers.get("repr-digest")).toBe(`sha-256=:${createHash("sha256").update(file.bytes).digest("base64")}:`);
    expect(await numbersOf("B-1")).toBe(before);
  });

  test("of a range has all its positions, of a search what it finds, and the search is on record", async () => {
    const range = cells((await exported({ positions: { from: 2, to: 6 }, format: "csv" })).text);
    expect(range.slice(1).map(([position]) => position)).toEqual(["2", "3", "4", "5", "6"]);
    const file = await exported({ search: { what: "resume", batch: "B-1" }, format: "csv" });
    const found = cells(file.text).slice(1);
    expect(found).toHaveLength(HOSTILE.length - 1);
    const { said } = await onRecord(file);
    expect(said).toMatchObject({
      object: "entries with batch B-1, what resume",
      new: { form: "csv", entries: HOSTILE.length - 1, search: { what: "resume", batch: "B-1" }, sha256: sha256(file.bytes) },
    });
    const nothing = await exported({ search: { who: "nobody at all" }, format: "csv" });
    expect([nothing.status, cells(nothing.text).length]).toEqual([201, 1]);
  });
});

describe("a page", () => {
  test("is to be read and printed: it says what it is of, everything is on it, and all text is text", async () => {
    const file = await exported({ batch: "B-1", format: "html", reason: HOSTILE[3] });
    expect([file.status, file.headers.get("content-type")]).toEqual([201, "text/html; charset=utf-8"]);
    expect(file.headers.get("content-security-policy")).toContain("default-src 'none'");
    const { said } = await onRecord(file);
    expect(said.new).toMatchObject({ form: "html", sha256: sha256(file.bytes) });
    expect(file.text).toMatch(/<h1>Audit trail of site exports: batch B-1<\/h1>/);
    expect(file.text).toContain(said.new.digest);
    expect(file.text).toContain("&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62;");
    expect(file.text).toContain("released [U+202E]detcejer");
    expect(file.text).not.toMatch(/<(?!\/?(html|head|meta|title|style|body|h1|table|thead|tbody|tr|th|td|p|br)\b|!doctype)/);
    expect(file.text).not.toMatch(/\b(src|href|on\w+)\s*=|url\(/);
    expect(file.text.match(/<tr class=/g)).toHaveLength(await numbersOf("B-1"));
    expect(file.text).toContain(`signalbox/${SITE}/1, checkpoint of size`);
    expect(file.text.trimEnd().endsWith("</html>")).toBe(true);
  });
});

const tar = findCommand("tar");
describeWith({ tar }, "a bundle", () => {
  test("is unpacked by stock tar, and verified by the public key alone: sound, complete, with the export's own entry", async () => {
    for (const [name, chosen] of [
      ["batch", { batch: "B-1" }],
      ["range", { positions: { from: 3, to: 12 } }],
    ] as const) {
      const file = await exported({ ...chosen, format: "bundle" });
      expect([file.status, file.headers.get("content-type")]).toEqual([201, "application/x-tar"]);
      const { item, said } = await onRecord(file);
      writeFileSync(path(home, `${name}.tar`), file.bytes);
      expect(spawnSync(tar ?? "", ["-xf", `${name}.tar`], { cwd: home, encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" });
      const folder = path(home, `signalbox-${SITE}-${item.position}`);
      const manifest = JSON.parse(readFileSync(path(folder, "manifest.json"), "utf8"));
      expect(manifest.export).toEqual({ position: item.position, entries: said.new.entries });
      const { exit, report } = await runVerify(["--bundle", folder, "--key", path(home, "state", SITE, "signer.vkey")], {});
      expect(report.findings).toEqual([]);
      expect(exit).toBe(0);
    }
    await nothingPasses();
  });

  test("of what nobody signs is refused at once, and is not on record; what a search finds makes none", async () => {
    const before = await plant.database.query(`select position from sites where site = '${UNSIGNED}'`);
    const file = await exported({ site: UNSIGNED, positions: { from: 1, to: 2 }, format: "bundle" });
    expect([file.status, JSON.parse(file.text).code]).toEqual([409, "AUDIT_NOT_SIGNED"]);
    expect(await plant.database.query(`select position from sites where site = '${UNSIGNED}'`)).toEqual(before);
    const search = await exported({ search: { what: "resume" }, format: "bundle" });
    expect([search.status, JSON.parse(search.text).errors[0].pointer]).toEqual([400, "/search"]);
  });

  test("whose asker hangs up leaves nothing behind", async () => {
    const gone = new AbortController();
    const response = await fetch(`${plant.url}/v1/audit/exports`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ site: SITE, batch: "B-1", format: "bundle", reason: "an inspector asks" }),
      signal: gone.signal,
    });
    expect(response.status).toBe(201);
    expect(named()).toEqual([]);
    gone.abort();
    await nothingPasses();
  });
});

/** Bundles pass through files without a name, so that nothing stays of them when the process is killed; they are closed when the last byte went out. */
async function nothingPasses(): Promise<void> {
  for (let tries = 0; named().length + open().length > 0; tries += 1) {
    if (tries > 300) throw new Error(`still there: ${[...named(), ...open()].join()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const named = (): readonly string[] => readdirSync(tmpdir()).filter((name) => name.startsWith("signalbox-export-"));
/** The open files of this process, as far as the system tells. */
const open = (): readonly string[] =>
  (existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd") : []).flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes("signalbox-export-") ? [fd] : [];
    } catch {
      return [];
    }
  });

describe("what is longer than is read at once", () => {
  const LONG = "long";
  const ENTRIES = Number(process.env["SIGNALBOX_EXPORT_ENTRIES"] ?? 1_001);

  beforeAll(async () => {
    await plant.database.query(`set session_replication_role = replica; select ensure_partitions(${ENTRIES});
      insert into sites (site, position) values ('${LONG}', ${ENTRIES}); insert into shards (shard, site) values ('${LONG}', '${LONG}');
      insert into audit_logs (site, log, generation, first_position, origin, why) values ('${LONG}', 1, 1, 1, 'signalbox/${LONG}/1', 'begin');
      insert into signals (site, position, generation, shard, kind, type, actor, body, received_at, recorded_at)
        select '${LONG}', n, 1, '${LONG}', 'act', 'call.made', 'somebody', '{}', at, at
          from generate_series(1, ${ENTRIES}) n, lateral (select timestamptz '2026-11-25T08:00:00Z' + n * interval '1 millisecond' as at) as moment;
      insert into audit_numbers (site, batch, number, position) select '${LONG}', 'L-1', n, n from generate_series(1, ${ENTRIES}) n;
      insert into audit_entries (site, position, entry) select '${LONG}', n, convert_to(
        '{"site":"${LONG}","position":' || n || ',"generation":1,"time":"2026-11-25T08:00:09.104211Z","shard":"${LONG}","term":1,"base":' || n - 1 || ',"batches":{"L-1":' || n || '}}'
        || E'\\n' || '{"signals":[{"ref":-1,"kind":"act","type":"call.made","actor":"somebody","body":{"object":"call ' || n || '","reason":"' || repeat('because ', 50) || '"}}]}', 'UTF8')
        from generate_series(1, ${ENTRIES}) n`);
  });

  test("is all there, once and in order, however it was chosen", async () => {
    const all = Array.from({ length: ENTRIES }, (_, i) => String(i + 1));
    const began = performance.now();
    for (const chosen of [{ batch: "L-1" }, { positions: { from: 1, to: ENTRIES } }, { search: { what: "call.made" } }]) {
      const file = await exported({ site: LONG, format: "csv", ...chosen });
      expect([file.status, JSON.stringify(chosen)]).toEqual([201, JSON.stringify(chosen)]);
      const positions = file.text
        .split("\r\n")
        .slice(1, -1)
        .map((line) => line.slice(0, line.indexOf(",")));
      expect(positions).toEqual(all);
    }
    measured("export", `${ENTRIES} entries three times in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  });

  test("and a search in a span of time has what was recorded in it", async () => {
    const [, at] = await plant.database.query(
      `select to_char(recorded_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, position::int from signals where site = '${LONG}' and position in (500, 700) order by position`,
    );
    const count = async (search: object): Promise<number> => cells((await exported({ site: LONG, format: "csv", search })).text).length - 1;
    const [before, since] = [await count({ what: "call.made", to: at?.["at"] }), await count({ what: "call.made", from: at?.["at"] })];
    expect([before, since]).toEqual([699, ENTRIES - 699]);
  });

  test("is read as it is taken: whoever reads slowly makes nothing pile up, and whoever hangs up ends it", async () => {
    const gone = new AbortController();
    const response = await fetch(`${plant.url}/v1/audit/exports`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ site: LONG, batch: "L-1", format: "html", reason: "an inspector asks" }),
      signal: gone.signal,
    });
    const reader = response.body?.getReader();
    expect((await reader?.read())?.value?.length).toBeGreaterThan(0);
    gone.abort();
    // the service goes on, and nothing of it holds a connection to the database
    expect((await exported({ site: LONG, positions: { from: 1, to: 3 }, format: "csv" })).status).toBe(201);
  });
});

describe("an export", () => {
  test("of nothing, of several things at once, of what there is not, and of too much, is refused with what to do, and is not on record", async () => {
    const before = await head();
    const refused = async (body: object) => {
      const { status, text } = await exported({ format: "csv", ...body });
      return [status, JSON.parse(text).code];
    };
    expect(await refused({})).toEqual([400, "REQUEST_INVALID"]);
    expect(await refused({ batch: "B-1", positions: { from: 1, to: 2 } })).toEqual([400, "REQUEST_INVALID"]);
    expect(await refused({ batch: "B-1", reason: "" })).toEqual([400, "REQUEST_INVALID"]);
    expect(await refused({ batch: "B-1", format: "pdf" })).toEqual([400, "REQUEST_INVALID"]);
    expect(await refused({ batch: "B-9" })).toEqual([404, "NOT_FOUND"]);
    expect(await refused({ site: "nowhere", batch: "B-1" })).toEqual([404, "NOT_FOUND"]);
    expect(await refused({ positions: { from: 1, to: before + 1 } })).toEqual([404, "NOT_FOUND"]);
    expect(await refused({ positions: { from: 4, to: 3 } })).toEqual([400, "REQUEST_INVALID"]);
    expect(await refused({ site: UNSIGNED, positions: { from: 1, to: 100_001 } })).toEqual([409, "EXPORT_TOO_LARGE"]);
    expect(await head()).toBe(before);
  });

  test("is an entry each time", async () => {
    const before = await head();
    await exported({ batch: "B-2", format: "csv" });
    await exported({ batch: "B-2", format: "csv" });
    expect(await head()).toBe(before + 2);
  });

  // an integrator's retry after a lost answer had put every export on record twice: the key was read by nobody
  test("asked again under its key, also at once by many, is on record once, and the file is the same; with another body it is refused", async () => {
    const before = await head();
    for (const [n, form] of ["csv", "html"].entries()) {
      const ask = () => exported({ batch: "B-1", format: form, reason: "asked by many" }, { "idempotency-key": `export-${form}` });
      const files = [...(await Promise.all([ask(), ask(), ask(), ask()])), await ask()];
      expect(files.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
      expect(new Set(files.map(({ headers, bytes }) => `${headers.get("location")} ${sha256(bytes)}`)).size).toBe(1);
      expect(files.filter(({ headers }) => headers.get("idempotent-replayed") === null)).toHaveLength(1);
      expect(await head()).toBe(before + n + 1);
      expect((await onRecord(await ask())).item).toMatchObject({ result: "recorded", why: "asked by many" });
    }
    const refused = async (body: object, key: string) => {
      const { status, text } = await exported(body, { "idempotency-key": key });
      return [status, JSON.parse(text).code];
    };
    expect(await refused({ batch: "B-2", format: "csv", reason: "asked by many" }, "export-csv")).toEqual([422, "REQUEST_KEY_REUSED"]);
    expect(await refused({ batch: "B-1", format: "csv" }, "export-html")).toEqual([422, "REQUEST_KEY_REUSED"]);
    // a key is one of the site's, whatever was asked under it
    const command = { command: "resume", reason: "plan" };
    expect((await plant.ask("POST", `/v1/sites/${SITE}/batches/B-1/commands`, command, { "idempotency-key": "export-csv" })).status).toBe(422);
    await plant.ask("POST", `/v1/sites/${SITE}/batches/B-2/commands`, command, { "idempotency-key": "a-command" });
    expect(await refused({ batch: "B-2", format: "csv" }, "a-command")).toEqual([422, "REQUEST_KEY_REUSED"]);
    expect(await head()).toBe(before + 3);
  });

  test("as a bundle, asked again under its key, is of the same entries; the record with such answers is sound", async () => {
    const ask = () => exported({ batch: "B-1", format: "bundle" }, { "idempotency-key": "bundle-1" });
    const [first, again] = [await ask(), await ask()];
    expect([first.status, again.status, again.headers.get("location")]).toEqual([201, 201, first.headers.get("location")]);
    const { exit, report } = await runVerify(["--site", SITE, "--key", path(home, "state", SITE, "signer.vkey")], { DATABASE_URL: plant.database.runtimeUrl });
    expect(report.findings).toEqual([]);
    expect(exit).toBe(0);
  });

  test("is of what was put on record, or breaks off", async () => {
    const of = { positions: { from: 2, to: 8 } }.positions;
    const made = await recordExport(opened.db, SITE, of, { form: "csv", copy: csvCopy(of) }, { actor: "a test", from: null, reason: null });
    const asAdministrator = (change: string): Promise<unknown> =>
      plant.database.query(
        `set session_replication_role = replica; update audit_entries set entry = convert_to(${change}, 'UTF8') where site = '${SITE}' and position = 5`,
      );
    const all = async (): Promise<string> => {
      let text = "";
      for await (const piece of handOut(opened.db, SITE, of, csvCopy(of), made)) text += piece;
      return text;
    };
    expect(sha256(Buffer.from(await all()))).toBe(made.sha256);
    const [kept] = await plant.database.query(`select encode(entry, 'base64') as entry from audit_entries where site = '${SITE}' and position = 5`);
    await asAdministrator(`replace(convert_from(entry, 'UTF8'), '"time":"2', '"time":"1')`);
    await expect(all()).rejects.toThrow("was changed meanwhile");
    await asAdministrator("'no entry at all'");
    await expect(all()).rejects.toThrow("position 5");
    const file = await exported({ positions: of, format: "csv" });
    expect([file.status, JSON.parse(file.text).code]).toEqual([409, "AUDIT_ALTERED"]);
    await plant.database.query(
      `set session_replication_role = replica; update audit_entries set entry = decode('${kept?.["entry"]}', 'base64') where site = '${SITE}' and position = 5`,
    );
    expect((await exported({ positions: of, format: "csv" })).status).toBe(201);
  });

  test("of a log that is not whole any more makes no bundle", async () => {
    const of = { batch: "B-1" };
    const made = await recordExport(opened.db, SITE, of, { form: "bundle" }, { actor: "a test", from: null, reason: null });
    expect(await untilSigned(opened.db, SITE, made.position, 60_000)).toBe(true);
    const bundle = (): Promise<unknown> => readChosen(opened.db, SITE, of, made, (record) => writeBundle(NOWHERE, SITE, of, made, record));
    await bundle();
    await plant.database.query(`set session_replication_role = replica; delete from audit_entries where site = '${SITE}' and position = 1`);
    await expect(bundle()).rejects.toThrow(TreeTorn);
  });
});
