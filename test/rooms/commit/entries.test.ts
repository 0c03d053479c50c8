import { describe, expect, test } from "vitest";
import { entriesOf } from "../../../src/commit/entries.ts";
import { documentOf } from "../../../src/commit/settlement.ts";
import { type Act, again, given, type Line, orders, running, scale, weighing } from "../../support/given.ts";

// Promise: the entry of a position says everything that stands there, in its order, and nothing that stands elsewhere.

const LISTS = ["signals", "verdicts", "facts", "outcomes", "evidence", "exceptions", "exceptions_resolved", "quarantine_resolved", "conflicts", "skipped"];
type Rows = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;

function written(line: Line, ...acts: readonly Act[]) {
  const settlement = line.model.judge(line.signals(acts));
  const lists: Rows = JSON.parse(documentOf(settlement, 262_144).document);
  return { settlement, lists, ...entriesOf(settlement, lists) };
}
/** What stands at the n-th position, list by list. */
const standing = (lists: Rows, n: number) =>
  Object.fromEntries(
    LISTS.flatMap((list) => {
      const rows = (lists[list] ?? []).filter(({ ref }) => ref === -n);
      return rows.length === 0 ? [] : [[list, rows]];
    }),
  );

describe("the entries of a group", () => {
  test("say what stands at each position: several facts of one event, exceptions, what was decided again", () => {
    const line = given(weighing(), scale.weighs("12.500"), scale.weighs("12.500"));
    const event = line.rounds("scale-1-7-3")[0]?.event ?? 0;
    const rejects = orders({ kind: "quarantine.resolve", event, action: "reject", reason: "seen" });
    const other = scale.says("call.raised", { id: "scale-1-7-2", data: { call: "c" } });
    const { bodies, lists, settlement, batches } = written(
      line,
      scale.completes("weigh"),
      other,
      rejects,
      scale.says("call.raised", { sequence: 9, data: { call: "c" } }),
    );
    expect(bodies).toHaveLength(settlement.positions);
    for (const [n, { answers: _, ...said }] of bodies.entries()) expect(said).toEqual(standing(lists, n + 1));
    expect(bodies[0]?.["facts"]).toHaveLength(3);
    expect(bodies.flatMap(({ answers }) => answers ?? [])).toMatchObject([{ answer: { kind: "done" } }]);
    expect(batches.find(({ ref }) => ref === -1)).toEqual({ ref: -1, batch: "B-1" });
  });
  test("say an answer where it was given, and not again where it is repeated", () => {
    const key = { key: { key: "k", request: "POST", bodyDigest: "d" } };
    const pause = orders({ kind: "batch.command", batch: "B-1", command: "pause", reason: null }, key);
    const { bodies, batches } = written(given(running()), pause, pause);
    expect(bodies.map(({ answers }) => answers)).toMatchObject([[{ ref: -1, answer: { kind: "done" } }]]);
    expect(batches).toEqual([{ ref: -1, batch: "B-1" }]);
  });
  test("are of no batch where nothing is about one, and say nothing of what is not there", () => {
    const line = given(scale.says("call.raised", { data: { call: "c" } }));
    const { bodies, batches } = written(line, again("scale-1-7-1"));
    expect(bodies.map((body) => Object.keys(body))).toEqual([["signals", "verdicts"]]);
    expect(batches).toEqual([]);
  });
  test("are those of the group alone", () => {
    const { settlement } = written(given(), scale.says("call.raised", { data: { call: "c" } }));
    for (const ref of [5, -2]) expect(() => entriesOf(settlement, { facts: [{ ref }] })).toThrow(`a row of facts stands at ${ref}, outside its group`);
  });
});
