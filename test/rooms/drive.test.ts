// Promise: what a branch sends beyond its quota is acknowledged with the commit that counts it, never before; nothing of it is lost or counted twice by a failure on the way.
// Attack: commits that fail, or cannot hold what was said, and a stop while something is held; over the record in memory, in time that passes when it is told to.
import { setImmediate as later } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { SettlementDocument } from "../../src/commit/settlement.ts";
import { failure } from "../../src/db/failure.ts";
import { decode } from "../../src/decode/decode.ts";
import { Drive } from "../../src/drive.ts";
import { sourceWatch } from "../../src/ops/source-watch.ts";
import { PLANT, scale } from "../support/given.ts";
import { createModel, MAX_BYTES, type Model } from "../support/model.ts";
import { SILENT } from "../support/silent.ts";

const BRANCH = "site/rtm1/line/4/eq/scale-1";
const AWAY = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", syscall: "connect" });
const UNSTORABLE = Object.assign(new Error("unsupported Unicode escape sequence"), { code: "22P05" });

/** A drive with a quota of three at once and one a second. `commit` may throw, and is told what it would write. */
function staged(before: (document: SettlementDocument) => void = () => {}) {
  const model: Model = createModel(PLANT);
  const acknowledged: number[] = [];
  const counted: string[] = [];
  const watch = sourceWatch();
  let now = 0;
  const timers = new Set<{ readonly at: number; run(): void }>();
  const drive = new Drive({
    site: "rtm1",
    shard: "rtm1",
    prefix: "",
    quota: { perSecond: 1, burst: 3 },
    time: {
      now: () => now,
      after(ms, run) {
        const timer = { at: now + ms, run };
        timers.add(timer);
        return () => timers.delete(timer);
      },
      soon: (run) => run(),
      every: () => () => {},
      chance: () => 0,
    },
    ...SILENT,
    meter: { ...SILENT.meter, leftOut: (branch, count) => counted.push(`${branch} ${count}`), ignored: (why) => counted.push(why) },
    watch,
    onCommitted: () => {},
    onHalt: (_why, error) => {
      throw error;
    },
    stages: {
      machines: model.machines,
      maxBytes: MAX_BYTES,
      branches: async () => [BRANCH],
      decode: (delivery) => decode(delivery, { prefix: "", maxBytes: MAX_BYTES }),
      read: async (request) => model.read(request),
      commit: async (_group, document) => {
        before(document);
        return { base: model.apply(document), generation: 1, recordedAt: model.clock };
      },
      find: async () => null,
      failure,
      acknowledge: (slots) => acknowledged.push(...slots.map(({ arrival }) => arrival)),
      now: () => model.clock,
      silentFor: async () => null,
      beat: async () => {},
      due: async () => [],
      receiving: () => true,
      unacknowledged: () => 0,
    },
  });
  drive.start();
  const settled = async (): Promise<void> => {
    for (let n = 0; n < 40; n += 1) await later();
  };
  let arrival = 0;
  return {
    drive,
    model,
    watch,
    acknowledged,
    counted,
    settled,
    /** Deliveries that come at one moment, each with the next number, or with this payload. */
    async come(count: number, { topic = `${BRANCH}/event`, payload }: { readonly topic?: string; readonly payload?: string } = {}) {
      for (let n = 0; n < count; n += 1) {
        const sequence = String(arrival + 1);
        const said = { specversion: "1.0", id: `e-${sequence}`, source: scale.name, type: "signalbox.call.raised.v1", time: model.clock };
        const text = payload ?? JSON.stringify({ ...said, epoch: "7", sequence, data: { call: "c" } });
        drive.receive(model.delivery(topic, text), { connection: 1, arrival, messageId: arrival + 1, bytes: text.length });
        arrival += 1;
      }
      await settled();
    },
    async pass(ms: number) {
      now += ms;
      for (const timer of [...timers]) {
        if (timer.at > now) continue;
        timers.delete(timer);
        timer.run();
      }
      await settled();
    },
  };
}

const verdictsOf = ({ verdicts }: Model) => verdicts.map(({ code, eventId, explanation }) => [eventId, code, Object(explanation).leftOut?.count ?? null]);
const ACCEPTED = [1, 2, 3].map((n) => [`e-${n}`, null, null]);

describe("what comes beyond the quota of its branch", () => {
  test("is acknowledged with what counts it, and not before", async () => {
    const { come, pass, acknowledged, counted, model, drive } = staged();
    await later();
    await come(10);
    expect([acknowledged, verdictsOf(model)]).toEqual([[0, 1, 2], ACCEPTED]);
    await pass(1_000);
    expect([acknowledged, counted]).toEqual([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], ["event 7"]]);
    expect(verdictsOf(model)).toEqual([...ACCEPTED, ["e-10", "SYS_RATE_LIMITED", 7]]);
    expect(model.verdicts.at(-1)?.explanation).toMatchObject({ leftOut: { first: { source: scale.name, id: "e-4", epoch: "7", sequence: "4" } } });
    expect(model.source(scale.name)).toMatchObject({ through: 3n, highest: 10n });
    await drive.stop();
  });

  test("is held while the database is away, and counted once when it is back, with what came meanwhile counted behind it", async () => {
    let away = true;
    let tries = 0;
    const { come, pass, acknowledged, counted, model, drive } = staged(({ document }) => {
      if (!document.includes("SYS_RATE_LIMITED")) return;
      tries += 1;
      if (away) throw AWAY;
    });
    await later();
    await come(10);
    await pass(1_000);
    await come(2, { payload: "{" });
    await pass(10_000);
    expect([tries > 1, acknowledged, counted]).toEqual([true, [0, 1, 2], []]);
    away = false;
    await pass(10_000);
    await pass(1_000);
    expect(acknowledged.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, n) => n));
    expect(verdictsOf(model).filter(([, code]) => code === "SYS_RATE_LIMITED")).toEqual([
      ["e-10", "SYS_RATE_LIMITED", 7],
      [null, "SYS_RATE_LIMITED", 1],
    ]);
    await drive.stop();
  });

  test("is counted also where the database cannot hold what it said: nothing of that stands for it then", async () => {
    const { come, pass, acknowledged, model, drive } = staged(({ raws }) => {
      if (raws.some((raw) => raw?.includes("poison"))) throw UNSTORABLE;
    });
    await later();
    await come(5);
    await come(1, { payload: '{"poison": "' });
    await pass(1_000);
    expect(acknowledged).toEqual([0, 1, 2, 3, 4, 5]);
    expect(verdictsOf(model)).toEqual([...ACCEPTED, [null, "SYS_RATE_LIMITED", 3]]);
    await drive.stop();
  });

  test("is told of before the drive stops", async () => {
    const { come, acknowledged, model, drive } = staged();
    await later();
    await come(4);
    expect(acknowledged).toEqual([0, 1, 2]);
    await drive.stop();
    expect([acknowledged, verdictsOf(model).at(-1)]).toEqual([
      [0, 1, 2, 3],
      ["e-4", "SYS_RATE_LIMITED", 1],
    ]);
  });

  test("is only counted where it is a heartbeat, which has a quota of its own", async () => {
    const { come, pass, acknowledged, counted, model, drive } = staged();
    await later();
    await come(9, { topic: `${BRANCH}/diag`, payload: JSON.stringify({ state: "online" }) });
    expect(acknowledged).toEqual([0, 1, 2]);
    await pass(1_000);
    expect([acknowledged.length, counted, verdictsOf(model)]).toEqual([9, ["quota", "diag 6"], []]);
    await come(3);
    expect(verdictsOf(model).map(([, code]) => code)).toEqual(["SEQ_GAP", "SEQ_GAP", "SEQ_GAP"]);
    await drive.stop();
  });
});

test("a diagnosis that is not believed is acknowledged and counted, and makes nobody look as if they came and went", async () => {
  const { come, counted, acknowledged, watch, model, drive } = staged();
  await later();
  const says = (state: string) => come(1, { topic: `${BRANCH}/diag`, payload: JSON.stringify({ state }) });
  model.signing.set("4/scale-1", { party: "scale", must: "all", keys: [] });
  for (const state of ["online", "offline", "online"]) await says(state);
  expect([acknowledged, counted, watch.count(Number.MAX_SAFE_INTEGER)]).toMatchObject([[0, 1, 2], ["unsigned", "unsigned", "unsigned"], { silent: 0 }]);
  await drive.stop();
  const believed = staged();
  await later();
  await believed.come(1, { topic: `${BRANCH}/diag`, payload: JSON.stringify({ state: "online" }) });
  expect([believed.counted, believed.watch.count(Number.MAX_SAFE_INTEGER)]).toMatchObject([[], { silent: 1 }]);
  await believed.drive.stop();
});
