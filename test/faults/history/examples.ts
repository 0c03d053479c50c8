// A good history to break, and what its parts are called.
import { again, commands, creates, given, mixer, scale } from "../../support/given.ts";
import { type Data, eventIn } from "./alter.ts";
import { check } from "./check.ts";
import { Watch } from "./from-model.ts";
import type { Heard, History } from "./history.ts";

/** Which invariants are found to be broken. */
export const found = (history: History): readonly string[] => [...new Set(check(history).map(({ invariant }) => invariant))];

/** Outcomes 1 created, 2 ready, 3 started, 4 step started, 5 evidence, 6 step completed, then the blend. */
export const whole = (): History =>
  new Watch(given())
    .sees(creates(), commands("release-to-floor"), commands("start"), scale.starts("weigh"))
    .readsAll()
    .sees(scale.weighs("12.500"), again("scale-1-7-2"), scale.completes("weigh"), scale.alarms(), mixer.starts("blend"))
    .readsAll()
    .history();

export const isEvent =
  (id: string) =>
  (data: Data): boolean =>
    eventIn(data)["id"] === id;
export const batchOutcome =
  (n: number) =>
  ({ source, sequence }: { readonly source: string; readonly sequence?: string }): boolean =>
    source.endsWith("/batch/B-1") && sequence === String(n);
export const heardOutcome =
  (n: number) =>
  ({ body }: Heard): boolean =>
    body !== null && batchOutcome(n)(body);
/** A time behind all that was heard. */
export const behind = (history: History): number => 1 + Math.max(...history.heard.map((message) => message.at));

/** An outcome under a later number of its stream. */
export const renumbered = <B extends { readonly id: string; readonly sequence?: string }>(body: B, by: number): B => {
  const sequence = String(Number(body.sequence) + by);
  return { ...body, id: `1.${sequence}`, sequence };
};
