// Promise: nobody is in force at the broker whom one person proposed and another did not approve; what is in force, its credential and its reviews are on record, and over REST.
// Attack: approving one's own proposal, approving as nobody, activating what nobody approved, bringing back what was revoked; over REST, in the store, and past both in the database itself.
import { createPublicKey } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "../../../src/cli/parse.ts";
import { partiesAddKey, partiesRevokeKey } from "../../../src/cli/parties-keys.ts";
import { type Db, openDatabase } from "../../../src/db/database.ts";
import { signOff } from "../../../src/parties/access-review.store.ts";
import { fits } from "../../../src/parties/credentials.ts";
import { activate, approve, giveCredential, propose, readActive, readInForce, readRevisions, revoke, revokeKey } from "../../../src/parties/parties.store.ts";
import { type Definition, definitionSchema } from "../../../src/parties/party.ts";
import { deviceRights } from "../../support/parties.ts";
import { person } from "../../support/people.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { deviceKey } from "../../support/signs.ts";

const SITE = "rtm1";
const device = (equipment = "scale-1", more: Partial<Definition> = {}): Definition => ({
  kind: "device",
  owner: "person:ann",
  may: [...deviceRights(equipment)],
  validFrom: null,
  validUntil: null,
  ...more,
});

let plant: Plant;
let db: Db;
let close: () => Promise<void>;
beforeAll(async () => {
  plant = await startPlant({ broker: "embedded" });
  await plant.equipment(SITE, "scale-1", "4", "scale");
  ({ db, close } = openDatabase(plant.database.runtimeUrl, { max: 2, applicationName: "test" }));
});
afterAll(async () => {
  await close?.();
  await plant?.stop();
});

const asked = (party: string, person: string, key: string | null = null) => ({
  site: SITE,
  party,
  by: { actor: person === "nobody" ? "unattributed" : `person:${person}`, from: null, reason: "as planned" },
  key: key === null ? null : { key, request: "test", bodyDigest: "00".repeat(32) },
});
const path = (party: string, what = ""): string => `/v1/sites/${SITE}/parties/${party}${what}`;
const acts = async (type: string): Promise<readonly Record<string, unknown>[]> =>
  plant.database.query(`select actor, body from signals where kind = 'act' and type = '${type}' order by position`);

describe("a party", () => {
  test("is proposed, approved by another, activated; each on record by whom", async () => {
    expect(await propose(db, asked("p-1", "ann"), device())).toMatchObject({ kind: "done", result: { revision: 1, state: "proposed" } });
    expect(await activate(db, asked("p-1", "bob"), 1)).toMatchObject({ kind: "refused", because: "state", state: "proposed" });
    expect(await approve(db, asked("p-1", "ann"), 1)).toMatchObject({ kind: "refused", because: "self" });
    expect(await approve(db, asked("p-1", "nobody"), 1)).toMatchObject({ kind: "refused", because: "nobody" });
    expect(await readActive(db)).toEqual([]);
    expect(await approve(db, asked("p-1", "bob"), 1)).toMatchObject({ kind: "done", result: { state: "approved", approved: { by: "person:bob" } } });
    expect(await activate(db, asked("p-1", "nobody"), 1)).toMatchObject({ kind: "refused", because: "nobody" });
    expect(await activate(db, asked("p-1", "ann"), 1)).toMatchObject({ kind: "done", result: { state: "active" } });
    expect(await readActive(db)).toMatchObject([{ site: SITE, party: "p-1", revision: 1, verifier: null, approvedBy: "person:bob" }]);
    for (const [type, actor] of [
      ["party.proposed", "person:ann"],
      ["party.approved", "person:bob"],
      ["party.activated", "person:ann"],
    ] as const)
      expect((await acts(type)).at(-1)).toMatchObject({ actor, body: { object: "party p-1@1", reason: "as planned" } });
  });

  test("proposed by nobody known can be approved by nobody", async () => {
    await propose(db, asked("p-2", "nobody"), device("mixer-1"));
    expect(await approve(db, asked("p-2", "bob"), 1)).toMatchObject({ kind: "refused", because: "nobody" });
  });

  test("in force is replaced by its next revision, and the older one never comes back", async () => {
    await propose(db, asked("p-1", "ann"), device("scale-1", { owner: "person:dora" }));
    await propose(db, asked("p-1", "ann"), device("scale-1", { owner: "person:eve" }));
    for (const revision of [2, 3]) await approve(db, asked("p-1", "bob"), revision);
    await activate(db, asked("p-1", "bob"), 3);
    expect(await activate(db, asked("p-1", "bob"), 2)).toMatchObject({ kind: "refused", because: "state", state: "replaced" });
    expect((await readRevisions(db, SITE, "p-1")).map(({ state }) => state)).toEqual(["replaced", "approved", "active"]);
    expect(await readActive(db)).toMatchObject([{ party: "p-1", revision: 3, owner: "person:eve" }]);
  });

  test("that would be in conflict with another is refused when it is proposed, and again when the other came since", async () => {
    expect(await propose(db, asked("copy", "ann"), device())).toMatchObject({ kind: "refused", because: "conflict", conflicts: [{ code: "SHARED_BRANCH" }] });
    const outcomes: Definition = device("press-1", {
      may: [...deviceRights("press-1"), { direction: "subscribe", what: "outcome", where: { line: "4", equipment: "press-1" } }],
    });
    expect(await propose(db, asked("p-3", "ann"), outcomes)).toMatchObject({ kind: "refused", conflicts: [{ code: "VERIFIES_AND_APPROVES" }] });
    for (const name of ["p-4", "p-5"]) {
      expect(await propose(db, asked(name, "ann"), device("press-1"))).toMatchObject({ kind: "done" });
      expect(await approve(db, asked(name, "bob"), 1)).toMatchObject({ kind: "done" });
    }
    expect(await activate(db, asked("p-4", "bob"), 1)).toMatchObject({ kind: "done" });
    expect(await activate(db, asked("p-5", "bob"), 1)).toMatchObject({ kind: "refused", because: "conflict", conflicts: [{ code: "SHARED_BRANCH" }] });
  });

  test("has a credential that is shown once, kept as a verifier, on record as neither, and void when it is issued anew", async () => {
    const first = await giveCredential(db, asked("p-1", "ann", "k-1"));
    const password = first.kind === "done" ? (first.result.password ?? "") : "";
    expect(password).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(await giveCredential(db, asked("p-1", "ann", "k-1"))).toMatchObject({ kind: "done", replayed: true, result: { password: null } });
    const verifierNow = async () => (await readActive(db)).find(({ party }) => party === "p-1")?.verifier ?? "";
    expect(fits(await verifierNow(), Buffer.from(password))).toBe(true);
    const everything =
      JSON.stringify(await plant.database.query("select convert_from(entry, 'UTF8') as entry from audit_entries")) +
      JSON.stringify(await plant.database.query("select answer from idempotency_keys"));
    expect(everything).not.toContain(password);
    expect(everything).not.toContain(await verifierNow());
    expect(everything).toContain("verifierSha256");
    await giveCredential(db, asked("p-1", "ann"));
    expect(fits(await verifierNow(), Buffer.from(password))).toBe(false);
  });

  test("is valid only in its period", async () => {
    const [from, until] = ["2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"];
    await propose(db, asked("p-6", "ann"), device("label-1", { validFrom: from, validUntil: until }));
    await approve(db, asked("p-6", "bob"), 1);
    await activate(db, asked("p-6", "bob"), 1);
    const at = async (time: string) => (await readInForce(db, [SITE], Date.parse(time))).parties.some(({ party }) => party === "p-6");
    expect([await at("2025-12-31T23:59:59.999Z"), await at(from), await at("2026-01-31T23:59:59.999Z"), await at(until)]).toEqual([false, true, true, false]);
  });

  test("is revoked by whom it may be, with its credential and all that was proposed, for good", async () => {
    await propose(db, asked("p-1", "ann"), device());
    expect(await revoke(db, asked("p-1", "nobody"), "stolen")).toMatchObject({ kind: "done" });
    expect((await readRevisions(db, SITE, "p-1")).map(({ state }) => state)).toEqual(["replaced", "revoked", "revoked", "revoked"]);
    expect((await readActive(db)).map(({ party }) => party)).not.toContain("p-1");
    expect(await approve(db, asked("p-1", "bob"), 4)).toMatchObject({ kind: "refused", because: "state", state: "revoked" });
    expect(await activate(db, asked("p-1", "bob"), 2)).toMatchObject({ kind: "refused", because: "state", state: "revoked" });
    expect(await giveCredential(db, asked("p-1", "ann"))).toMatchObject({ kind: "refused", because: "state" });
    // what is proposed afterwards is another matter, and begins without a credential
    await propose(db, asked("p-1", "ann"), device());
    await approve(db, asked("p-1", "bob"), 5);
    await activate(db, asked("p-1", "bob"), 5);
    expect((await readActive(db)).find(({ party }) => party === "p-1")).toMatchObject({ revision: 5, verifier: null });
  });

  test("is changed once under a key", async () => {
    const first = await propose(db, asked("p-7", "ann", "k-7"), device("seal-1"));
    const second = await propose(db, asked("p-7", "ann", "k-7"), device("seal-1"));
    expect(first).toMatchObject({ kind: "done", replayed: false, result: { revision: 1 } });
    expect(second).toMatchObject({ kind: "done", replayed: true, result: { revision: 1 } });
    expect(await readRevisions(db, SITE, "p-7")).toHaveLength(1);
  });
});

describe("a signing key stands for one party for good", () => {
  const OTHER_SITE = "ams2";
  const [lost, kept, next, dropped, meant] = ["lost", "kept", "next", "dropped", "meant"].map((kid, n) => deviceKey(kid, 20 + n)) as [Key, Key, Key, Key, Key];
  type Key = ReturnType<typeof deviceKey>;
  const keysOf = (keys: readonly Key[]) => keys.map(({ kid, publicKey }) => ({ kid, publicKey, validFrom: null, validUntil: null }));
  const by = (equipment: string, ...keys: readonly Key[]): Definition => device(equipment, { signing: { keys: keysOf(keys), must: "all" } });
  const at = (site: string, party: string, who = "ann") => ({ ...asked(party, who), site });
  const renamed = (key: Key, kid: string): Key => ({ ...key, kid });
  async function inForce(party: string, ...keys: readonly Key[]): Promise<void> {
    const proposed = await propose(db, asked(party, "ann"), by(party, ...keys));
    const revision = proposed.kind === "done" ? proposed.result.revision : expect.unreachable(JSON.stringify(proposed));
    expect(await approve(db, asked(party, "bob"), revision)).toMatchObject({ kind: "done" });
    expect(await activate(db, asked(party, "bob"), revision)).toMatchObject({ kind: "done" });
  }
  beforeAll(async () => {
    await plant.equipment(OTHER_SITE, "press-9", "4", "press");
    // what is proposed elsewhere before its key is revoked here may come into force nowhere either
    await inForce("s-1", dropped, lost);
    await inForce("s-1", lost, kept);
    await inForce("s-2", next);
    await propose(db, asked("s-3", "ann"), by("s-3", meant));
    await revokeKey(db, asked("s-1", "carl"), "lost", "the device was opened");
    await revoke(db, asked("s-2", "carl"), "stolen");
  });

  test("a key that was revoked, or whose party was, comes back nowhere, under whatever name", async () => {
    for (const [key, code] of [
      [lost, "REVOKED_KEY"],
      [next, "REVOKED_KEY"],
      // taken out of its party, and meant for one: neither is revoked, and each is one party's
      [dropped, "SHARED_KEY"],
      [meant, "SHARED_KEY"],
    ] as const)
      for (const [site, party] of [
        [SITE, "s-9"],
        [OTHER_SITE, "s-9"],
      ] as const)
        for (const one of [key, renamed(key, "innocent")])
          expect(await propose(db, at(site, party), by("s-9", one)), `${one.kid} ${site}`).toMatchObject({ because: "conflict", conflicts: [{ code }] });
    // with its own party neither
    expect(await propose(db, asked("s-1", "ann"), by("s-1", kept, lost))).toMatchObject({ conflicts: [{ code: "REVOKED_KEY" }] });
    expect(await propose(db, asked("s-2", "ann"), by("s-2", next))).toMatchObject({ conflicts: [{ code: "REVOKED_KEY" }] });
    expect(await propose(db, asked("s-2", "ann"), by("s-2", renamed(kept, "next")))).toMatchObject({ conflicts: [{ code: "REVOKED_KEY" }] });
  });

  test("a party goes on with its own keys over its revisions, and is given new ones", async () => {
    await inForce("s-1", kept, dropped);
    await inForce("s-1", kept, deviceKey("newer", 27));
    await inForce("s-2", deviceKey("another", 28));
    expect((await readActive(db)).filter(({ party }) => party === "s-1")).toMatchObject([{ signing: { keys: [{ kid: "kept" }, { kid: "newer" }] } }]);
  });

  test("of whom a key is or was is told to nobody at another site", async () => {
    for (const key of [lost, next, dropped, meant]) {
      const told = JSON.stringify(await propose(db, at(OTHER_SITE, "q-9"), by("q-9", renamed(key, "mine"))));
      expect(told).toContain("mine of q-9");
      expect(told).not.toMatch(/\bs-\d|rtm1/);
    }
    const raw = sql.raw(revisionOf(OTHER_SITE, "q-9", renamed(dropped, "mine"))).execute(db);
    await expect(raw).rejects.toThrow(/key mine of party q-9/);
    await expect(raw).rejects.not.toThrow(/\bs-\d|rtm1/);
  });

  const revisionOf = (site: string, party: string, ...keys: readonly Key[]): string =>
    `insert into party_revisions (site, party, revision, position, content, proposed_by)
     values ('${site}', '${party}', 900, 900900, '${JSON.stringify(by(party, ...keys))}', 'person:ann')`;
  test("the database refuses it too: what is proposed, and what was before it was revoked", async () => {
    for (const key of [lost, next, dropped, meant])
      for (const site of [SITE, OTHER_SITE])
        await expect(sql.raw(revisionOf(site, "s-9", renamed(key, "innocent"))).execute(db), `${key.kid} ${site}`).rejects.toThrow(/revoked, or is another/);
    await expect(sql.raw(revisionOf(SITE, "s-1", lost)).execute(db)).rejects.toThrow(/revoked, or is another/);
    await expect(sql.raw(revisionOf(SITE, "s-1", renamed(kept, "other"))).execute(db)).rejects.toThrow(/revoked, or is another/);
    await expect(sql.raw(revisionOf(SITE, "s-2", next)).execute(db)).rejects.toThrow(/revoked, or is another/);
    const late = deviceKey("late", 29);
    await propose(db, asked("s-4", "ann"), by("s-4", late));
    await propose(db, asked("s-4", "ann"), by("s-4", late));
    expect(await approve(db, asked("s-4", "bob"), 2)).toMatchObject({ kind: "done" });
    await revokeKey(db, asked("s-4", "carl"), "late", "lost");
    expect(await approve(db, asked("s-4", "bob"), 1)).toMatchObject({ because: "conflict", conflicts: [{ code: "REVOKED_KEY" }] });
    expect(await activate(db, asked("s-4", "bob"), 2)).toMatchObject({ because: "conflict", conflicts: [{ code: "REVOKED_KEY" }] });
    for (const statement of [
      `insert into party_approvals (site, party, revision, position, proposed_by, approved_by) values ('${SITE}', 's-4', 1, 900901, 'person:ann', 'person:bob')`,
      `insert into party_activations (site, party, revision, position, activated_by) values ('${SITE}', 's-4', 2, 900902, 'person:bob')`,
    ])
      await expect(sql.raw(statement).execute(db)).rejects.toThrow(/revoked, or is another/);
  });

  test("an access review shows every key of a party with where it stands, and what came back before anybody asked", async () => {
    const [soon, past] = [deviceKey("soon", 30), deviceKey("past", 31)];
    const timed = [
      { ...keysOf([soon])[0], validFrom: "2099-01-01T00:00:00.000Z" },
      { ...keysOf([past])[0], validUntil: "2026-01-01T00:00:00.000Z" },
    ];
    await propose(db, asked("s-1", "ann"), definitionSchema.parse({ ...by("s-1", kept), signing: { keys: [...keysOf([kept]), ...timed], must: "all" } }));
    await approve(db, asked("s-1", "bob"), 5);
    await activate(db, asked("s-1", "bob"), 5);
    const report = async () => Object((await plant.ask("GET", `/v1/sites/${SITE}/access-review`)).body);
    const of = async (party: string) => (await report()).parties.find((one: { party: string; state: string }) => one.party === party && one.state === "active");
    expect((await of("s-1")).keys.map(({ kid, state }: { kid: string; state: string }) => [kid, state])).toEqual([
      ["dropped", "unused"],
      ["lost", "revoked"],
      ["kept", "valid"],
      ["newer", "unused"],
      ["past", "expired"],
      ["soon", "early"],
    ]);
    expect((await of("s-1")).keys[1]).toMatchObject({
      publicKey: lost.publicKey,
      revoked: { by: "person:carl", at: expect.any(String), reason: "the device was opened" },
    });
    expect((await of("s-2")).keys).toMatchObject([
      { kid: "next", state: "revoked", revoked: { by: "person:carl", reason: "stolen" } },
      { kid: "another", state: "valid", revoked: null },
    ]);
    expect(await of("p-4")).not.toHaveProperty("keys");
    // taking a key away from who is in force is no conflict of theirs; what stands by the key of another is one, also where it came into force before keys were compared
    await revokeKey(db, asked("s-1", "carl"), "kept", "worn out");
    expect((await of("s-1")).conflicts.map(({ code }: { code: string }) => code)).toEqual(["NO_CREDENTIAL"]);
    await plant.database.query(`alter table party_revisions disable trigger keys_once`);
    await sql.raw(revisionOf(SITE, "s-4", lost)).execute(db);
    await plant.database.query(`alter table party_revisions enable trigger keys_once`);
    const [back] = (await report()).parties.filter(({ party, revision }: { party: string; revision: number }) => party === "s-4" && revision === 900);
    expect(back.conflicts.map(({ code }: { code: string }) => code)).toEqual(["REVOKED_KEY"]);
  });
});

describe("the database itself refuses", () => {
  const refused = (statement: string) => expect(sql.raw(statement).execute(db)).rejects;
  const approval = (party: string, revision: number, proposer: string, approver: string): string =>
    `insert into party_approvals (site, party, revision, position, proposed_by, approved_by) values ('${SITE}', '${party}', ${revision}, 900000, '${proposer}', '${approver}')`;
  beforeAll(async () => {
    await propose(db, asked("q-1", "ann"), device("q-1"));
    await propose(db, asked("q-2", "nobody"), device("q-2"));
  });

  test("approving what one has proposed, approving as nobody, and saying that somebody else has proposed it", async () => {
    await refused(approval("q-1", 1, "person:ann", "person:ann")).toThrow(/check/);
    await refused(approval("q-1", 1, "person:ann", "unattributed")).toThrow(/check/);
    await refused(approval("q-1", 1, "person:carl", "person:ann")).toThrow(/foreign key/);
    await refused(approval("q-2", 1, "unattributed", "person:bob")).toThrow(/check/);
    await refused(approval("q-2", 1, "person:ann", "person:bob")).toThrow(/foreign key/);
  });
  test("activating what nobody approved, or as nobody", async () => {
    const activation = (by: string) =>
      `insert into party_activations (site, party, revision, position, activated_by) values ('${SITE}', 'q-1', 1, 900000, '${by}')`;
    await refused(activation("person:bob")).toThrow(/foreign key/);
    await approve(db, asked("q-1", "bob"), 1);
    await refused(activation("unattributed")).toThrow(/check/);
  });
  test("approving or activating what was revoked", async () => {
    await propose(db, asked("q-1", "ann"), device("q-1"));
    await revoke(db, asked("q-1", "bob"), "out of use");
    await refused(`insert into party_activations (site, party, revision, position, activated_by) values ('${SITE}', 'q-1', 1, 900000, 'person:bob')`).toThrow(
      /revoked/,
    );
    await refused(approval("q-1", 2, "person:ann", "person:bob")).toThrow(/revoked/);
  });
  test("changing or taking away any of it, the owner of the tables too", async () => {
    const { kid, publicKey } = deviceKey("q", 7);
    await propose(db, asked("q-2", "ann"), device("q-2", { signing: { keys: [{ kid, publicKey, validFrom: null, validUntil: null }], must: "all" } }));
    expect(await revokeKey(db, asked("q-2", "bob"), kid, "lost")).toMatchObject({ kind: "done" });
    for (const table of ["party_revisions", "party_approvals", "party_activations", "party_revocations", "party_credentials", "party_key_revocations"]) {
      await refused(`delete from ${table}`).toThrow(/permission denied/);
      const owner = openDatabase(plant.database.ownerUrl, { max: 1, applicationName: "owner" });
      await expect(sql.raw(`update ${table} set position = position + 1`).execute(owner.db)).rejects.toThrow(/append-only/);
      await expect(sql.raw(`truncate ${table} cascade`).execute(owner.db)).rejects.toThrow(/append-only/);
      await owner.close();
    }
  });
});

describe("over REST", () => {
  test("signing keys are proposed and revoked, by the command line too; on record, and no other key than such a one", async () => {
    const [first, second, third] = [deviceKey("first", 1), deviceKey("second", 2), deviceKey("third", 33)];
    const signing = { keys: [{ kid: first.kid, publicKey: first.publicKey }], must: ["signalbox.step.evidence.v1"] };
    const put = (said: unknown) => plant.ask("PUT", path("k-1"), { ...device("k-1"), signing: said });
    for (const [said, at] of [
      [{ ...signing, must: ["signalbox.no.such.v1"] }, "/signing/must"],
      [{ ...signing, keys: [] }, "/signing/keys"],
      [{ ...signing, alg: "none" }, "/signing"],
      [{ ...signing, keys: [{ kid: "first", publicKey: first.publicKey.slice(1) }] }, "/signing/keys/0/publicKey"],
      [{ ...signing, keys: [{ kid: "a b", publicKey: first.publicKey }] }, "/signing/keys/0/kid"],
    ] as const) {
      const { status, body } = await put(said);
      expect([status, JSON.stringify(body.errors)]).toEqual([400, expect.stringContaining(at)]);
    }
    expect((await plant.ask("PUT", path("k-2"), { kind: "dashboard", owner: "person:ann", may: [], signing })).status).toBe(400);
    expect(await put(signing)).toMatchObject({
      status: 201,
      body: { revision: 1, signing: { keys: [{ kid: "first", validFrom: null }], must: ["signalbox.step.evidence.v1"] } },
    });

    const home = mkdtempSync(join(tmpdir(), "signalbox-keys-"));
    const [open, secret] = [join(home, "open.pem"), join(home, "secret.pem")];
    writeFileSync(open, createPublicKey(second.privateKey).export({ type: "spki", format: "pem" }));
    writeFileSync(secret, second.privateKey.export({ type: "pkcs8", format: "pem" }));
    const run = async (...argv: readonly string[]) => {
      const out: string[] = [];
      const parsed = parse([...argv, "--url", plant.url, "--site", SITE], [partiesAddKey, partiesRevokeKey], {});
      if (parsed.kind !== "run") throw new Error(`${argv.join(" ")} is ${parsed.kind}`);
      const exit = await parsed.command.run(parsed.call, { out: (line) => out.push(line), err: () => {}, progress: () => {}, paint: (_, text) => text });
      return [exit, out.join("\n")];
    };
    await expect(run("parties", "add-key", "k-1", "second", secret)).rejects.toThrow(/is a private key/);
    expect(await run("parties", "add-key", "k-1", "second", open, "--must", "all")).toEqual([0, expect.stringMatching(/revision 2 of k-1/)]);
    expect(Object((await plant.ask("GET", path("k-1"))).body).revisions[1]).toMatchObject({
      state: "proposed",
      signing: { keys: [{ kid: "first" }, { kid: "second", publicKey: second.publicKey }], must: "all" },
    });

    expect(await plant.ask("POST", path("k-1", "/keys/fourth/revocation"), { reason: "lost" })).toMatchObject({ status: 404 });
    expect(await plant.ask("POST", path("k-1", "/keys/first/revocation"), { reason: "lost" })).toMatchObject({ status: 200 });
    expect(await plant.ask("POST", path("k-1", "/keys/first/revocation"), { reason: "lost" })).toMatchObject({ status: 409, body: { code: "PARTY_STATE" } });
    expect((await acts("party.key.revoked")).at(-1)).toMatchObject({
      body: { object: "key first of party k-1", new: { party: "k-1", kid: "first" }, reason: "lost" },
    });
    await expect(run("parties", "add-key", "k-1", "first", open)).rejects.toThrow(/PARTY_CONFLICT/);
    expect((await plant.ask("GET", path("k-1"))).body).toMatchObject({ revokedKeys: ["first"] });
    // story: the next key was proposed together with those that were revoked, and refused for these
    writeFileSync(open, createPublicKey(third.privateKey).export({ type: "spki", format: "pem" }));
    expect(await run("parties", "add-key", "k-1", "third", open)).toEqual([0, expect.stringMatching(/revision 3 of k-1/)]);
    expect(Object((await plant.ask("GET", path("k-1"))).body).revisions[2]).toMatchObject({
      state: "proposed",
      signing: { keys: [{ kid: "second" }, { kid: "third" }] },
    });
    expect(await run("parties", "revoke-key", "k-1", "second", "--reason", "opened")).toEqual([0, "Key second of k-1 is revoked."]);
    rmSync(home, { recursive: true });
  });

  test("nobody who is not signed in approves; what is proposed, revoked and issued is answered and on record", async () => {
    const put = await plant.ask("PUT", path("r-1"), device("r-1"), { reason: "new line" });
    expect(put).toMatchObject({ status: 201, body: { revision: 1, state: "proposed", proposed: { by: "unattributed" } } });
    expect(await plant.ask("POST", path("r-1", "/approval"), { revision: 1 })).toMatchObject({ status: 409, body: { code: "PARTY_NOT_BY_YOU" } });
    expect(await plant.ask("POST", path("r-1", "/activation"), { revision: 1 })).toMatchObject({ status: 409, body: { code: "PARTY_STATE" } });
    expect(await plant.ask("GET", path("r-1"))).toMatchObject({ status: 200, body: { revisions: [{ revision: 1 }] } });
    const issued = await plant.ask("POST", path("r-1", "/credential"), undefined, { "idempotency-key": "c-1" });
    expect(issued).toMatchObject({ status: 201, body: { party: "r-1", password: expect.stringMatching(/^[\w-]{43}$/) } });
    expect(issued.headers.get("cache-control")).toBe("no-store");
    const again = await plant.ask("POST", path("r-1", "/credential"), undefined, { "idempotency-key": "c-1" });
    expect(again).toMatchObject({ status: 201, body: { password: null } });
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect(await plant.ask("POST", path("r-1", "/revocation"), { reason: "mistake" })).toMatchObject({
      status: 200,
      body: { revisions: [{ state: "revoked" }] },
    });
    expect(await plant.ask("POST", path("r-1", "/revocation"), { reason: "mistake" })).toMatchObject({ status: 409, body: { code: "PARTY_STATE" } });
  });

  test("what is in conflict is refused by its codes, and what nobody knows by its place", async () => {
    const wide = { ...device("r-2"), may: [{ direction: "publish", what: "outcome", where: { line: "4", equipment: "r-2" } }] };
    expect(await plant.ask("PUT", path("r-2"), wide)).toMatchObject({
      status: 409,
      body: { code: "PARTY_CONFLICT", conflicts: [{ code: "OUT_IS_THE_SERVICES" }] },
    });
    expect(await plant.ask("PUT", path("r-2"), { ...device("r-2"), admin: true })).toMatchObject({ status: 400 });
    expect(await plant.ask("PUT", path("r-2"), { ...device("r-2"), owner: "ann" })).toMatchObject({ status: 400 });
    expect(await plant.ask("PUT", path("r:2"), device("r-2"))).toMatchObject({ status: 400 });
    const unknown = {
      ...device("r-2"),
      may: [{ direction: "publish", what: "event", where: { line: "4", equipment: "r-2" }, types: ["signalbox.step.approved.v1"] }],
    };
    expect(await plant.ask("PUT", path("r-2"), unknown)).toMatchObject({ status: 400, body: { errors: [{ pointer: "/may/0/types" }] } });
    const { may: _, ...bare } = device("r-2");
    expect(await plant.ask("PUT", path("r-2"), bare)).toMatchObject({ status: 400, body: { errors: [{ pointer: "/may" }] } });
    expect(await plant.ask("PUT", path("core"), { ...bare, kind: "service" })).toMatchObject({ status: 201 });
    expect(await plant.ask("PUT", "/v1/sites/nowhere/parties/r-2", device("r-2"))).toMatchObject({ status: 404 });
    expect(await plant.ask("GET", path("r-9"))).toMatchObject({ status: 404 });
  });

  test("the compiled file is given as text", async () => {
    const response = await fetch(`${plant.url}/v1/sites/${SITE}/broker-acl`);
    expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    const text = await response.text();
    expect(text).toMatch(/^# revision rtm1@\d+$/m);
    expect(text).toContain(`user p-1\ntopic read site/${SITE}/line/4/eq/scale-1/cmd\n`);
    expect(text).not.toContain("user r-1");
    expect(text).not.toContain("user p-6");
  });

  test("an access review reports every party, and is signed off by a person as it was seen", async () => {
    const asking = async () => {
      const { status, body } = await plant.ask("GET", `/v1/sites/${SITE}/access-review`);
      expect(status).toBe(200);
      return Object(body);
    };
    const body = await asking();
    const of = (party: string) => body.parties.find((one: { party: string }) => one.party === party);
    expect(of("p-1")).toMatchObject({
      owner: "person:ann",
      approvedBy: "person:bob",
      credential: { state: "revoked" },
      conflicts: [{ code: "NO_CREDENTIAL" }],
    });
    expect(of("p-6").conflicts.map(({ code }: { code: string }) => code)).toEqual(["EXPIRED", "NO_CREDENTIAL"]);
    expect(of("p-5").conflicts.map(({ code }: { code: string }) => code)).toEqual(["SHARED_BRANCH"]);
    expect(body.history).toEqual([]);
    const seen = { digest: body.digest, finding: "The key of p-1 is missing." };
    expect(await plant.ask("POST", `/v1/sites/${SITE}/access-review`, seen)).toMatchObject({ status: 409, body: { code: "PARTY_NOT_BY_YOU" } });
    const by = { site: SITE, by: asked("", "carl").by, key: null };
    // four eyes: whoever proposed or approved any of it does not review it
    for (const who of ["ann", "bob"])
      expect(await signOff(db, { ...by, by: asked("", who).by }, seen, "", Date.now()), who).toMatchObject({ kind: "refused", because: "own" });
    expect(await signOff(db, by, { ...seen, digest: "00".repeat(32) }, "", Date.now())).toMatchObject({ kind: "refused", because: "digest" });
    expect(await signOff(db, by, seen, "", Date.now())).toMatchObject({ kind: "done", result: { digest: body.digest, by: "person:carl" } });
    const after = await asking();
    expect(after.history).toMatchObject([{ digest: body.digest, finding: "The key of p-1 is missing.", by: "person:carl", parties: body.parties.length }]);
    await revoke(db, asked("p-4", "ann"), "out of use");
    expect(await signOff(db, by, { ...seen, digest: after.digest }, "", Date.now())).toMatchObject({ kind: "refused", because: "digest" });
    // an owner who may not sign in, or never did, is found as soon as anybody signs in here
    const ownersOf = ({ parties }: { parties: { owner: string; state: string }[] }) =>
      parties.filter(({ state }) => state === "active").map(({ owner }) => owner);
    const ownersUnknown = async (): Promise<string[]> =>
      (await asking()).parties
        .filter(({ conflicts }: { conflicts: { code: string }[] }) => conflicts.some(({ code }) => code === "ORPHAN_OWNER"))
        .map(({ owner }: { owner: string }) => owner);
    expect(await ownersUnknown()).toEqual([]);
    await person(plant, "ann");
    expect(new Set(await ownersUnknown())).toEqual(new Set(ownersOf(await asking()).filter((owner) => owner !== "person:ann")));
    await plant.database.query("update person_standings set active = false where person = 'ann'");
    expect(new Set(await ownersUnknown())).toEqual(new Set(ownersOf(await asking())));
    const refusal = sql.raw(
      `insert into party_reviews (site, review, digest, parties, conflicts, finding, reviewed_by) values ('${SITE}', 900000, sha256('x'), 1, 0, 'fine', 'unattributed')`,
    );
    await expect(refusal.execute(db)).rejects.toThrow(/check/);
  });
});
