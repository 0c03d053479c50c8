// Promise: who may see one site learns nothing of another, not even that there is something: the database itself shows the rows of the sites that a request may see, and none where it is not said
// for whom is asked.
// Attack: everything of site B asked for by a person of site A by its real name, and the same by names that do not exist: status, headers, body, counts, lists and numbers are the same, and so is
// the time; cursors of one person used by another; the reader's role asked directly, without saying for whom; every table that names a site.
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BLEND } from "../../support/blend.ts";
import { measured } from "../../support/measure.ts";
import { envelope, eventTopic, join, sourceOf } from "../../support/mqtt.ts";
import { bearing, machine, person, signIn, WITH_SECRET } from "../../support/people.ts";
import { type Plant, startPlant } from "../../support/plant.ts";

const OWN = "site-a";
const FOREIGN = "site-b";
let plant: Plant;
const reviews = new Map<string, number>();
const verdicts = new Map<string, string>();
let reader: Readonly<Record<string, string>>;
let auditor: Readonly<Record<string, string>>;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded", settings: WITH_SECRET });
  await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND);
  for (const site of [OWN, FOREIGN]) {
    await plant.equipment(site, `scale-${site}`, "4", "scale");
    await plant.equipment(site, `mixer-${site}`, "4", "mixer");
    const order = { batch: `B-${site}`, jobOrder: `PO-${site}`, line: "4", recipe: "blend", revision: 3, quantity: { value: "25.000", unit: "kg" } };
    const made = await plant.ask("POST", `/v1/sites/${site}/batches`, { ...order, equipment: { scale: `scale-${site}`, mixer: `mixer-${site}` } });
    expect(made.status).toBe(201);
    const device = await join(plant.mqttUrl, { clientId: `device-${site}`, protocol: 4 });
    await device.subscribe(`site/${site}/line/4/eq/scale-${site}/verdict`);
    const source = sourceOf(site, "4", `scale-${site}`);
    for (const command of ["release-to-floor", "start"])
      expect((await plant.ask("POST", `/v1/sites/${site}/batches/B-${site}/commands`, { command, reason: "plan" })).status).toBe(200);
    // a step that starts; another event by its id, which is quarantined; one of a step that is not begun, which ends in an exception; and one too early, so that there is a gap
    const of = { batchid: `B-${site}`, stepid: "weigh" };
    await device.publish(eventTopic(source), envelope(source, 1, 1, "step.start", {}, of));
    await device.publish(eventTopic(source), envelope(source, 1, 2, "step.pause", {}, { ...of, id: `scale-${site}-1-1` }));
    await device.publish(eventTopic(source), envelope(source, 1, 3, "check.performed", { check: "none", result: "pass" }, { ...of, stepid: "none" }));
    await device.publish(eventTopic(source), envelope(source, 1, 5, "count.reported", { count: "good", value: "1" }));
    const last = await device.until("all are decided", ({ body }) => Object(body).data?.event?.sequence === "5");
    verdicts.set(site, String(Object(last.body).data.verdict));
    const review = await plant.ask("POST", "/v1/audit/reviews", { site, batch: `B-${site}` });
    reviews.set(site, Number(Object(Object(review.body)["review"])["review"]));
    await device.end();
  }
  await person(plant, "admin", { role: "admin", site: null });
  await person(plant, "reader", { role: "integrator", site: OWN });
  await person(plant, "auditor", { role: "auditor", site: null });
  const mes = bearing(await machine(plant, "mes", "admin", { role: "mes", site: FOREIGN }));
  expect((await plant.ask("PUT", `/v1/sites/${FOREIGN}/outcomes/confirmation`, { position: 1, generation: 1 }, mes)).status).toBe(200);
  const feed = bearing(await machine(plant, "feed", "admin", { role: "feed", site: FOREIGN, kind: "calibration" }));
  expect((await plant.ask("PUT", `/v1/sites/${FOREIGN}/status/calibration/scale-${FOREIGN}`, { status: "current" }, feed)).status).toBe(201);
  reader = bearing(await signIn(plant, "reader"));
  auditor = bearing(await signIn(plant, "auditor"));
}, 300_000);
afterAll(async () => {
  await plant?.stop();
});

/** Addresses that name something of a site, with what of it they name. */
const ADDRESSES: readonly ((names: { site: string; batch: string; equipment: string }) => string)[] = [
  ({ site }) => `/v1/sites/${site}/batches`,
  ({ site, batch }) => `/v1/sites/${site}/batches/${batch}`,
  ...["permitted", "timeline", "record", "outcomes", "audit-trail"].map(
    (part) =>
      ({ site, batch }: { site: string; batch: string }): string =>
        `/v1/sites/${site}/batches/${batch}/${part}`,
  ),
  ({ site }) => `/v1/sites/${site}/registry/equipment`,
  ({ site, equipment }) => `/v1/sites/${site}/registry/equipment/${equipment}`,
  ({ site }) => `/v1/sites/${site}/registry/sources`,
  ({ site, equipment }) => `/v1/sources/${site}/4/${equipment}`,
  ({ site }) => `/v1/audit/sites/${site}`,
  ({ site }) => `/v1/audit/sites/${site}/checkpoint`,
  ({ site }) => `/v1/audit/sites/${site}/retention`,
  ({ site }) => `/v1/audit/sites/${site}/entries/1`,
  ({ site }) => `/v1/audit/sites/${site}/entries/1/proof`,
  ({ site }) => `/v1/audit/sites/${site}/consistency?from=1&to=2`,
  ({ site }) => `/v1/audit/sites/${site}/reviews/${reviews.get(FOREIGN) ?? "{review}"}`,
  ({ site }) => `/v1/events?site=${site}`,
  ({ batch }) => `/v1/events?batch=${batch}`,
  ({ equipment }) => `/v1/events?equipment=${equipment}`,
  ({ site, equipment }) => `/v1/events?source=/site/${site}/line/4/eq/${equipment}`,
  ({ site }) => `/v1/events/${verdicts.get(FOREIGN)?.replace(FOREIGN, site) ?? "{verdict}"}`,
  ({ site }) => `/v1/gaps?site=${site}`,
  ({ site }) => `/v1/quarantine?site=${site}`,
  ({ batch }) => `/v1/exceptions?batch=${batch}`,
  ({ equipment }) => `/v1/context-locks?equipment=${equipment}`,
  ({ equipment }) => `/v1/context-windows?equipment=${equipment}`,
  ({ site }) => `/v1/outcomes?site=${site}`,
  ({ site }) => `/v1/sites/${site}/outcomes/confirmation`,
  ({ site, equipment }) => `/v1/sites/${site}/status/calibration/${equipment}`,
  ({ site }) => `/v1/audit/entries?site=${site}`,
  ({ site, batch }) => `/v1/audit/entries?site=${site}&batch=${batch}`,
  ({ site, batch }) => `/v1/audit/reviews?site=${site}&batch=${batch}`,
];

const THERE = { site: FOREIGN, batch: `B-${FOREIGN}`, equipment: `scale-${FOREIGN}` };
const NOT_THERE = { site: "site-x", batch: "B-site-x", equipment: "scale-site-x" };

/** What is told, with the names in it made one. */
async function said(path: string, headers: Readonly<Record<string, string>>): Promise<unknown> {
  const response = await fetch(`${plant.url}${path}`, { headers });
  const text = (await response.text()).replaceAll("site-x", FOREIGN).replaceAll(/"\d{4}-[^"]*Z"/g, '"a time"');
  const kept = [...response.headers].filter(([name]) => name !== "date" && name !== "keep-alive");
  return { status: response.status, headers: kept, text };
}

test.each(ADDRESSES.map((address) => [address({ site: "{site}", batch: "{batch}", equipment: "{equipment}" }), address] as const))(
  "%s: what is there of another site is as what is not there at all",
  async (_, address) => {
    expect(await said(address(THERE), reader)).toEqual(await said(address(NOT_THERE), reader));
    // nobody signs here, so there is no checkpoint
    if (address(THERE).endsWith("/checkpoint")) return;
    expect(await said(address(THERE), auditor)).not.toEqual(await said(address(NOT_THERE), auditor));
  },
);

test("what is asked of all sites is answered of the reader's", async () => {
  for (const path of ["/v1/events", "/v1/gaps", "/v1/quarantine", "/v1/exceptions", "/v1/context-locks", "/v1/audit/reviews"]) {
    const { status, body } = await plant.ask("GET", path, undefined, reader);
    expect(status, path).toBe(200);
    expect(JSON.stringify(body), path).not.toContain(FOREIGN);
  }
  const [mine, all] = [await plant.ask("GET", "/v1/gaps", undefined, reader), await plant.ask("GET", "/v1/gaps", undefined, auditor)];
  expect(mine.body.items).toHaveLength(1);
  expect(all.body.items).toHaveLength(2);
  // the only site that there is, for this one
  expect((await plant.ask("GET", "/v1/outcomes", undefined, reader)).status).toBe(200);
  expect((await plant.ask("GET", "/v1/outcomes", undefined, auditor)).status).toBe(400);
});

test("a cursor of one person shows another no more than they may see", async () => {
  const first = await plant.ask("GET", "/v1/events?limit=1", undefined, auditor);
  const { body } = await plant.ask("GET", `/v1/events?limit=100&cursor=${String(first.body.cursor)}`, undefined, reader);
  expect(JSON.stringify(body)).not.toContain(FOREIGN);
});

test("health names no site to whoever does not say who they are", async () => {
  const open = await plant.ask("GET", "/health/ready");
  expect(open.status).toBe(200);
  expect(JSON.stringify(open.body)).not.toContain("site-");
});

test("over 1,000 interleaved requests, what is foreign and what is unknown take as long", async () => {
  const times: Record<"foreign" | "unknown", number[]> = { foreign: [], unknown: [] };
  const ask = async (kind: "foreign" | "unknown"): Promise<void> => {
    const began = performance.now();
    const response = await fetch(`${plant.url}/v1/events/${kind === "foreign" ? verdicts.get(FOREIGN) : verdicts.get(FOREIGN)?.replace(FOREIGN, "site-x")}`, {
      headers: reader,
    });
    await response.arrayBuffer();
    times[kind].push(performance.now() - began);
  };
  for (let i = 0; i < 500; i += 1) {
    await ask(i % 2 === 0 ? "foreign" : "unknown");
    await ask(i % 2 === 0 ? "unknown" : "foreign");
  }
  const sorted = (of: readonly number[]): readonly number[] => [...of].sort((a, b) => a - b);
  const at = (of: readonly number[], part: number): number => sorted(of)[Math.floor(of.length * part)] ?? 0;
  const apart = Math.abs(at(times.foreign, 0.5) - at(times.unknown, 0.5));
  const spread = Math.max(...[times.foreign, times.unknown].map((of) => at(of, 0.75) - at(of, 0.25)));
  measured("sites.medians", `${apart.toFixed(3)} ms apart, spread ${spread.toFixed(3)} ms`);
  measured("sites.apart", String(apart < spread));
});

// A connection on which the reader's role could not be taken on was never given back: after as many failures as there are connections nobody could read any more.
test("a role that cannot be taken on for a while costs no connection", async () => {
  await plant.database.query("revoke signalbox_reader from signalbox_runtime");
  try {
    for (let n = 0; n < 10; n += 1) expect((await plant.ask("GET", "/v1/gaps", undefined, reader)).status).toBe(500);
  } finally {
    await plant.database.query("grant signalbox_reader to signalbox_runtime");
  }
  expect((await plant.ask("GET", "/v1/gaps", undefined, reader)).status).toBe(200);
});

test("the reader's role sees nothing where it is not said for whom is asked, and changes nothing", async () => {
  const client = new pg.Client({ connectionString: plant.database.runtimeUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string; secured: boolean }>(`select c.relname as name, c.relrowsecurity as secured from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attname = 'site' and not a.attisdropped
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and has_table_privilege('signalbox_reader', c.oid, 'select')`);
    expect(rows.length).toBeGreaterThan(25);
    expect(rows.filter(({ secured }) => !secured)).toEqual([]);
    const seen = async (sites: string | null, table: string): Promise<readonly string[]> => {
      await client.query("begin; set local role signalbox_reader");
      if (sites !== null) await client.query(`set local signalbox.sites = '${sites}'`);
      const found = await client.query<{ site: string }>(`select distinct site from ${table}`);
      await client.query("rollback");
      return found.rows.map(({ site }) => site).sort();
    };
    for (const { name } of rows) {
      expect(await seen(null, name), name).toEqual([]);
      expect(await seen("", name), name).toEqual([]);
      expect(await seen("site-x", name), name).toEqual([]);
      expect(
        (await seen(OWN, name)).filter((site) => site !== OWN),
        name,
      ).toEqual([]);
    }
    expect(await seen("*", "sites")).toEqual([OWN, FOREIGN]);
    expect(await seen(null, "audit_trail")).toEqual([]);
    // what is asked past the policies, by functions
    const told = (site: string) => [
      `(select '${site}' as site from names_told('${site}')) as names`,
      `(select '${site}' as site from positions_told('${site}', '{batch.create}', 1, 1000000, false, 10)) as positions`,
      `(select '${site}' as site from positions_saying('${site}', 'plan', 1, 1000000, 10)) as reasons`,
    ];
    for (const [own, foreign] of told(OWN).map((own, n) => [own, told(FOREIGN)[n] ?? ""] as const)) {
      expect(await seen(OWN, own), own).toEqual([OWN]);
      expect(await seen("*", foreign), foreign).toEqual([FOREIGN]);
      for (const sites of [OWN, "", null]) expect(await seen(sites, foreign), foreign).toEqual([]);
    }
    const { rows: writable } =
      await client.query(`select c.relname from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')
      and has_table_privilege('signalbox_reader', c.oid, 'insert, update, delete, truncate')`);
    expect(writable).toEqual([]);
    const { rows: secret } =
      await client.query(`select name from unnest(array['people', 'person_standings', 'person_grants', 'machines', 'api_keys', 'sign_ins']) as name
      where has_table_privilege('signalbox_reader', name, 'select')`);
    expect(secret).toEqual([]);
    // partitions are no way round
    const { rows: partitions } = await client.query(`select c.relname from pg_class c where c.relnamespace = 'public'::regnamespace and c.relispartition
      and has_table_privilege('signalbox_reader', c.oid, 'select')`);
    expect(partitions).toEqual([]);
  } finally {
    await client.end();
  }
});
