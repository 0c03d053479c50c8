// Promise: nobody may be permitted both sides of one decision, whatever is proposed. Attack: each combination that must not be, by itself and beside other parties.
import { describe, expect, test } from "vitest";
import { conflictsOf, toReview } from "../../../src/parties/conflicts.ts";
import type { Party, Right } from "../../../src/parties/party.ts";
import { deviceRights, PARTIES, party } from "../../support/parties.ts";
import { deviceKey } from "../../support/signs.ts";

const scale = { line: "4", equipment: "scale-1" } as const;
const codes = (one: Party, others: readonly Party[] = []): readonly string[] => [...new Set(conflictsOf(one, others).map(({ code }) => code))].sort();
const may = (kind: Party["kind"], ...rights: readonly Right[]): readonly string[] => codes(party("it", kind, rights));
const publishes = (what: Right["what"], where: Right["where"] = scale, types?: string[]): Right => ({
  direction: "publish",
  what,
  where,
  ...(types === undefined ? {} : { types }),
});
const reads = (what: Right["what"], where: Right["where"] = scale): Right => ({ direction: "subscribe", what, where });

test("a plant with a party of each kind has no conflict", () => {
  for (const one of PARTIES) expect(conflictsOf(one, PARTIES), one.party).toEqual([]);
});

describe("refused is", () => {
  test("whoever publishes device events and writes outcomes, the service too", () => {
    expect(may("device", publishes("event"), publishes("outcome"))).toEqual(["EVENTS_AND_OUTCOMES", "OUT_IS_THE_SERVICES"]);
    expect(may("service", publishes("event"), publishes("outcome"))).toContain("EVENTS_AND_OUTCOMES");
  });

  test("whoever publishes verification and reads where it stands as approved", () => {
    for (const where of [scale, { line: "4", batch: "+" }, "site"] as const)
      expect(may("gateway", publishes("event", scale, ["signalbox.label.verified.v1"]), reads("outcome", where))).toContain("VERIFIES_AND_APPROVES");
    expect(may("device", publishes("event", scale, ["signalbox.check.performed.v1"]), reads("outcome"))).toEqual(["VERIFIES_AND_APPROVES"]);
    expect(may("device", publishes("event"), reads("outcome")), "every type is a verification too").toEqual(["VERIFIES_AND_APPROVES"]);
    expect(may("device", publishes("event", scale, ["signalbox.step.start.v1"]), reads("outcome"))).toEqual([]);
  });

  test.each(["outcome", "verdict", "cursor", "reply"] as const)("whoever but the service publishes %s", (what) => {
    for (const kind of ["device", "gateway", "dashboard", "mes"] as const) expect(may(kind, publishes(what))).toContain("OUT_IS_THE_SERVICES");
    expect(may("service", publishes(what))).toEqual([]);
  });
  test("whoever but the service publishes a batch's mirror, or a checkpoint", () => {
    expect(may("mes", publishes("mirror", { line: "4", batch: "B-1" }), publishes("checkpoint", "site"))).toEqual(["OUT_IS_THE_SERVICES"]);
  });

  test("a device beyond its own branch: another one, a line, a batch, the site, devices behind it", () => {
    expect(may("device", publishes("event"), publishes("event", { line: "4", equipment: "mixer-1" }))).toEqual(["BEYOND_OWN_BRANCH"]);
    expect(may("device", publishes("event"), reads("verdict", { line: "4", equipment: "+" }))).toEqual(["BEYOND_OWN_BRANCH"]);
    expect(may("device", reads("mirror", { line: "4", batch: "B-1" }))).toEqual(["BEYOND_OWN_BRANCH"]);
    expect(may("device", reads("checkpoint", "site"))).toEqual(["BEYOND_OWN_BRANCH"]);
    expect(may("device", reads("cursor", { ...scale, devices: ["d"] }))).toEqual(["BEYOND_OWN_BRANCH"]);
    expect(may("gateway", reads("cursor", { ...scale, devices: ["d"] }))).toEqual([]);
  });

  test("a wildcard in what is published, and all events for anybody but the service", () => {
    expect(may("gateway", publishes("event", { line: "4", equipment: "+" }))).toEqual(["BEYOND_OWN_BRANCH", "WILDCARD"]);
    expect(may("mes", publishes("cmd", { line: "+", equipment: "scale-1" }))).toEqual(["WILDCARD"]);
    expect(may("dashboard", reads("event", { line: "+", equipment: "+" }))).toEqual(["READS_ALL_EVENTS"]);
    expect(may("mes", reads("event"))).toEqual([]);
    expect(may("service", reads("event", { line: "+", equipment: "+" }))).toEqual([]);
  });

  test("what is not of its kind", () => {
    for (const what of ["event", "diag", "telemetry", "state"] as const) {
      expect(may("mes", publishes(what))).toEqual(["NOT_OF_THIS_KIND"]);
      expect(may("service", publishes(what))).toContain("NOT_OF_THIS_KIND");
    }
    expect(may("device", publishes("cmd"))).toEqual(["NOT_OF_THIS_KIND"]);
    expect(may("service", publishes("cmd"))).toEqual(["NOT_OF_THIS_KIND"]);
    expect(may("dashboard", publishes("cmd"))).toEqual(["NOT_OF_THIS_KIND"]);
  });

  test("what has no topic", () => {
    expect(may("mes", reads("event", { line: "4", batch: "B-1" }))).toContain("NO_TOPIC");
    expect(may("mes", reads("mirror"))).toEqual(["NO_TOPIC"]);
    expect(may("mes", { ...reads("outcome"), types: ["signalbox.step.start.v1"] })).toEqual(["NO_TOPIC"]);
  });

  test("a name that is another's, or the service's; a branch that another speaks on; a period that ends before it begins", () => {
    const [device] = PARTIES;
    if (device === undefined) throw new Error("no party");
    expect(codes(device, [{ ...device, site: "ams2" }])).toEqual(["SHARED_IDENTITY"]);
    // whether it may be is another matter: of that asks whoever has it done (test/promises/parties/sites.test.ts)
    expect(codes(party("core", "service", [reads("event")]), [party("core", "service", [reads("event")], { site: "ams2" })])).toEqual(["SHARED_SERVICE"]);
    expect(codes(party("core", "service", [reads("event")]), [party("core", "mes", [reads("event")], { site: "ams2" })])).toEqual(["SHARED_IDENTITY"]);
    expect(codes(party("copy", "device", deviceRights("scale-1")), [device])).toEqual(["SHARED_BRANCH"]);
    expect(codes({ ...device, party: "signalbox-rtm1" })).toEqual(["RESERVED_NAME"]);
    expect(codes(party("signalbox-service", "service", [reads("event")]))).toEqual(["RESERVED_NAME"]);
    expect(codes({ ...device, validFrom: "2026-02-01T00:00:00.000Z", validUntil: "2026-01-01T00:00:00.000Z" })).toEqual(["INVALID_PERIOD"]);
    // a new revision of itself is no other
    expect(codes({ ...device, revision: 2 }, [device])).toEqual([]);
  });
});

test("what is said of a conflict names nothing of another site: neither it, nor what it calls its own", () => {
  const { publicKey } = deviceKey("k", 1);
  const signing = { keys: [{ kid: "k", publicKey, validFrom: null, validUntil: null }], must: "all" } as const;
  const own = party("it", "device", deviceRights("scale-1"), { signing: { ...signing, keys: [...signing.keys] } });
  const there = [own, party("theirs", "device", deviceRights("scale-9"), { signing: own.signing })].map((one) => ({ ...one, site: "ams2" }));
  const found = conflictsOf(own, [...there, { ...own, site: "ber3" }]);
  expect(found.filter(({ code }) => code === "SHARED_IDENTITY")).toHaveLength(1);
  expect(JSON.stringify(found)).not.toMatch(/ams2|ber3|theirs/);
  // and of its own everything
  expect(JSON.stringify(conflictsOf({ ...own, party: "copy" }, [own]))).toMatch(/copy and it both publish on site\/rtm1/);
});

test("an access review sees who has expired, whom nobody owns, who has no credential, whom nobody has looked at for a year", () => {
  const nowMs = Date.parse("2027-06-01T00:00:00.000Z");
  const seen = { credential: "issued", seenAt: "2027-05-01T00:00:00.000000Z", people: new Set(["person:ann"]), nowMs } as const;
  const one = party("it", "device", []);
  const found = (more: Partial<Party>, other: Partial<Parameters<typeof toReview>[1]> = {}) =>
    toReview({ ...one, ...more }, { ...seen, ...other }).map(({ code }) => code);
  expect(found({})).toEqual([]);
  expect(found({ validUntil: "2027-06-01T00:00:00.000Z" })).toEqual(["EXPIRED"]);
  expect(found({ validUntil: "2027-06-01T00:00:00.001Z" })).toEqual([]);
  expect(found({ owner: "person:gone" })).toEqual(["ORPHAN_OWNER"]);
  expect(found({}, { credential: "revoked" })).toEqual(["NO_CREDENTIAL"]);
  expect(found({}, { seenAt: "2026-05-31T00:00:00.000000Z" })).toEqual(["OVERDUE_REVIEW"]);
});
