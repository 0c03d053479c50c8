// Promise: each act that people sign is done with the signature in its entry, by whom it may be done and who did not do what it is about; it is shown in the batch's record, and decided again as it was.
// Attack: without a signature, by a machine, by another role, by whoever performed it, on another site, twice under one challenge and twice under one key.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BLEND } from "../../support/blend.ts";
import { bearing, machine, PASSWORD, person, signIn, WITH_SECRET } from "../../support/people.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { verifyDatabase } from "../../support/replay.ts";
import { signing } from "../../support/signing.ts";

const SITE = "acting";
let plant: Plant;
const as: Record<string, Readonly<Record<string, string>>> = {};
let orders = 0;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded", settings: WITH_SECRET });
  await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND);
  for (const n of [1, 2, 3, 4, 5, 6, 7, 8, 9]) for (const kind of ["scale", "mixer"]) await plant.equipment(SITE, `${kind}-${n}`, "4", kind);
  await plant.equipment("elsewhere", "scale-1", "4", "scale");
  await person(plant, "admin", { role: "admin", site: null });
  for (const [id, role, site] of [
    ["olga", "operator", SITE],
    ["uma", "operator", SITE],
    ["sam", "supervisor", SITE],
    ["sara", "supervisor", SITE],
    ["elsa", "engineer", SITE],
    ["eric", "engineer", null],
    ["rita", "qa_reviewer", SITE],
    ["quinn", "qa_approver", SITE],
    ["quentin", "qa_approver", null],
    ["otto", "supervisor", "elsewhere"],
  ] as const) {
    await person(plant, id, { role, site });
    as[id] = bearing(await signIn(plant, id));
  }
  as["admin"] = bearing(await signIn(plant, "admin"));
  as["mes"] = bearing(await machine(plant, "mes-1", "admin", { role: "mes", site: SITE }));
}, 300_000);
afterAll(async () => plant?.stop());

const said = (of: unknown, name: string): unknown => Object(of)[name];
const post = (path: string, body: unknown, who: string, more: Readonly<Record<string, string>> = {}) => plant.ask("POST", path, body, { ...as[who], ...more });
const get = async (path: string, who = "sam"): Promise<unknown> => (await plant.ask("GET", path, undefined, as[who])).body;
const of = (batch: string, step?: string): string => `/v1/sites/${SITE}/batches/${batch}${step === undefined ? "" : `/steps/${step}`}/commands`;
const stateOf = (batch: string): Promise<unknown> => get(`/v1/sites/${SITE}/batches/${batch}`);
const recordOf = (batch: string): Promise<unknown> => get(`/v1/sites/${SITE}/batches/${batch}/record`);
const steps = async (batch: string): Promise<string[]> =>
  (said(await stateOf(batch), "steps") as readonly unknown[]).map((one) => `${said(one, "step")} ${said(one, "attempt")} ${said(one, "state")}`);
const { ask, sign: signed } = signing(() => plant, as);

/** A batch that runs, its step weigh started by olga. */
async function weighing(): Promise<string> {
  orders += 1;
  const batch = `B-${orders}`;
  const order = { batch, jobOrder: `PO-${orders}`, line: "4", recipe: "blend", revision: 3, quantity: { value: "25.000", unit: "kg" } };
  const made = await post(`/v1/sites/${SITE}/batches`, { ...order, equipment: { scale: `scale-${orders}`, mixer: `mixer-${orders}` } }, "sara");
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  for (const command of ["release-to-floor", "start"]) expect((await post(of(batch), { command, reason: "plan" }, "sara")).status).toBe(200);
  expect((await post(of(batch, "weigh"), { command: "start" }, "olga")).status).toBe(200);
  return batch;
}
const weighs = (batch: string, value: string, command = "evidence", more: object = {}) =>
  post(of(batch, "weigh"), { command, evidence: { evidence: "net-weight", value, unit: "kg" }, ...more }, "olga");

describe("a step is done again", () => {
  const rework = { command: "rework", reason: "lumps", linked: "DEV-7" };
  test("by a supervisor who did not perform it, under a deviation; both attempts are on record", async () => {
    const batch = await weighing();
    expect((await weighs(batch, "12.500")).status).toBe(200);
    expect((await post(of(batch, "weigh"), { command: "complete" }, "olga")).status).toBe(200);
    expect(await post(of(batch, "weigh"), rework, "sam")).toMatchObject({ status: 409, body: { code: "SIG_MISSING" } });
    for (const who of ["olga", "mes", "rita", "quinn", "elsa"]) expect(await post(of(batch, "weigh"), rework, who), who).toMatchObject({ status: 403 });
    expect((await ask(of(batch, "weigh"), rework, "otto")).status).toBe(404);
    expect(await signed(of(batch, "weigh"), { ...rework, linked: undefined }, "sam")).toMatchObject({
      status: 409,
      body: { code: "STP_REWORK_NOT_AUTHORISED" },
    });
    const done = await signed(of(batch, "weigh"), rework, "sam");
    expect(done, JSON.stringify(done.body)).toMatchObject({ status: 200, body: { signature: { meaning: "rework authorised", signer: { person: "sam" } } } });
    expect(await steps(batch)).toEqual(["weigh 2 ready", "blend 1 pending"]);
    const record = await recordOf(batch);
    expect(said(record, "steps")).toMatchObject([
      { step: "weigh", attempt: 1, state: "superseded", evidence: [{ value: "12.500" }] },
      { step: "weigh", attempt: 2, state: "ready", evidence: [] },
      { step: "blend", attempt: 1 },
    ]);
    expect((said(record, "commands") as readonly unknown[]).at(-1)).toMatchObject({ reason: "lumps", signed: expect.stringContaining("rework authorised") });
    const outcomes = said(await get(`/v1/sites/${SITE}/batches/${batch}/outcomes`), "items") as readonly unknown[];
    expect(outcomes.slice(-2)).toMatchObject([
      { type: "signalbox.step.superseded.v1", data: { attempt: 1 } },
      { type: "signalbox.step.reopened.v1", data: { attempt: 2, linked: "DEV-7" } },
    ]);
  });
  test("and not by whoever performed it", async () => {
    const batch = await weighing();
    for (const [body, who] of [
      [{ command: "evidence", evidence: { evidence: "net-weight", value: "12.500", unit: "kg" } }, "sam"],
      [{ command: "complete" }, "olga"],
    ] as const)
      expect((await post(of(batch, "weigh"), body, who)).status).toBe(200);
    expect(await ask(of(batch, "weigh"), rework, "sam")).toMatchObject({ status: 403, body: { code: "SIGNATURE_OWN_DEED" } });
    expect((await signed(of(batch, "weigh"), rework, "sara")).status).toBe(200);
  });
});

describe("an exception is disposed of", () => {
  const settling = { disposition: "continue", linked: "DEV-8", reason: "within what the method allows" };
  const exceptionsOf = async (batch: string) => said(await get(`/v1/exceptions?site=${SITE}&batch=${batch}`), "items") as readonly unknown[];
  const outside = async (): Promise<{ readonly batch: string; readonly path: string }> => {
    const batch = await weighing();
    expect((await weighs(batch, "19.000")).status).toBe(200);
    const [exception] = await exceptionsOf(batch);
    return { batch, path: `/v1/exceptions/${said(exception, "id")}/resolution` };
  };
  test("by quality under a record of its own, and what opened it counts from then on", async () => {
    const { batch, path } = await outside();
    const complete = () => post(of(batch, "weigh"), { command: "complete" }, "olga");
    expect(await complete()).toMatchObject({ status: 409, body: { code: "QLT_EXCEPTION_OPEN" } });
    expect(await post(path, settling, "rita")).toMatchObject({ status: 409, body: { code: "SIG_MISSING" } });
    expect(await post(path, { ...settling, linked: undefined }, "rita")).toMatchObject({ status: 400 });
    for (const who of ["olga", "sam", "mes", "elsa"]) expect(await post(path, settling, who), who).toMatchObject({ status: 403 });
    expect((await ask(path, settling, "otto")).status).toBe(404);
    const done = await signed(path, settling, "rita");
    expect(done, JSON.stringify(done.body)).toMatchObject({ status: 200, body: { signature: { meaning: "exception disposed of: continue" } } });
    expect(await exceptionsOf(batch)).toMatchObject([{ disposition: "continue", linked: "DEV-8", resolvedAt: expect.any(String) }]);
    expect(await signed(path, settling, "rita")).toMatchObject({ status: 409, body: { code: "QLT_EXCEPTION_CLOSED" } });
    expect((await complete()).status).toBe(200);
    expect(await stateOf(batch)).toMatchObject({ impediments: { exceptions: 0 } });
    const record = await recordOf(batch);
    expect(said(record, "exceptions")).toMatchObject([{ resolution: { by: { name: "person:rita" }, comment: settling.reason } }]);
    const page = await fetch(`${plant.url}/v1/sites/${SITE}/batches/${batch}/record`, { headers: { ...as["sam"], accept: "text/html" } });
    expect(await page.text()).toContain("continue, under DEV-8: ");
    expect(said(await get(`/v1/sites/${SITE}/batches/${batch}/outcomes`), "items")).toContainEqual(
      expect.objectContaining({ type: "signalbox.exception.disposed.v1", data: expect.objectContaining({ report: expect.objectContaining(LINKED) }) }),
    );
  });
  const LINKED = { code: "PAR_OOS", disposition: "continue", linked: "DEV-8" };
  test("with its step aborted, and not by whoever acted in the batch", async () => {
    const batch = await weighing();
    expect((await post(of(batch, "weigh"), { command: "pause" }, "uma")).status).toBe(200);
    expect((await post(of(batch, "weigh"), { command: "resume" }, "olga")).status).toBe(200);
    expect((await weighs(batch, "19.000")).status).toBe(200);
    const [exception] = await exceptionsOf(batch);
    const path = `/v1/exceptions/${said(exception, "id")}/resolution`;
    // what one did before counts whatever one has become since
    for (const [to, role] of [
      ["grants/revocation", "operator"],
      ["grants", "qa_reviewer"],
    ])
      expect((await post(`/v1/people/uma/${to}`, { role, site: SITE }, "admin", { reason: "another post" })).status).toBe(204);
    for (const address of [path, path.replaceAll(".", "%2E")])
      expect(await ask(address, settling, "uma"), address).toMatchObject({ status: 403, body: { code: "SIGNATURE_OWN_DEED" } });
    const rework = await signed(path, { ...settling, disposition: "rework" }, "quinn");
    expect(rework).toMatchObject({ status: 409, body: { code: "STA_INVALID_TRANSITION" } });
    expect(await exceptionsOf(batch)).toMatchObject([{ disposition: null, resolvedAt: null }]);
    expect((await signed(path, { ...settling, disposition: "abort" }, "quinn")).status).toBe(200);
    expect((await steps(batch))[0]).toBe("weigh 1 aborted");
  });
});

describe("a batch is amended", () => {
  const [WEIGH, STIR] = BLEND.steps;
  const hotter = { ...BLEND, revision: 4, steps: [WEIGH, { ...STIR, evidence: [{ ...STIR.evidence[0], limits: { low: "20", high: "60" } }] }] };
  const other = { ...BLEND, revision: 5, steps: [{ ...WEIGH, patience: "PT9S" }, STIR] };
  test("by an engineer who did not register the revision, where what has begun stays as it was", async () => {
    const batch = await weighing();
    const amend = { command: "amend", revision: 4, reason: "change C-3" };
    for (const recipe of [hotter, other]) {
      const at = `/v1/registry/recipes/blend/revisions/${recipe.revision}`;
      const registered = await plant.ask("PUT", at, recipe, as["eric"]);
      expect(registered.status).toBe(200);
      expect(await signed(of(batch), { ...amend, revision: recipe.revision }, "elsa")).toMatchObject({ status: 409, body: { code: "REV_NOT_APPROVED" } });
      expect((await signed(`${at}/approval`, { hash: said(registered.body, "hash") }, "quentin")).status).toBe(200);
    }
    expect(await post(of(batch), amend, "elsa")).toMatchObject({ status: 409, body: { code: "SIG_MISSING" } });
    for (const body of [
      { command: "amend", reason: "change C-3" },
      { command: "stop", reason: "leak", revision: 4 },
    ])
      expect(await post(of(batch), body, "sam")).toMatchObject({ status: body.command === "stop" ? 400 : 403 });
    for (const who of ["sam", "olga", "mes", "quinn"]) expect(await post(of(batch), amend, who), who).toMatchObject({ status: 403 });
    expect(await ask(of(batch), amend, "eric")).toMatchObject({ status: 403, body: { code: "SIGNATURE_OWN_DEED" } });
    expect(await signed(of(batch), { ...amend, revision: 5 }, "elsa")).toMatchObject({ status: 409, body: { code: "REV_NOT_AMENDABLE" } });
    const asked = await ask(of(batch), amend, "elsa");
    expect(said(asked.body, "text")).toContain(`amend batch ${batch} to revision 4 of its recipe`);
    expect((await post("/v1/signatures", { challenge: said(asked.body, "challenge"), password: PASSWORD }, "elsa")).status).toBe(200);
    expect(await stateOf(batch)).toMatchObject({ recipe: "blend@4" });
    expect(said(await recordOf(batch), "pinned")).toMatchObject({ recipe: { name: "blend@4" } });
    const outcomes = said(await get(`/v1/sites/${SITE}/batches/${batch}/outcomes`), "items") as readonly unknown[];
    expect(outcomes.at(-1)).toMatchObject({ type: "signalbox.batch.amended.v1", data: { recipe: "blend@4", amended: { from: "blend@3", to: "blend@4" } } });
    // what is done from then on is held against it
    expect((await weighs(batch, "12.500")).status).toBe(200);
    expect((await post(of(batch, "weigh"), { command: "complete" }, "olga")).status).toBe(200);
    expect((await post(of(batch, "blend"), { command: "start" }, "olga")).status).toBe(200);
    const evidence = { evidence: "end-temperature", value: "50", unit: "Cel" };
    expect(await post(of(batch, "blend"), { command: "evidence", evidence }, "olga")).toMatchObject({ status: 200, body: { warnings: [] } });
  });
});

test("all of it is decided again as it was, and every row is what comes of it", async () => {
  expect((await verifyDatabase(plant.database.runtimeUrl)).flatMap(({ findings }) => findings)).toEqual([]);
});
