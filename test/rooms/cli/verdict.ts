import type { VerdictData } from "../../../src/cli/verdict-data.ts";

/** A verdict on an event of scale-1; positions are of site rtm1. */
export const verdictOf = (more: Partial<VerdictData> = {}): VerdictData => ({
  verdict: `rtm1.1.${more.position ?? 7}`,
  round: 1,
  event: { source: "/site/rtm1/line/4/eq/scale-1", id: "s1-7-41", type: "signalbox.step.complete.v1", epoch: "7", sequence: "41" },
  status: "accepted",
  final: true,
  reason: "Accepted.",
  next: "none",
  context: { batch: "B-1042", step: "weigh", attempt: 1, from: "claim" },
  position: 7,
  ...more,
});
