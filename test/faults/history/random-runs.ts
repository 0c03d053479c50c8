// Random runs of the in-memory model, with repeats, gaps, losses, new epochs, conflicts, deferrals and commands.
import fc from "fast-check";
import { BLEND } from "../../support/blend.ts";
import { type Act, again, commands, creates, mixer, on, PLANT, running, scale, speaker, stepCommand } from "../../support/given.ts";
import { Watch } from "./from-model.ts";
import type { History } from "./history.ts";

const probe = speaker("mixer-1", { device: "probe" });
const sources = [scale, mixer, probe];

const maybe =
  (act: Act): Act =>
  (line) => {
    try {
      return act(line);
    } catch {
      return [];
    }
  };

const equipmentAct = fc.tuple(fc.constantFrom(...sources), fc.nat({ max: 9 }), fc.nat({ max: 5 })).map(([by, what, n]): Act => {
  const acts: readonly Act[] = [
    by.starts(n % 2 === 0 ? "weigh" : "blend"),
    by.completes(n % 2 === 0 ? "weigh" : "blend"),
    by.pauses(n % 2 === 0 ? "weigh" : "blend"),
    by.resumes(n % 2 === 0 ? "weigh" : "blend"),
    by.weighs("12.500"),
    by.gives("blend", "end-temperature", "24.5", "Cel"),
    by.alarms(),
    by.states(n % 2 === 0 ? "Execute" : "Idle"),
    by.says("call.raised", { data: { call: "help" } }),
    by.aborts("weigh"),
  ];
  return acts[what] ?? by.alarms();
});

const oddAct = fc.tuple(fc.constantFrom(...sources), fc.nat({ max: 8 }), fc.integer({ min: 1, max: 12 })).map(([by, what, n]): Act => {
  const name = by.name.includes("probe") ? "mixer-1.probe" : by.name.endsWith("scale-1") ? "scale-1" : "mixer-1";
  const acts: readonly Act[] = [
    by.alarms({ sequence: n }),
    by.says("call.raised", { data: { call: "help" }, sequence: n + 2 }),
    by.lost(n, n + 2),
    by.birth(n + 3, { epoch: 8, sequence: n + 2 }),
    by.says("call.raised", { data: { call: "again" }, id: `${name}-7-${n}` }),
    maybe(again(`${name}-7-${n}`)),
    maybe(again(`${name}-8-${n}`)),
    by.alarms({ epoch: 8, sequence: 1 }),
    by.birth(n + 1),
  ];
  return acts[what] ?? by.alarms();
});

const order = fc
  .tuple(fc.nat({ max: 6 }), fc.constantFrom("B-1", "B-2"))
  .map(
    ([what, batch]): Act =>
      [
        commands("pause", batch),
        commands("resume", batch),
        commands("start", batch),
        commands("abort", batch),
        commands("stop", batch),
        stepCommand("start", "weigh"),
        stepCommand("complete", "weigh"),
      ][what] ?? commands("pause", batch),
  );

const script = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: equipmentAct.map((act) => (watch: Watch) => watch.sees(act)) },
    { weight: 5, arbitrary: oddAct.map((act) => (watch: Watch) => watch.sees(act)) },
    { weight: 2, arbitrary: order.map((act) => (watch: Watch) => watch.sees(act)) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 40_000 }).map((ms) => (watch: Watch) => watch.waits(ms)) },
    { weight: 1, arbitrary: fc.constant((watch: Watch) => watch.readsAll()) },
  ),
  { minLength: 5, maxLength: 30 },
);

const plant = { ...PLANT, recipes: [{ ...BLEND, steps: BLEND.steps.map((step) => ({ ...step, patience: "PT5S" })) }] };

/** What outsiders see of a random run: at least one batch that has begun, and readers at the end. */
export const runs: fc.Arbitrary<History> = script.map((acts) => {
  const watch = new Watch(on(plant))
    .sees(running(), creates("B-2"), commands("release-to-floor", "B-2"))
    .sees(scale.starts("weigh"), scale.alarms(), scale.weighs("12.500"));
  for (const act of acts) act(watch);
  return watch.readsAll().history();
});
