// Promise: at a broker of several sites nobody comes by another site's rights: a service that they share is shared by somebody who answers for all of them, with one credential for all of them; and
// what one site is told, by refusal, access review or record, names nothing of another.
// Attack: the people of one site propose, approve and issue a password to a service under the name of another site's, before that is in force and after, over REST and past it in the database itself,
// and go to a real broker with the password; then lines in the broker's file about both sites, put in by hand.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "../../../src/cli/parse.ts";
import { partiesPasswords } from "../../../src/cli/parties.ts";
import { type Db, openDatabase } from "../../../src/db/database.ts";
import { issueCredential } from "../../../src/parties/credentials.ts";
import { mosquittoAcl } from "../../../src/parties/mosquitto-acl.ts";
import { readInForce } from "../../../src/parties/parties.store.ts";
import type { Right } from "../../../src/parties/party.ts";
import { deviceRights } from "../../support/parties.ts";
import { connectAs } from "../../support/party-matrix.ts";
import { bearing, person, signIn, WITH_SECRET } from "../../support/people.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { verifyDatabase } from "../../support/replay.ts";

const ONE = "alpha";
const OTHER = "omega";
const home = mkdtempSync(join(tmpdir(), "signalbox-sites-"));
const aclFile = join(home, "acl");
const outcomeOf = (site: string): string => `site/${site}/line/4/eq/press/outcome`;
/** What it says it hears itself, so that it is seen to be let do both. */
const SERVICE: readonly Right[] = (["publish", "subscribe"] as const).map((direction) => ({
  direction,
  what: "outcome",
  where: { line: "4", equipment: "press" },
}));

let plant: Plant;
let db: Db;
let close: () => Promise<void>;
const tokens = new Map<string, string>();

/** Asks as somebody; about the party `core` unless it is said. */
async function ask(who: string, method: string, site: string, what = "", body?: unknown, party = "core") {
  const { status, body: said } = await plant.ask(method, `/v1/sites/${site}/parties/${party}${what}`, body, bearing(tokens.get(who) ?? ""));
  return { status, body: Object(said), text: JSON.stringify(said) };
}
const propose = (who: string, site: string, more = {}) => ask(who, "PUT", site, "", { kind: "service", owner: `person:${who}`, may: SERVICE, ...more });
const approve = (who: string, site: string, revision = 1) => ask(who, "POST", site, "/approval", { revision });
const activate = (who: string, site: string, revision = 1) => ask(who, "POST", site, "/activation", { revision });
const credential = (who: string, site: string) => ask(who, "POST", site, "/credential");
const refusedFor = (code: string) => ({ status: 409, body: { code: "PARTY_CONFLICT", conflicts: [expect.objectContaining({ code })] } });
const acts = (site: string, type: string): Promise<readonly Record<string, unknown>[]> =>
  plant.database.query(`select actor, body, body::text as text from signals where site = '${site}' and kind = 'act' and type = '${type}' order by position`);

/** Whether `core` is let in by a password, and on which sites it may do what it does. */
async function letIn(password: string): Promise<readonly string[] | null> {
  const found: string[] = [];
  for (const site of [ONE, OTHER]) {
    const client = await connectAs(plant.mqttUrl, 4, "core", password).catch(() => null);
    if (client === null) return null;
    // the broker ends the connection of whoever publishes what they may not, or whose rights have changed; what they may can change at any moment here
    const ended = new Promise<false>((resolve) => client.once("close", () => resolve(false)));
    const came = new Promise<true>((resolve) => client.once("message", () => resolve(true)));
    const subscribed = await Promise.race([
      ended,
      client.subscribeAsync(outcomeOf(site)).then(
        () => true,
        () => false,
      ),
    ]);
    const published = client.publishAsync(outcomeOf(site), "mine", { qos: 1 }).then(
      () => !subscribed || came,
      () => false,
    );
    if (await Promise.race([published, ended])) found.push(site);
    await client.endAsync(true);
  }
  return found;
}

beforeAll(async () => {
  writeFileSync(aclFile, "");
  plant = await startPlant({ broker: "embedded", settings: { ...WITH_SECRET, MQTT_ACL_FILE: aclFile } });
  for (const site of [ONE, OTHER]) await plant.equipment(site, "press", "4", "press");
  ({ db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "test" }));
  for (const [who, site] of [
    ["all", null],
    ["one", ONE],
    ["other", OTHER],
  ] as const) {
    for (const n of [1, 2]) await person(plant, `${who}-${n}`, { role: "engineer", site: site }, { role: "admin", site: site });
    for (const n of [1, 2]) tokens.set(`${who}-${n}`, await signIn(plant, `${who}-${n}`));
  }
}, 120_000);
afterAll(async () => {
  await close?.();
  await plant?.stop();
  rmSync(home, { recursive: true, force: true });
});

let own = "";
let foreign = "";
let shared = "";

test("people of one site are not let in as the service of another, whatever they register under its name", async () => {
  // while nobody has the name, whoever comes first may have it
  expect(await propose("other-1", OTHER)).toMatchObject({ status: 201 });
  expect(await approve("other-2", OTHER)).toMatchObject({ status: 200 });
  const early = await credential("other-1", OTHER);
  foreign = early.body.password;

  expect(await propose("one-1", ONE)).toMatchObject({ status: 201 });
  expect(await approve("one-2", ONE)).toMatchObject({ status: 200 });
  own = (await credential("one-1", ONE)).body.password;
  expect(await activate("one-1", ONE)).toMatchObject({ status: 200 });
  // until then the embedded broker is open to everybody
  const anybody = (): Promise<boolean> =>
    connectAs(plant.mqttUrl, 4, "core", "guessed").then(
      (client) => client.endAsync(true).then(() => true),
      () => false,
    );
  await expect.poll(anybody, { timeout: 15_000 }).toBe(false);
  expect(await letIn(own)).toEqual([ONE]);

  const attempts = [
    await activate("other-1", OTHER),
    await credential("other-1", OTHER),
    await propose("other-1", OTHER),
    await propose("other-1", OTHER, { may: [...SERVICE, { direction: "publish", what: "checkpoint", where: "site" }] }),
  ];
  for (const attempt of attempts) expect(attempt).toMatchObject(refusedFor("SHARED_SERVICE"));
  const device = await propose("other-1", OTHER, { kind: "device", may: deviceRights("press") });
  expect(device).toMatchObject(refusedFor("SHARED_IDENTITY"));
  for (const { text } of [...attempts, device]) expect(text).not.toContain(ONE);

  expect(await letIn(foreign)).toBeNull();
  expect(await letIn(own)).toEqual([ONE]);
});

test("the database itself puts it into force by nobody of one site, and by nobody with another credential", async () => {
  const activation = (by: string) =>
    sql.raw(`insert into party_activations (site, party, revision, position, activated_by) values ('${OTHER}', 'core', 1, 900000, 'person:${by}')`).execute(db);
  await expect(activation("other-1")).rejects.toThrow(/does not answer for every site/);
  await expect(activation("all-1")).rejects.toThrow(/another credential at another site/);
});

test("who answers for every site makes it one service, with one password for all of its sites, on record at each", async () => {
  expect(await activate("all-1", OTHER)).toMatchObject(refusedFor("OTHER_CREDENTIAL"));
  const both = (await credential("all-1", OTHER)).body.password;
  await expect.poll(() => letIn(both), { timeout: 15_000 }).toEqual([ONE]);
  expect(await activate("all-1", OTHER)).toMatchObject({ status: 200 });
  await expect.poll(() => letIn(both), { timeout: 15_000 }).toEqual([ONE, OTHER]);
  expect([await letIn(own), await letIn(foreign)]).toEqual([null, null]);

  for (const [site, names] of [
    [ONE, OTHER],
    [OTHER, ONE],
  ] as const) {
    const issued = (await acts(site, "party.credential.issued")).at(-1);
    expect(issued).toMatchObject({ actor: "person:all-1", body: { object: "party core", new: { everySite: true } } });
    expect(issued?.["text"]).not.toContain(names);
  }
  expect((await acts(OTHER, "party.activated")).at(-1)).toMatchObject({ body: { new: { everySite: true } } });
  expect((await acts(ONE, "party.activated")).at(-1)?.["text"]).not.toContain("everySite");

  // from here on no site alone changes what the other has part in, nor the database for it
  for (const [site, who] of [
    [ONE, "one"],
    [OTHER, "other"],
  ] as const) {
    expect(await credential(`${who}-1`, site)).toMatchObject(refusedFor("SHARED_SERVICE"));
    expect(await propose(`${who}-1`, site)).toMatchObject(refusedFor("SHARED_SERVICE"));
  }
  expect(await propose("all-1", ONE)).toMatchObject({ status: 201 });
  expect(await approve("one-2", ONE, 2)).toMatchObject(refusedFor("SHARED_SERVICE"));
  expect(await approve("all-2", ONE, 2)).toMatchObject({ status: 200 });
  expect(await activate("one-1", ONE, 2)).toMatchObject(refusedFor("SHARED_SERVICE"));
  const alone = sql.raw(
    `insert into party_credentials (site, party, position, verifier, issued_by) select site, party, 900000, verifier, 'person:one-1' from party_credentials where site = '${ONE}' order by position limit 1`,
  );
  await expect(alone.execute(db)).rejects.toThrow(/another credential at another site/);
  shared = both;
  expect(await letIn(both)).toEqual([ONE, OTHER]);
  const review = await plant.ask("GET", `/v1/sites/${OTHER}/access-review`, undefined, bearing(tokens.get("other-1") ?? ""));
  expect(Object(review.body).parties).toMatchObject([{ party: "core", conflicts: [{ code: "SHARED_SERVICE" }] }]);
  expect(JSON.stringify(review.body)).not.toContain(ONE);
  expect((await verifyDatabase(plant.database.runtimeUrl)).flatMap(({ findings }) => findings)).toEqual([]);
});

test("two credentials of one name, as they could be before this was so, let in nobody until one is issued for all of its sites", async () => {
  const { password, verifier } = issueCredential();
  // a change of the registry is known by its position: at one that was taken by another, what is written past the service would not be seen
  expect(await ask("other-1", "PUT", OTHER, "", { kind: "device", owner: "person:other-1", may: deviceRights("press") }, "spare")).toMatchObject({
    status: 201,
  });
  await plant.database.query(`set session_replication_role = replica;
    insert into party_credentials (site, party, position, verifier, issued_by) select site, 'core', position, '${verifier}'::bytea, 'person:other-1' from sites where site = '${OTHER}';
    reset session_replication_role`);
  const passwords = async (): Promise<readonly [string, string]> => {
    const said: [string[], string[]] = [[], []];
    const parsed = parse(["parties", "passwords"], [partiesPasswords], { DATABASE_URL: plant.database.runtimeUrl });
    if (parsed.kind !== "run") throw new Error(parsed.kind);
    await parsed.command.run(parsed.call, {
      out: (line) => said[0].push(line),
      err: (line) => said[1].push(line),
      progress: () => {},
      paint: (_, text) => text,
    });
    return [said[0].join(), said[1].join()];
  };
  await expect.poll(() => letIn(shared), { timeout: 15_000 }).toBeNull();
  expect(await letIn(password)).toBeNull();
  expect(await passwords()).toEqual(["", expect.stringMatching(/^core is left out/)]);
  shared = (await credential("all-2", ONE)).body.password;
  await expect.poll(() => letIn(shared), { timeout: 15_000 }).toEqual([ONE, OTHER]);
  expect(await letIn(password)).toBeNull();
  expect(await passwords()).toEqual([expect.stringMatching(/^core:\$7\$/), ""]);
});

test("of what the broker's file has more or less, each site's record has what concerns that site", async () => {
  const drifts = (site: string) => acts(site, "parties.drift");
  const last = async (site: string) => Object((await drifts(site)).at(-1)?.["body"]).new;
  for (const [site, who] of [
    [ONE, "one"],
    [OTHER, "other"],
  ] as const) {
    const party = `scale-${who}`;
    await ask(`${who}-1`, "PUT", site, "", { kind: "device", owner: "person:ann", may: deviceRights("press") }, party);
    await ask(`${who}-2`, "POST", site, "/approval", { revision: 1 }, party);
    expect(await ask(`${who}-1`, "POST", site, "/activation", { revision: 1 }, party)).toMatchObject({ status: 200 });
  }
  // the file is empty: each lacks its own
  for (const site of [ONE, OTHER])
    await expect
      .poll(async () => (await last(site))?.less?.map((line: string) => line.includes(`site/${site}/`)), { timeout: 30_000 })
      .toEqual(Array(10).fill(true));
  const { text } = mosquittoAcl((await readInForce(db, null, Date.now())).parties, "", "now");
  const byHand = [`user scale-one`, `topic write site/${OTHER}/outcome`, "topic write +/#", "user nobody", "topic read #", `topik site/${ONE}`];
  writeFileSync(aclFile, `${text}\n${byHand.join("\n")}\n`);
  await expect
    .poll(() => last(OTHER), { timeout: 30_000 })
    .toMatchObject({
      more: [
        `a user of another site: topic write +/#`,
        `a user of another site: topic write site/${OTHER}/outcome`,
        "unreadable: a line",
        "user nobody: topic read #",
      ],
      less: [],
      moreLines: 4,
    });
  await expect
    .poll(() => last(ONE), { timeout: 30_000 })
    .toMatchObject({ more: ["unreadable: a line", "user nobody: topic read #", "user scale-one: topic write +/#"], less: [], moreLines: 3 });
  const told = async (site: string) => (await drifts(site)).map(({ text: said }) => said).join();
  expect(await told(ONE)).not.toMatch(/omega|scale-other/);
  expect(await told(OTHER)).not.toMatch(/alpha|scale-one/);
  writeFileSync(aclFile, text);
  for (const site of [ONE, OTHER]) await expect.poll(async () => (await acts(site, "parties.drift-ended")).length, { timeout: 30_000 }).toBe(1);
});
