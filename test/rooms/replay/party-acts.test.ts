// Promise: acts about parties bring about by which keys a branch is signed, those of yesterday as they did then: whose entry says nothing of a period or of a branch that is left knew of neither.
// Attack: the same acts with and without what their entries say since; an entry that says that a branch is left which nobody signed.
import { expect, test } from "vitest";
import { applyPartyAct, isPartyAct } from "../../../src/replay/party-acts.ts";
import { SiteRecord } from "../../../src/replay/site-record.ts";
import { deviceRights } from "../../support/parties.ts";
import { deviceKey } from "../../support/signs.ts";

const keys = [{ kid: "k1", publicKey: deviceKey("k1").publicKey, validFrom: null, validUntil: null }];
const period = { validFrom: null, validUntil: "2026-06-01T00:00:00.000Z" };
const revision = (n: number, equipment: string, party = "scale", signing: unknown = { keys, must: "all" }) => ({
  type: "party.proposed",
  said: {
    party,
    revision: n,
    content: { kind: "device", owner: "person:ann", may: deviceRights(equipment), ...period, ...(signing === null ? {} : { signing }) },
  },
});
const active = (n: number, more: Readonly<Record<string, unknown>> = {}, party = "scale") => ({
  type: "party.activated",
  said: { party, revision: n, ...more },
});

function after(...acts: readonly { readonly type: string; readonly said: unknown }[]) {
  const record = new SiteRecord("rtm1", { recipe: () => null, machine: () => null }, { prefix: "", maxBytes: 1_000 }, 0);
  const strange = acts.map(({ type, said }) => (isPartyAct(type) ? applyPartyAct(record, type, said) : expect.unreachable(type))).filter((one) => one !== null);
  return { signing: Object.fromEntries(record.signing), strange };
}
const signed = { party: "scale", must: "all", keys };
const closed = { party: "scale", must: "all", keys: [], left: true };
const moves = [revision(1, "a"), active(1), revision(2, "b")];

test("a party's keys count in its period where its entry says so, and always where it does not", () => {
  expect(after(revision(1, "a"), active(1, { keysInPeriod: true })).signing).toEqual({ "4/a": { ...signed, period } });
  expect(after(revision(1, "a"), active(1)).signing).toEqual({ "4/a": signed });
});

test("a branch that its party leaves stays closed where the entry says so, and was open where it does not", () => {
  expect(after(...moves, active(2, { left: ["4/a"] })).signing).toEqual({ "4/a": closed, "4/b": signed });
  expect(after(...moves, active(2)).signing).toEqual({ "4/b": signed });
});

test("it stays so whatever becomes of the party, until somebody is given it", () => {
  const left = [...moves, active(2, { left: ["4/a"] })];
  const revoked = { type: "party.revoked", said: { party: "scale" } };
  expect(after(...left, { type: "party.key.revoked", said: { party: "scale", kid: "k1" } }).signing["4/a"]).toEqual(closed);
  expect(after(...left, revoked).signing["4/a"]).toEqual(closed);
  expect(after(...left, revision(3, "c"), active(3, { left: ["4/b"] })).signing).toEqual({ "4/a": closed, "4/b": closed, "4/c": signed });
  expect(after(...left, revision(3, "b", "scale", null), active(3)).signing).toEqual({ "4/a": closed });
  expect(after(...left, revision(1, "a", "other"), active(1, {}, "other")).signing["4/a"]).toEqual({ ...signed, party: "other" });
  expect(after(...left, revision(1, "a", "other", null), active(1, {}, "other")).signing["4/a"]).toBeUndefined();
  expect(after(...left, revision(3, "a"), active(3, { left: ["4/b"] })).signing).toEqual({ "4/a": signed, "4/b": closed });
  // of a party that was revoked and comes back elsewhere
  expect(after(revision(1, "a"), active(1), revoked, revision(2, "b"), active(2, { left: ["4/a"] })).signing).toEqual({ "4/a": closed, "4/b": signed });
});

test("an entry that has a branch left which its party did not sign is none that could be", () => {
  expect(after(...moves, active(2, { left: ["4/z"] })).strange).toEqual(["party scale leaves 4/z, which it did not sign"]);
  expect(after(...moves, active(2, { left: ["4/b"] })).strange).toEqual(["party scale leaves 4/b, which it did not sign"]);
});
