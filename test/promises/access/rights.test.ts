// Promise: who may do what is one table (src/access/rights.ts), and every cell of it is so over HTTP: by each role, at the site where it is held, at another, and at one that there is not.
// What is refused is refused with 403 to whoever knows the site, and as if there were no such site to whoever does not; whoever says nothing of who they are is nobody.
// Attack: every route, as each role at one site and at all, on that site, on another one and on an unknown one; with no token, a wrong one, one that has ended.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RIGHTS } from "../../../src/access/rights.ts";
import { MACHINE_ROLES, PERSON_ROLES } from "../../../src/access/role.ts";
import { BLEND } from "../../support/blend.ts";
import { measured } from "../../support/measure.ts";
import { bearing, machine, person, signIn, WITH_SECRET } from "../../support/people.ts";
import { type Plant, startPlant } from "../../support/plant.ts";

const OWN = "site-a";
const FOREIGN = "site-b";
const UNKNOWN = "site-c";
let plant: Plant;
/** By `role at site` and `role everywhere`. */
const tokens = new Map<string, string>();

const ORDER = {
  jobOrder: "PO-1",
  line: "4",
  recipe: "blend",
  revision: 3,
  quantity: { value: "25.000", unit: "kg" },
  equipment: { scale: "scale-1", mixer: "mixer-1" },
};
/** What is sent; whatever else it comes to, it must be of a form that gets as far as whether it may be done. */
const BODIES: Readonly<Record<string, (site: string) => unknown>> = {
  "POST /v1/sign-ins": () => ({ person: "nobody", password: "x" }),
  "PUT /v1/people/:person/password": () => ({ old: "x", new: "y" }),
  "POST /v1/sign-ins/oidc": () => undefined,
  "POST /v1/sign-ins/oidc/completion": () => ({ login: "x", callback: "x" }),
  "POST /v1/signatures/challenges": () => ({ path: "/v1/x", body: {}, reason: "so" }),
  "POST /v1/signatures": () => ({ challenge: "x", password: "x" }),
  "POST /v1/people": () => ({ person: "p", name: "" }),
  "PATCH /v1/people/:person": () => ({}),
  "POST /v1/people/:person/grants": () => ({ role: "king", site: null }),
  "POST /v1/people/:person/grants/revocation": () => ({ role: "king", site: null }),
  "POST /v1/machines": () => ({ machine: "m", owner: "nobody", purpose: "none" }),
  "PATCH /v1/machines/:machine": () => ({ active: true }),
  "POST /v1/machines/:machine/grants": () => ({ role: "king", site: null }),
  "POST /v1/machines/:machine/grants/revocation": () => ({ role: "king", site: null }),
  "POST /v1/machines/:machine/keys": () => ({}),
  "POST /v1/machines/:machine/keys/:key/revocation": () => undefined,
  "POST /v1/events/dry-run": (site) => ({ topic: `site/${site}/line/4/eq/scale-1/event`, payload: {} }),
  "POST /v1/sites/:site/batches": () => ({ batch: "B-1", ...ORDER }),
  "PATCH /v1/sites/:site/batches/:batch": () => ({ quantity: { value: "26.000", unit: "kg" }, reason: "more" }),
  "PUT /v1/sites/:site/outcomes/confirmation": () => ({ position: 0, generation: 1 }),
  "POST /v1/context-locks/:id/takeover": () => ({ reason: "gone" }),
  "POST /v1/sources/:site/:line/:equipment/succession": () => ({ reason: "replaced" }),
  "POST /v1/sources/:site/:line/:equipment/:device/succession": () => ({ reason: "replaced" }),
  "POST /v1/gaps/:id/resolution": () => ({ action: "wait", reason: "so" }),
  "POST /v1/quarantine/:id/resolution": () => ({ action: "reject", reason: "so" }),
  "POST /v1/exceptions/:id/resolution": () => ({ disposition: "continue", linked: "DEV-1", reason: "so" }),
  "PUT /v1/audit/sites/:site": () => ({ publishAfter: "commit" }),
  "POST /v1/audit/exports": (site) => ({ site, batch: "B-none", format: "csv", reason: "so" }),
  "POST /v1/audit/reviews": (site) => ({ site, batch: "B-0" }),
  "POST /v1/audit/sites/:site/reviews/:review/conclusion": () => ({ conclusion: "accepted", finding: "none", digest: "00".repeat(32) }),
  "PUT /v1/sites/:site/parties/:party": () => ({}),
  "POST /v1/sites/:site/parties/:party/approval": () => ({ revision: 1 }),
  "POST /v1/sites/:site/parties/:party/activation": () => ({ revision: 1 }),
  "POST /v1/sites/:site/parties/:party/revocation": () => ({ reason: "so" }),
  "POST /v1/sites/:site/parties/:party/keys/:kid/revocation": () => ({ reason: "so" }),
  "PUT /v1/sites/:site/stations/:station": () => ({ line: "4" }),
  "POST /v1/sites/:site/stations/:station/devices": () => ({ source: "none" }),
  "POST /v1/sites/:site/stations/:station/devices/removal": () => ({ source: "none" }),
  "POST /v1/sites/:site/stations/:station/sessions": () => ({ reason: "so" }),
  "POST /v1/sites/:site/stations/:station/sessions/:session/end": () => ({ reason: "so" }),
  "POST /v1/sites/:site/access-review": () => ({ digest: "00".repeat(32), finding: "none" }),
  "PUT /v1/registry/recipes/:id/revisions/:revision": () => BLEND,
  "POST /v1/registry/recipes/:id/revisions/:revision/approval": () => ({ hash: "00".repeat(32) }),
  "PUT /v1/registry/state-machines/:id/revisions/:revision": () => ({}),
  "POST /v1/registry/state-machines/:id/revisions/:revision/approval": () => ({ hash: "00".repeat(32) }),
  "PUT /v1/registry/event-types/:id": () => ({}),
  "PUT /v1/sites/:site/registry/equipment/:id": () => ({ equipment: "scale-1", line: "4", class: "scale" }),
  "PUT /v1/sites/:site/registry/sources/:id": () => ({}),
  "PUT /v1/sites/:site/status/:kind/:id": () => ({ status: "released" }),
};
const PLACES: Readonly<Record<string, string>> = {
  kind: "lot",
  party: "p-1",
  kid: "k-1",
  station: "s-1",
  session: "1",
  batch: "B-0",
  step: "weigh",
  id: "scale-1",
  verdict: "x.1.1",
  position: "1",
  revision: "3",
  review: "1",
  type: "signalbox.batch.start.v1",
  line: "4",
  equipment: "scale-1",
  device: "d-1",
  person: "nobody",
  machine: "nothing",
  key: "aaaaaaaaaaaa",
};
const PATHS: Readonly<Record<string, (site: string) => string>> = {
  "GET /v1/outcomes": (site) => `/v1/outcomes?site=${site}`,
  "GET /v1/outcomes/events": (site) => `/v1/outcomes/events?site=${site}&after=x`,
  "GET /v1/context-windows": (site) => `/v1/context-windows?equipment=scale-1&site=${site}`,
  "PUT /v1/registry/recipes/:id/revisions/:revision": () => "/v1/registry/recipes/blend/revisions/3",
  "GET /v1/audit/sites/:site/consistency": (site) => `/v1/audit/sites/${site}/consistency?from=1&to=1`,
};

interface Cell {
  readonly route: string;
  readonly method: string;
  readonly path: (site: string) => string;
  readonly body: (site: string) => unknown;
  readonly roles: readonly string[];
  readonly where: string;
}

/** Where it is not the role alone that decides. */
const OTHERWISE: Readonly<Record<string, (role: string) => readonly string[]>> = {
  "POST /v1/sign-ins": () => ["unknown"],
  // nor a hand to sign with
  "POST /v1/signatures/challenges": (role) => (role === "mes" || role === "feed" ? ["forbidden"] : ["let through"]),
  "POST /v1/signatures": (role) => (role === "mes" || role === "feed" ? ["forbidden"] : ["let through"]),
  // a machine has no password
  "PUT /v1/people/:person/password": (role) => (role === "mes" || role === "feed" ? ["forbidden"] : ["let through"]),
};

/** Ends what all others are tried with; it has a test of its own. */
const SIGNS_OUT = "DELETE /v1/sign-ins/current";

const cells: readonly Cell[] = Object.entries(RIGHTS).flatMap(([route, right]) => {
  if (route === SIGNS_OUT) return [];
  const [method = "", template = ""] = route.split(" ");
  const path = PATHS[route] ?? ((site: string) => template.replace(/:([a-z]+)/g, (_, name: string) => (name === "site" ? site : (PLACES[name] ?? "x"))));
  const cell = { route, method, path, where: right.where };
  if (right.by === undefined) return [{ ...cell, body: BODIES[route] ?? (() => undefined), roles: right.roles }];
  const { field, roles } = right.by;
  return Object.entries(roles).map(([name, of]) => ({
    ...cell,
    route: `${route} ${name}`,
    body: () => ({
      [field]: name,
      reason: "so",
      ...(name === "evidence" || name === "correct" ? { evidence: { evidence: "net-weight", value: "12.5", unit: "kg" } } : {}),
      ...(name === "comment" ? { comment: "so" } : {}),
    }),
    roles: of,
  }));
});

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded", settings: WITH_SECRET });
  for (const site of [OWN, FOREIGN])
    for (const [name, kind] of [
      ["scale-1", "scale"],
      ["mixer-1", "mixer"],
    ] as const)
      await plant.equipment(site, name, "4", kind);
  await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND);
  for (const site of [OWN, FOREIGN])
    expect((await plant.ask("POST", `/v1/sites/${site}/batches`, { ...ORDER, batch: "B-0", jobOrder: "PO-0" })).status).toBe(201);
  await person(plant, "owner", { role: "admin", site: null });
  for (const role of PERSON_ROLES)
    for (const [name, site] of [
      ["at-a", OWN],
      ["everywhere", null],
    ] as const) {
      const id = `${role.replace("_", "-")}.${name}`;
      await person(plant, id, { role, site });
      tokens.set(`${role} ${name}`, await signIn(plant, id));
    }
  for (const role of MACHINE_ROLES.filter((one) => one !== "integrator"))
    for (const [name, site] of [
      ["at-a", OWN],
      ["everywhere", null],
    ] as const)
      tokens.set(`${role} ${name}`, await machine(plant, `${role}.${name}`, "owner", { role, site, ...(role === "feed" ? { kind: "lot" } : {}) }));
}, 300_000);
afterAll(async () => {
  await plant?.stop();
});

/** What whoever asks is told: let through, whatever it comes to then; refused; or that there is no such site. */
async function told(token: string | null, cell: Cell, site: string): Promise<"let through" | "unknown" | "forbidden" | "no such site"> {
  const { status, body } = await plant.ask(cell.method, cell.path(site), cell.body(site), token === null ? {} : bearing(token));
  if (status === 401) return "unknown";
  if (status === 403) return Object(body).detail.startsWith("Everybody changes their own") ? "let through" : "forbidden";
  return status === 404 && Object(body).detail === `There is no site ${site}.` ? "no such site" : "let through";
}

let cellsTried = 0;
afterAll(() => measured("rights", `${cellsTried} cells of ${cells.length} acts`));

const roles = [...new Set([...PERSON_ROLES, ...MACHINE_ROLES])];

describe("every cell of the table, over HTTP", () => {
  test.each(cells.map((cell) => [cell.route, cell] as const))("%s", async (_, cell) => {
    let tried = 0;
    const wrong: string[] = [];
    const expectCell = async (role: string, token: string, site: string, expected: readonly string[]): Promise<void> => {
      tried += 1;
      const got = await told(token, cell, site);
      if (!expected.includes(got)) wrong.push(`${role} on ${site}: ${got}, not ${expected.join(" or ")}`);
    };
    for (const role of roles) {
      const may = cell.roles.includes(role);
      const [here, everywhere] = [tokens.get(`${role} at-a`) ?? "", tokens.get(`${role} everywhere`) ?? ""];
      if (cell.where === "open" || cell.where === "signed in") {
        await expectCell(`${role} at a`, here, OWN, OTHERWISE[cell.route]?.(role) ?? ["let through"]);
        continue;
      }
      if (cell.where === "every site") {
        await expectCell(`${role} at a`, here, OWN, ["forbidden"]);
        await expectCell(`${role} everywhere`, everywhere, OWN, [may ? "let through" : "forbidden"]);
        continue;
      }
      await expectCell(`${role} at a`, here, OWN, [may ? "let through" : "forbidden"]);
      await expectCell(`${role} everywhere`, everywhere, FOREIGN, [may ? "let through" : "forbidden"]);
      // a role that may do it nowhere is told so before it is looked where
      for (const site of [FOREIGN, UNKNOWN])
        await expectCell(
          `${role} at a`,
          here,
          site,
          cell.where === "sites" ? [may ? "let through" : "forbidden", "no such site"] : may ? ["no such site"] : ["forbidden", "no such site"],
        );
    }
    if (cell.where !== "open") {
      tried += 1;
      if ((await told(null, cell, OWN)) !== "unknown") wrong.push("nobody was not asked who they are");
    }
    expect(wrong).toEqual([]);
    cellsTried += tried;
  });
});

test("a route that nobody has said anything about does not start", async () => {
  const { guard } = await import("../../../src/api/guard.http.ts");
  const { default: Fastify } = await import("fastify");
  const app = Fastify();
  guard(app, { db: Object(null), secret: new Uint8Array(32), oidc: null, openUntilClaimed: true });
  expect(() => app.get("/v1/unheard-of", async () => "")).toThrow("nobody has said who may GET /v1/unheard-of");
});

test("an unknown route is refused to nobody, and there is none for anybody else", async () => {
  expect((await fetch(`${plant.url}/v1/unheard-of`)).status).toBe(401);
  expect((await plant.ask("GET", "/v1/unheard-of", undefined, bearing(tokens.get("auditor everywhere") ?? ""))).status).toBe(404);
});

test("a token that is none, was altered or has ended stands for nobody", async () => {
  const good = await signIn(plant, "auditor.everywhere");
  const ask = async (token: string): Promise<number> => (await plant.ask("GET", "/v1/events", undefined, { authorization: token })).status;
  expect(await ask(`Bearer ${good}`)).toBe(200);
  for (const token of [
    "",
    "Bearer",
    "Bearer x",
    `Basic ${good}`,
    good,
    `Bearer ${good.slice(0, -1)}`,
    `Bearer ${good.slice(0, -1)}${good.endsWith("A") ? "B" : "A"}`,
  ])
    expect(await ask(token), token).toBe(401);
  const key = tokens.get("mes everywhere") ?? "";
  expect(await ask(`Bearer ${key}`)).toBe(200);
  // another key of the same form, with the check that belongs to it
  expect(await ask(`Bearer ${key.slice(0, 20)}${"A".repeat(40)}${key.slice(60)}`)).toBe(401);
  expect((await plant.ask("DELETE", "/v1/sign-ins/current", undefined, bearing(good))).status).toBe(204);
  expect(await ask(`Bearer ${good}`)).toBe(401);
});
