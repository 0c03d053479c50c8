// Promise: whoever is told of outcomes as they come, or takes an export, is told nothing more once they may not ask for it any more: the stream ends with what they would be answered now, and asking again is answered
// so. Following is no act of a person: a session that does nothing else is over at its idle limit.
// Attack: open a stream or begin to take an export, then take away the key, the standing, the role, the site or the session, let it go idle or end by its time; or let a system that nobody administered be administered.
// Then something is committed that the stream must not tell of any more.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BLEND } from "../../support/blend.ts";
import { followEvents } from "../../support/event-stream.ts";
import { bearing, machine, PASSWORD, person, signIn, WITH_SECRET } from "../../support/people.ts";
import { type Plant, startPlant } from "../../support/plant.ts";

const SITE = "followed";
const OTHER = "elsewhere";
const EVENTS = `/v1/outcomes/events?site=${SITE}`;
type Token = Readonly<Record<string, string>>;
let plant: Plant;
let sam: Token;
let admin: Token;
let batches = 0;
/** Opened while nobody administered the system. */
let nobodys: Awaited<ReturnType<typeof followEvents>>;

beforeAll(async () => {
  plant = await startPlant({ broker: "embedded", settings: WITH_SECRET });
  await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND);
  for (const site of [SITE, OTHER]) {
    await plant.equipment(site, "scale-1", "4", "scale");
    await plant.equipment(site, "mixer-1", "4", "mixer");
  }
  nobodys = await follow({});
  await person(plant, "admin", { role: "admin", site: null });
  await person(plant, "sam", { role: "supervisor", site: SITE });
  sam = bearing(await signIn(plant, "sam"));
  admin = bearing(await signIn(plant, "admin"));
  await happens();
}, 120_000);
afterAll(async () => {
  await plant?.stop();
});

const follow = (who: Token, after = "0") => followEvents(`${plant.url}${EVENTS}&after=${after}`, who);
const changes = async (method: string, path: string, body?: unknown): Promise<void> => {
  const { status } = await plant.ask(method, path, body, { ...admin, reason: "test" });
  expect(status, path).toBeLessThan(300);
};

/** Something is committed of which whoever follows is told. */
async function happens(): Promise<void> {
  batches += 1;
  const order = { batch: `B-${batches}`, jobOrder: `PO-${batches}`, line: "4", recipe: "blend", revision: 3, quantity: { value: "25.000", unit: "kg" } };
  const made = await plant.ask("POST", `/v1/sites/${SITE}/batches`, { ...order, equipment: { scale: "scale-1", mixer: "mixer-1" } }, sam);
  expect(made.status, JSON.stringify(made.body)).toBe(201);
}

interface Follower {
  readonly id: string;
  readonly token: Token;
}

async function aPerson(id: string, ...sites: string[]): Promise<Follower> {
  await person(plant, id, ...sites.map((site) => ({ role: "operator" as const, site })));
  return { id, token: bearing(await signIn(plant, id)) };
}
async function aMachine(id: string, ...sites: string[]): Promise<Follower> {
  return { id, token: bearing(await machine(plant, id, "admin", ...sites.map((site) => ({ role: "integrator" as const, site })))) };
}
const session = (id: string, set: string) => plant.database.query(`update sign_ins set ${set} where person = '${id}'`);
const keyOf = ({ token }: Follower): string => /sbk_([a-z2-7]{12})/.exec(token["authorization"] ?? "")?.[1] ?? "";

describe("a stream ends, and tells nothing more,", () => {
  for (const [what, follower, takes, told] of [
    ["when the key is revoked", () => aMachine("revoked", SITE), (by) => changes("POST", `/v1/machines/revoked/keys/${keyOf(by)}/revocation`), 401],
    ["when the machine may ask no more", () => aMachine("stopped", SITE), () => changes("PATCH", "/v1/machines/stopped", { active: false }), 401],
    [
      "when the key has ended",
      () => aMachine("ended", SITE),
      (by) =>
        plant.database.query(
          `update api_keys set created_at = created_at - interval '9 days', expires_at = clock_timestamp() - interval '1 second' where api_key = '${keyOf(by)}'`,
        ),
      401,
    ],
    [
      "when the only role is taken from a machine",
      () => aMachine("stripped", SITE),
      () => changes("POST", "/v1/machines/stripped/grants/revocation", { role: "integrator", site: SITE }),
      403,
    ],
    [
      "when the site is taken, of several",
      () => aMachine("moved", SITE, OTHER),
      () => changes("POST", "/v1/machines/moved/grants/revocation", { role: "integrator", site: SITE }),
      404,
    ],
    ["when the person is deactivated", () => aPerson("leaver", SITE), () => changes("PATCH", "/v1/people/leaver", { active: false }), 401],
    [
      "when the role is taken from a person",
      () => aPerson("stepped-down", SITE),
      () => changes("POST", "/v1/people/stepped-down/grants/revocation", { role: "operator", site: SITE }),
      403,
    ],
    ["when they sign out", () => aPerson("out", SITE), ({ token }) => plant.ask("DELETE", "/v1/sign-ins/current", undefined, token), 401],
    [
      "when they change their password",
      () => aPerson("changed", SITE),
      ({ token }) => plant.ask("PUT", "/v1/people/changed/password", { old: PASSWORD, new: `${PASSWORD} staple` }, token),
      401,
    ],
    ["when the session was idle for its limit", () => aPerson("idler", SITE), () => session("idler", "seen_at = seen_at - interval '16 minutes'"), 401],
    ["when a shift is over", () => aPerson("late", SITE), () => session("late", "expires_at = clock_timestamp() - interval '1 second'"), 401],
  ] satisfies readonly (readonly [string, () => Promise<Follower>, (by: Follower) => Promise<unknown>, number])[])
    test(what, async () => {
      const by = await follower();
      const stream = await follow(by.token);
      const [first] = await stream.take(1);
      expect(first?.event).toBe("signalbox.batch.created.v1");
      // all that there is so far, so that what comes next is new
      await happens();
      await stream.take(batches - 1);
      await takes(by);
      await happens();
      const rest = await stream.ended();
      expect(rest.map(({ event, id }) => ({ event, id }))).toEqual([{ event: "problem", id: null }]);
      const again = await fetch(`${plant.url}${EVENTS}`, { headers: by.token });
      expect(again.status).toBe(told);
      expect(rest[0]?.data).toEqual(await again.json());
    });

  test("when somebody administers a system that nobody did", async () => {
    let over = false;
    const ended = nobodys.ended().then((blocks) => {
      over = true;
      return blocks;
    });
    // that nobody administers it is known for half a second
    while (!over) await happens();
    expect((await ended).at(-1)).toMatchObject({ event: "problem", data: { status: 401, code: "REQUEST_UNAUTHENTICATED" } });
  });
});

test("following prolongs no session, neither by what is told nor by asking anew; an act does", async () => {
  const { token } = await aPerson("reader", SITE);
  await session("reader", "seen_at = seen_at - interval '14 minutes'");
  const isIdle = async () =>
    (await plant.database.query(`select seen_at < clock_timestamp() - interval '13 minutes' as idle from sign_ins where person = 'reader'`))[0]?.["idle"];
  for (let n = 0; n < 2; n += 1) {
    const stream = await follow(token);
    await stream.take(batches);
    await happens();
    await stream.take(1);
    await stream.close();
  }
  expect(await isIdle()).toBe(true);
  expect((await plant.ask("GET", "/v1/sign-ins/current", undefined, token)).status).toBe(200);
  expect(await isIdle()).toBe(false);
});

test("an export that is taken slowly breaks off when whoever takes it may not have it any more, and not because they wait for it", async () => {
  const entries = 3_000;
  await plant.database.query(`
    select record_act('${OTHER}', 'signalbox', 'test.noted', body, '{}', jsonb_build_object('signals', jsonb_build_array(
      jsonb_build_object('ref', -1, 'kind', 'act', 'type', 'test.noted', 'actor', 'signalbox', 'body', body)))::text)
    from generate_series(1, ${entries}) as n,
      lateral (select jsonb_build_object('object', 'note ' || n, 'old', null, 'new', null, 'reason', repeat('x', 8000), 'from', null) as body) as b`);
  await person(plant, "xena", { role: "supervisor", site: OTHER });
  const token = bearing(await signIn(plant, "xena"));
  const [head] = await plant.database.query(`select position::int as at from sites where site = '${OTHER}'`);
  const begin = async () => {
    const response = await fetch(`${plant.url}/v1/audit/exports`, {
      method: "POST",
      headers: { ...token, "content-type": "application/json" },
      body: JSON.stringify({ site: OTHER, positions: { from: 1, to: head?.["at"] }, format: "csv", reason: "an inspector asks" }),
    });
    expect(response.status).toBe(201);
    const reader = response.body?.getReader();
    if (reader === undefined) throw new Error("the export has no body");
    let bytes = (await reader.read()).value?.length ?? 0;
    return async () => {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return bytes;
        bytes += value.length;
      }
    };
  };
  const waited = await begin();
  await session("xena", "seen_at = seen_at - interval '16 minutes'");
  expect(await waited()).toBeGreaterThan(entries * 8_000);
  await session("xena", "seen_at = clock_timestamp()");
  const broken = await begin();
  await changes("PATCH", "/v1/people/xena", { active: false });
  await expect(broken()).rejects.toThrow("terminated");
}, 60_000);
