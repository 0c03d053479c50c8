// Which faults the simulated devices have, and where: decided by a seed before anything is sent, so that a run can be repeated.

/** At most one of these in a step: each changes the order of its last evidence and its completion. */
export const ORDER_FAULTS = ["reorder", "drop-and-resend", "complete-too-early", "complete-far-too-early"] as const;
export const OTHER_FAULTS = ["repeat", "conflict", "wrong-batch", "retained", "malformed", "clock-ahead", "skip-a-step"] as const;
export type OrderFault = (typeof ORDER_FAULTS)[number];
export type OtherFault = (typeof OTHER_FAULTS)[number];
export type Fault = OrderFault | OtherFault;

export const FAULT_IN_WORDS: Readonly<Record<Fault, string>> = {
  reorder: "sends the completion before the evidence that has the number before it",
  "drop-and-resend": "loses an event, and sends it again when its cursor calls it missing",
  "complete-too-early": "asks for completion before the last evidence, and then gives it",
  "complete-far-too-early": "asks for completion and gives the last evidence only after the answer",
  repeat: "sends an event twice",
  conflict: "uses an id and number again with another value",
  "wrong-batch": "claims a batch that was aborted",
  retained: "sends its start again, retained",
  malformed: "sends half an event",
  "clock-ahead": "has its clock two hours ahead for one event",
  "skip-a-step": "starts the next step before this one is complete",
};

export interface StepFaults {
  readonly order: OrderFault | null;
  readonly others: readonly OtherFault[];
}

/** Faults for each step of each batch. Every fault comes up once before any comes up twice; the last step has none to skip to. */
export function planFaults(seed: number, batches: number, steps: number): readonly (readonly StepFaults[])[] {
  const random = randomFrom(seed);
  const order = dealer(ORDER_FAULTS, random);
  const other = dealer(OTHER_FAULTS, random);
  return Array.from({ length: batches }, () =>
    Array.from({ length: steps }, (_, step) => {
      const last = step === steps - 1;
      const others = new Set<OtherFault>();
      for (let n = random() < 0.5 ? 1 : 2; n > 0; n--) others.add(other((fault) => !(last && fault === "skip-a-step") && !others.has(fault)));
      return { order: random() < 0.6 ? order(() => true) : null, others: [...others] };
    }),
  );
}

/** Deals from a shuffled deck; what does not fit stays on top for the next one. */
function dealer<F>(faults: readonly F[], random: () => number): (fits: (fault: F) => boolean) => F {
  let deck: F[] = [];
  return (fits) => {
    for (;;) {
      const at = deck.findIndex(fits);
      const [dealt] = at < 0 ? [] : deck.splice(at, 1);
      if (dealt !== undefined) return dealt;
      deck = [...deck, ...shuffled(faults, random)];
    }
  };
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
