// Promise: what a person signs is what they were shown, on the record as it stood, proven anew by password or by a new login, in the same commit as the act; and nobody signs for another, twice, late,
// or about what they did themselves. Machines never sign.
// Attack: acts without a signature, with another's password; a challenge that is replayed, late, another person's, or about a record that has changed since; the performer who verifies, the actor who
// reviews; a login for another challenge at a real provider; a machine that asks to sign; a pass that is made up.
import { afterAll, beforeAll, expect, test } from "vitest";
import { nonceOf } from "../../../src/access/oidc.fetch.ts";
import { BLEND } from "../../support/blend.ts";
import { measured } from "../../support/measure.ts";
import { ADA, Browser, KURT, REDIRECT_URI, type RealProvider, startProvider } from "../../support/oidc-provider.ts";
import { bearing, machine, PASSWORD, person, signIn, WITH_SECRET } from "../../support/people.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { verifyDatabase } from "../../support/replay.ts";

const SITE = "signing";
type Token = Readonly<Record<string, string>>;
let plant: Plant;
let provider: RealProvider;
const as: Record<string, Token> = {};
let orders = 0;

const RECIPE = { ...BLEND, steps: BLEND.steps.map((step) => (step.step === "weigh" ? { ...step, verification: "second-person" } : step)) };

beforeAll(async () => {
  provider = await startProvider();
  plant = await startPlant({
    broker: "embedded",
    settings: {
      ...WITH_SECRET,
      OIDC_ISSUER: provider.issuer,
      OIDC_CLIENT_ID: "signalbox",
      OIDC_CLIENT_SECRET: "a secret of the client",
      OIDC_REDIRECT_URI: REDIRECT_URI,
    },
  });
  await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", RECIPE);
  for (const site of [SITE])
    for (let n = 1; n <= 12; n += 1) {
      await plant.equipment(site, `scale-${n}`, "4", "scale");
      await plant.equipment(site, `mixer-${n}`, "4", "mixer");
    }
  await person(plant, "admin", { role: "admin", site: null });
  for (const [id, role] of [
    ["olga", "operator"],
    ["omar", "operator"],
    ["sam", "supervisor"],
    ["rita", "qa_reviewer"],
    ["quinn", "qa_approver"],
  ] as const) {
    await person(plant, id, { role, site: SITE });
    as[id] = bearing(await signIn(plant, id));
  }
  as["admin"] = bearing(await signIn(plant, "admin"));
  as["mes"] = bearing(await machine(plant, "mes-1", "admin", { role: "mes", site: SITE }));
  const made = await plant.ask(
    "POST",
    "/v1/people",
    { person: "ada", name: "Ada Lovelace", identity: { issuer: provider.issuer, subject: ADA.subject } },
    { ...as["admin"], reason: "joined" },
  );
  expect(made.status).toBe(201);
  expect((await plant.ask("POST", "/v1/people/ada/grants", { role: "qa_reviewer", site: SITE }, { ...as["admin"], reason: "joined" })).status).toBe(204);
}, 300_000);
afterAll(async () => {
  await plant?.stop();
  await provider?.close();
});

/** A batch that runs. */
async function running(): Promise<string> {
  orders += 1;
  const [batch, token] = [`B-${orders}`, as["sam"] ?? {}];
  const order = { batch, jobOrder: `PO-${orders}`, line: "4", recipe: "blend", revision: 3, quantity: { value: "25.000", unit: "kg" } };
  const made = await plant.ask("POST", `/v1/sites/${SITE}/batches`, { ...order, equipment: { scale: `scale-${orders}`, mixer: `mixer-${orders}` } }, token);
  expect(made.status).toBe(201);
  for (const command of ["release-to-floor", "start"]) expect((await order1(batch, { command, reason: "plan" }, "sam")).status).toBe(200);
  return batch;
}
const order1 = (batch: string, body: unknown, who: string) => plant.ask("POST", `/v1/sites/${SITE}/batches/${batch}/commands`, body, as[who]);
const orderStep = (batch: string, body: unknown, who: string) => plant.ask("POST", `/v1/sites/${SITE}/batches/${batch}/steps/weigh/commands`, body, as[who]);

const stopping = (batch: string) => ({
  path: `/v1/sites/${SITE}/batches/${batch}/commands`,
  body: { command: "stop", reason: "leak" },
  reason: "a leak at the mixer",
});
const verifying = (batch: string) => ({ path: `/v1/sites/${SITE}/batches/${batch}/steps/weigh/commands`, body: { command: "verify" }, reason: "seen" });
const challenge = (asked: unknown, who: string) => plant.ask("POST", "/v1/signatures/challenges", asked, as[who]);
const sign = (body: unknown, who: string) => plant.ask("POST", "/v1/signatures", body, as[who]);
const stateOf = async (batch: string) => (await plant.ask("GET", `/v1/sites/${SITE}/batches/${batch}`, undefined, as["sam"])).body;
const said = (of: unknown, name: string): unknown => Object(of)[name];

test("an act that people sign is refused to a person without a signature, and done to one who signs it, with the signature in its entry", async () => {
  const batch = await running();
  expect(await order1(batch, { command: "stop", reason: "leak" }, "sam")).toMatchObject({ status: 409, body: { code: "SIG_MISSING" } });
  const asked = await challenge(stopping(batch), "sam");
  expect(asked).toMatchObject({
    status: 201,
    body: {
      text: `I, Person sam (sam), as supervisor, stop batch ${batch} at site ${SITE}: stopped. Reason: a leak at the mixer`,
      meaning: "stopped",
      by: { method: "password" },
    },
  });
  const id = said(asked.body, "challenge");
  expect(await sign({ challenge: id, password: "another password" }, "sam")).toMatchObject({ status: 403, body: { code: "SIGNATURE_NOT_PROVEN" } });
  const signed = await sign({ challenge: id, password: PASSWORD }, "sam");
  expect(signed.status, JSON.stringify(signed.body)).toBe(200);
  expect(await stateOf(batch)).toMatchObject({ execution: "stopped" });
  const [entry] = await plant.database.query(`select convert_from(e.entry, 'UTF8') as text, g.actor from audit_entries e join signals g using (site, position)
    where g.body -> 'signature' ->> 'signature' = '${String(id)}'`);
  expect(entry?.["actor"]).toBe("person:sam");
  const body: unknown = JSON.parse(String(entry?.["text"]).split("\n")[1] ?? "");
  expect(Object(body).signals[0].body.signature).toMatchObject({
    signer: { person: "sam", name: "Person sam", issuer: "local" },
    role: "supervisor",
    meaning: "stopped",
    reason: "a leak at the mixer",
    at: expect.stringMatching(/^\d{4}-.*Z$/),
    record: { what: `batch ${batch}`, sha256: said(said(asked.body, "record"), "sha256") },
    authenticated: { method: "password" },
  });
  // as it is shown to people, wherever the act is
  const printed = "Person sam (sam), supervisor: stopped,";
  const trail = await plant.ask("GET", `/v1/audit/entries?site=${SITE}&batch=${batch}&what=batch.stop`, undefined, as["sam"]);
  expect(trail.body.items.at(-1)).toMatchObject({ who: { kind: "person", name: "person:sam", role: "supervisor" }, signed: expect.stringContaining(printed) });
  const page = await fetch(`${plant.url}/v1/sites/${SITE}/batches/${batch}/record`, { headers: { ...as["sam"], accept: "text/html" } });
  expect(await page.text()).toContain(`Signed: ${printed}`);
  // replayed
  expect(await sign({ challenge: id, password: PASSWORD }, "sam")).toMatchObject({ status: 409, body: { code: "SIGNATURE_USED" } });
});

test("many passwords tried at once for a signature are counted one by one, and lock the signer out", async () => {
  await person(plant, "gus", { role: "supervisor", site: SITE });
  as["gus"] = bearing(await signIn(plant, "gus"));
  const batch = await running();
  const id = said((await challenge(stopping(batch), "gus")).body, "challenge");
  const guesses = await Promise.all(Array.from({ length: 9 }, (_, i) => sign({ challenge: id, password: `wrong password ${i}` }, "gus")));
  for (const guess of guesses) expect(guess).toMatchObject({ status: 403, body: { code: "SIGNATURE_NOT_PROVEN" } });
  const [standing] = await plant.database.query("select failed, locked_until > clock_timestamp() as locked from person_standings where person = 'gus'");
  expect(standing?.["locked"]).toBe(true);
  // two are tried at once, so that one at most was still being tried when five had been wrong
  expect(Number(standing?.["failed"])).toBeLessThanOrEqual(1);
  expect((await sign({ challenge: id, password: PASSWORD }, "gus")).body).toEqual(guesses[0]?.body);
  expect(await stateOf(batch)).toMatchObject({ execution: "running" });
});

test("a record that changed since it was shown is not signed", async () => {
  const batch = await running();
  const asked = await challenge(stopping(batch), "sam");
  expect((await orderStep(batch, { command: "comment", comment: "look" }, "olga")).status).toBe(200);
  expect(await sign({ challenge: said(asked.body, "challenge"), password: PASSWORD }, "sam")).toMatchObject({
    status: 409,
    body: { code: "SIGNATURE_RECORD_CHANGED" },
  });
  expect(await stateOf(batch)).toMatchObject({ execution: "running" });
});

test("a challenge is of one person, and ends", async () => {
  const batch = await running();
  const id = said((await challenge(stopping(batch), "sam")).body, "challenge");
  expect((await sign({ challenge: id, password: PASSWORD }, "olga")).status).toBe(404);
  // as its own clock would have it after two minutes; only a superuser can change one
  await plant.database.query(`set session_replication_role = replica; update signature_challenges set created_at = created_at - interval '3 minutes', expires_at = expires_at - interval '3 minutes'
    where challenge = '${String(id)}'`);
  expect(await sign({ challenge: id, password: PASSWORD }, "sam")).toMatchObject({ status: 409, body: { code: "SIGNATURE_EXPIRED" } });
  expect(await stateOf(batch)).toMatchObject({ execution: "running" });
});

test("the database itself refuses a second use, and a change of what was asked", async () => {
  const batch = await running();
  const id = said((await challenge(stopping(batch), "sam")).body, "challenge");
  const change = (set: string): Promise<unknown> => plant.database.query(`update signature_challenges set ${set} where challenge = '${String(id)}'`);
  await expect(change("body = '{}'")).rejects.toThrow("is used once, as it was made");
  await expect(change("person = 'olga'")).rejects.toThrow("is used once, as it was made");
  await change("used_at = clock_timestamp()");
  await expect(change("used_at = null")).rejects.toThrow("is used once, as it was made");
  await expect(plant.database.query(`delete from signature_challenges where challenge = '${String(id)}'`)).rejects.toThrow();
});

test("whoever performed a step does not verify it; another person does", async () => {
  const batch = await running();
  expect((await orderStep(batch, { command: "start" }, "olga")).status).toBe(200);
  const evidence = { evidence: "net-weight", value: "12.500", unit: "kg" };
  expect((await orderStep(batch, { command: "evidence", evidence }, "olga")).status).toBe(200);
  const performed = await orderStep(batch, { command: "complete" }, "olga");
  expect(performed.status, JSON.stringify(performed.body)).toBe(200);
  expect(await orderStep(batch, { command: "verify" }, "omar")).toMatchObject({ status: 409, body: { code: "SIG_MISSING" } });
  expect(await challenge(verifying(batch), "olga")).toMatchObject({ status: 403, body: { code: "SIGNATURE_OWN_DEED" } });
  const asked = await challenge(verifying(batch), "omar");
  expect(asked.status, JSON.stringify(asked.body)).toBe(201);
  const signed = await sign({ challenge: said(asked.body, "challenge"), password: PASSWORD }, "omar");
  expect(signed.status, JSON.stringify(signed.body)).toBe(200);
  const steps = said(await stateOf(batch), "steps");
  expect(Array.isArray(steps) && steps.find((step: unknown) => said(step, "step") === "weigh")).toMatchObject({ state: "complete" });
});

test("nobody signs in a role that was taken from them since they were asked to sign, also where another one would do", async () => {
  const batch = await running();
  await person(plant, "otto", { role: "operator", site: SITE });
  expect((await plant.ask("POST", "/v1/people/otto/grants", { role: "supervisor", site: SITE }, { ...as["admin"], reason: "promoted" })).status).toBe(204);
  as["otto"] = bearing(await signIn(plant, "otto"));
  const asked = await challenge(stopping(batch), "otto");
  expect(asked.body).toMatchObject({ text: expect.stringContaining("as operator,") });
  expect((await plant.ask("POST", "/v1/people/otto/grants/revocation", { role: "operator", site: SITE }, { ...as["admin"], reason: "moved" })).status).toBe(
    204,
  );
  expect(await sign({ challenge: said(asked.body, "challenge"), password: PASSWORD }, "otto")).toMatchObject({
    status: 409,
    body: { code: "SIGNATURE_RECORD_CHANGED", detail: expect.stringContaining("as operator, and would do this as supervisor now") },
  });
  expect(await stateOf(batch)).toMatchObject({ execution: "running" });
  const anew = await challenge(stopping(batch), "otto");
  expect(await sign({ challenge: said(anew.body, "challenge"), password: PASSWORD }, "otto")).toMatchObject({
    status: 200,
    body: { signature: { role: "supervisor" } },
  });
});

test("a machine never signs, and does what its role gives it without; nobody signs what they may not do", async () => {
  const batch = await running();
  expect(await challenge(stopping(batch), "mes")).toMatchObject({ status: 403 });
  expect(await challenge(stopping(batch), "rita")).toMatchObject({ status: 403, body: { code: "PER_NOT_AUTHORISED" } });
  // a pass of one's own making stands for nothing
  const made = await plant.ask(
    "POST",
    `/v1/sites/${SITE}/batches/${batch}/commands`,
    { command: "stop", reason: "leak" },
    { ...as["sam"], "signature-pass": "x".repeat(43) },
  );
  expect(made).toMatchObject({ status: 409, body: { code: "SIG_MISSING" } });
  expect((await order1(batch, { command: "stop", reason: "order withdrawn" }, "mes")).status).toBe(200);
});

test("through a provider: signed in there, signed by a new login for exactly this challenge, and for no other", async () => {
  const batch = await running();
  const browser = new Browser();
  const begun = await plant.ask("POST", "/v1/sign-ins/oidc");
  const back = await browser.login(String(said(begun.body, "url")), ADA);
  const signedIn = await plant.ask("POST", "/v1/sign-ins/oidc/completion", { login: said(begun.body, "login"), callback: back.href });
  expect(signedIn.status, JSON.stringify(signedIn.body)).toBe(201);
  as["ada"] = bearing(String(said(signedIn.body, "token")));
  // a stranger, whom the provider knows and nobody here does
  const stranger = await plant.ask("POST", "/v1/sign-ins/oidc");
  const strangers = await new Browser().login(String(said(stranger.body, "url")), KURT);
  expect((await plant.ask("POST", "/v1/sign-ins/oidc/completion", { login: said(stranger.body, "login"), callback: strangers.href })).status).toBe(403);

  const review = await plant.ask("POST", "/v1/audit/reviews", { site: SITE, batch }, as["ada"]);
  const { review: number, digest } = Object(said(review.body, "review"));
  const path = `/v1/audit/sites/${SITE}/reviews/${number}/conclusion`;
  const body = { digest, conclusion: "accepted", finding: "nothing out of the ordinary" };
  expect(await plant.ask("POST", path, body, as["ada"])).toMatchObject({ status: 409, body: { code: "SIG_MISSING" } });
  const ask = async (): Promise<{ challenge: string; url: string; login: string }> => {
    const asked = await challenge({ path, body, reason: "review by exception" }, "ada");
    expect(asked.status, JSON.stringify(asked.body)).toBe(201);
    const { url, login } = Object(said(asked.body, "by"));
    return { challenge: String(said(asked.body, "challenge")), url, login };
  };
  const [one, other] = [await ask(), await ask()];
  const [kept] = await plant.database.query(`select encode(digest, 'hex') as digest from signature_challenges where challenge = '${one.challenge}'`);
  expect(new URL(one.url).searchParams.get("nonce")).toBe(nonceOf(Buffer.from(String(kept?.["digest"]), "hex")));
  // a login for the other challenge is none for this one, with either's own beginning
  const forOther = (await browser.login(other.url, ADA)).href;
  expect((await sign({ challenge: one.challenge, login: other.login, callback: forOther }, "ada")).status).toBe(400);
  expect((await sign({ challenge: one.challenge, login: one.login, callback: forOther }, "ada")).status).toBe(403);
  // nor is another person's
  const kurts = (await new Browser().login(one.url, KURT)).href;
  expect(await sign({ challenge: one.challenge, login: one.login, callback: kurts }, "ada")).toMatchObject({
    status: 403,
    body: { code: "OIDC_OTHER_PERSON" },
  });
  const three = await ask();
  const own = (await browser.login(three.url, ADA)).href;
  const signed = await sign({ challenge: three.challenge, login: three.login, callback: own }, "ada");
  expect(signed.status, JSON.stringify(signed.body)).toBe(200);
  expect(said(signed.body, "signature")).toMatchObject({
    signer: { name: "Ada Lovelace", issuer: provider.issuer, subject: ADA.subject },
    authenticated: { method: "oidc" },
  });
  // a record that has changed since shows the signature void
  const shownAs = async (): Promise<unknown> =>
    said((await plant.ask("GET", `/v1/audit/sites/${SITE}/reviews/${number}`, undefined, as["ada"])).body, "conclusion");
  expect(await shownAs()).toMatchObject({ signed: expect.stringContaining("Ada Lovelace (ada), qa_reviewer: reviewed,"), void: false });
  expect((await orderStep(batch, { command: "comment", comment: "one more thing" }, "olga")).status).toBe(200);
  expect(await shownAs()).toMatchObject({ void: true });
  const page = await fetch(`${plant.url}/v1/sites/${SITE}/batches/${batch}/record`, { headers: { ...as["ada"], accept: "text/html" } });
  expect(await page.text()).toContain("VOID: the record has changed since.");
  measured("signatures.void", "shown by review, batch record and page");
  const [evidence] = await plant.database.query(
    `select id_token is not null as token, id_token_key ->> 'kty' as kty from signature_challenges where challenge = '${three.challenge}'`,
  );
  expect(evidence).toMatchObject({ token: true, kty: expect.any(String) });
});

test("a batch is disposed of in two stages, by quality last, and not while its review is missing, open or stale", async () => {
  const batch = await running();
  const path = `/v1/sites/${SITE}/batches/${batch}/commands`;
  const signing = async (command: string, who: string, extra: Record<string, unknown> = {}) => {
    const asked = await challenge({ path, body: { command, ...extra }, reason: "as reviewed" }, who);
    return asked.status === 201 ? sign({ challenge: said(asked.body, "challenge"), password: PASSWORD }, who) : asked;
  };
  const review = async (): Promise<{ review: number; digest: string }> =>
    Object(said((await plant.ask("POST", "/v1/audit/reviews", { site: SITE, batch }, as["rita"])).body, "review"));
  const missing = (detail: string) => ({ status: 409, body: { code: "REVIEW_MISSING", detail: expect.stringContaining(detail) } });

  expect((await signing("stop", "sam", { reason: "leak" })).status).toBe(200);
  expect(await stateOf(batch)).toMatchObject({ disposition: "pending_review" });
  expect(await signing("release", "quinn")).toMatchObject(missing("Production has not recommended it"));
  for (const who of ["sam", "rita", "mes"]) expect(await order1(batch, { command: "release" }, who), who).toMatchObject({ status: 403 });
  expect(await order1(batch, { command: "release" }, "quinn")).toMatchObject({ status: 409, body: { code: "SIG_MISSING" } });
  const recommended = await signing("recommend", "sam");
  expect(recommended.status, JSON.stringify(recommended.body)).toBe(200);
  expect(await signing("release", "quinn")).toMatchObject(missing("Nobody has reviewed"));
  await review();
  expect(await signing("release", "quinn")).toMatchObject(missing("is open"));
  expect((await orderStep(batch, { command: "comment", comment: "late" }, "olga")).status).toBe(200);
  expect(await signing("release", "quinn")).toMatchObject(missing("its record has changed since"));
  expect((await signing("recommend", "sam")).status).toBe(200);
  expect(await signing("release", "quinn")).toMatchObject(missing("is stale"));
  const { review: number, digest } = await review();
  const conclusion = {
    path: `/v1/audit/sites/${SITE}/reviews/${number}/conclusion`,
    body: { digest, conclusion: "accepted", finding: "none" },
    reason: "so",
  };
  const asked = await challenge(conclusion, "rita");
  expect((await sign({ challenge: said(asked.body, "challenge"), password: PASSWORD }, "rita")).status).toBe(200);
  const released = await signing("release", "quinn");
  expect(released.status, JSON.stringify(released.body)).toBe(200);
  expect(await stateOf(batch)).toMatchObject({ execution: "stopped", disposition: "released" });
  const { body } = await plant.ask("GET", `/v1/sites/${SITE}/batches/${batch}/outcomes`, undefined, as["sam"]);
  expect(body.items.at(-1)).toMatchObject({ type: "signalbox.batch.released.v1" });
  // quality's word follows the review and does not undo it; whatever else comes does
  const conclusionOf = async (): Promise<unknown> =>
    said((await plant.ask("GET", `/v1/audit/sites/${SITE}/reviews/${number}`, undefined, as["rita"])).body, "conclusion");
  expect(await conclusionOf()).toMatchObject({ void: false });
  const inForce = Object((await plant.ask("GET", `/v1/sites/${SITE}/signatures?person=quinn`, undefined, as["sam"])).body).items;
  expect(inForce.at(-1)).toMatchObject({ what: "release", void: false, voidedBy: null });
  expect((await orderStep(batch, { command: "comment", comment: "later" }, "olga")).status).toBe(200);
  expect(await conclusionOf()).toMatchObject({ void: true });
  // the signatures are void, and the batch is to be disposed of anew
  expect(await stateOf(batch)).toMatchObject({ disposition: "pending_review" });
  expect(said(await stateOf(batch), "signed")).toBeUndefined();
  const after = await plant.ask("GET", `/v1/sites/${SITE}/batches/${batch}/outcomes`, undefined, as["sam"]);
  expect(after.body.items.at(-1)).toMatchObject({
    type: "signalbox.batch.disposition-voided.v1",
    data: { from: { disposition: "released" }, to: { disposition: "pending_review" }, voided: "disposed" },
  });
  const record = await plant.ask("GET", `/v1/sites/${SITE}/batches/${batch}/record`, undefined, as["sam"]);
  const commands: readonly unknown[] = said(record.body, "commands") as readonly unknown[];
  const voidOf = (what: string): unknown => commands.findLast((one) => said(said(one, "by"), "what") === what && said(one, "signed") !== null);
  for (const what of ["batch.recommend", "batch.release"]) expect(voidOf(what), what).toMatchObject({ void: true });
  expect(voidOf("batch.stop")).toMatchObject({ void: false });
  // and so they are where the signatures of the site are listed, with what voided them: the comment
  const listed: readonly unknown[] = Object((await plant.ask("GET", `/v1/sites/${SITE}/signatures`, undefined, as["sam"])).body).items;
  const about = (what: string, record: string): unknown =>
    listed.findLast((one) => said(one, "what") === what && said(said(said(one, "signature"), "record"), "what") === record);
  const by = { who: "person:olga", what: "step.comment", at: expect.stringMatching(/^\d{4}-.*Z$/), position: expect.any(Number) };
  for (const what of ["recommend", "release"]) expect(about(what, `batch ${batch}`), what).toMatchObject({ void: true, voidedBy: by });
  expect(about("review.concluded", `review ${number}`)).toMatchObject({ void: true, voidedBy: by });
  expect(about("stop", `batch ${batch}`)).toMatchObject({ void: false, voidedBy: null });
  expect(await signing("release", "quinn")).toMatchObject(missing("its record has changed since"));
  expect((await signing("recommend", "sam")).status).toBe(200);
  expect(await stateOf(batch)).toMatchObject({ signed: "recommended" });
  expect(await signing("release", "quinn")).toMatchObject(missing("is stale"));
});

const inOtherCharacters = (text: string): string => [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");

test("nobody reviews a batch in which they acted; the refusal says by what", async () => {
  const batch = await running();
  const evidence = { evidence: "net-weight", value: "12.500", unit: "kg" };
  for (const body of [{ command: "start" }, { command: "evidence", evidence }, { command: "complete" }])
    expect((await orderStep(batch, body, "olga")).status).toBe(200);
  const verified = await challenge(verifying(batch), "rita");
  expect((await sign({ challenge: said(verified.body, "challenge"), password: PASSWORD }, "rita")).status).toBe(200);
  const review = await plant.ask("POST", "/v1/audit/reviews", { site: SITE, batch }, as["rita"]);
  const { review: number, digest } = Object(said(review.body, "review"));
  // Once whoever wrote a number in the address as %37 was asked for no deeds.
  for (const said of [String(number), inOtherCharacters(String(number))]) {
    const asked = await challenge(
      { path: `/v1/audit/sites/${SITE}/reviews/${said}/conclusion`, body: { digest, conclusion: "accepted", finding: "none" }, reason: "so" },
      "rita",
    );
    expect(asked, said).toMatchObject({ status: 403, body: { code: "SIGNATURE_OWN_DEED", detail: expect.stringContaining("(verify in step weigh)") } });
  }
});

test("the signatures of a site are listed, of one record, and of one person", async () => {
  const list = async (query = "", who = "sam") => plant.ask("GET", `/v1/sites/${SITE}/signatures${query}`, undefined, as[who]);
  const items = (body: unknown): { position: number; what: string; signed: string; signature: { record: { what: string }; signer: { person: string } } }[] =>
    Object(body).items;
  const all = items((await list()).body);
  expect(all.length).toBeGreaterThan(5);
  expect(all.map(({ position }) => position)).toEqual(all.map(({ position }) => position).toSorted((a, b) => a - b));
  expect(all[0]).toMatchObject({
    what: "stop",
    signed: expect.stringContaining("Person sam (sam), supervisor: stopped,"),
    signature: { record: { what: "batch B-1" } },
  });
  expect(items((await list("?record=batch%20B-1")).body)).toEqual(all.filter(({ signature }) => signature.record.what === "batch B-1"));
  const quinns = items((await list("?person=quinn")).body);
  expect(quinns.map(({ signature }) => signature.signer.person)).toEqual(["quinn"]);
  const first = (await list("?limit=1")).body;
  expect(items((await list(`?cursor=${String(said(first, "cursor"))}`)).body)).toEqual(all.slice(1));
});

test("what was signed is decided again as it was", async () => {
  expect((await verifyDatabase(plant.database.runtimeUrl)).flatMap(({ findings }) => findings)).toEqual([]);
});
