// Event types under the names that state machines and outsiders have for them.
import { EVENT_TYPES, type EventTypeName } from "../decode/event-types.ts";

const STEP_ACTIVITIES: ReadonlySet<EventTypeName> = new Set<EventTypeName>([
  "material.check",
  "material.consumed",
  "material.produced",
  "material.returned",
  "material.scrapped",
  "material.transferred",
  "label.check",
  "label.printed",
  "label.applied",
  "label.verified",
  "label.voided",
  "check.performed",
  "sample.taken",
]);

/** What the machine of a step calls it: its activities are one event to it. */
export const inStepMachine = (type: EventTypeName): string => (STEP_ACTIVITIES.has(type) ? "step.activity" : type);

/** Whether an event moves its step, so that later events of its source that move the same step wait behind it while it is deferred. */
export const movesStep = (type: EventTypeName): boolean => type === "step.start" || type === "step.complete" || type === "step.resume";

export const fullType = (type: string): string => `signalbox.${type}.v1`;

/** Names of the state machine as full type names; commands and internal moves keep to themselves. */
export function inFull(names: readonly string[]): string[] {
  return names.flatMap((name) => (name === "step.activity" ? [...STEP_ACTIVITIES].map(fullType) : name in EVENT_TYPES ? [fullType(name)] : []));
}
