// The status of something as a system of record tells it (docs/decisions/0019-confirmations-and-status.md). What this service decides about itself has none that anybody could bring. The database refuses
// the same (migration 0032).

/** As a plant names kinds and statuses. */
export const STATUS_NAME = /^[a-z][a-z0-9_-]{0,63}$/;
const OWN: ReadonlySet<string> = new Set([
  ...["batch", "step", "recipe", "state-machine", "exception", "gap", "quarantine", "review", "signature", "disposition"],
]);

/** Whether a status may be of such a kind: `calibration`, `lot`. */
export const isStatusKind = (text: string): boolean => STATUS_NAME.test(text) && !OWN.has(text);
