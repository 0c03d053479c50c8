import { createActor, type StateValue, setup } from "xstate";
import { z } from "zod";

export type GuardOutcome =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: string; readonly notYet: boolean; readonly expected?: string; readonly actual?: string };

/** An explaining predicate: the boolean that XState sees is derived from it, so the reason given is the code that decided. Deterministic and total. */
export type Guard<C> = (context: C, params: unknown) => GuardOutcome;

/** One guard as it was asked. */
export interface Check {
  readonly guard: string;
  readonly ok: boolean;
  readonly code?: string;
  readonly notYet?: boolean;
  readonly expected?: string;
  readonly actual?: string;
}

export type Next<V> =
  | { readonly kind: "moved"; readonly to: V; readonly self: boolean; readonly checks: readonly Check[] }
  | { readonly kind: "refused"; readonly code: string; readonly notYet: boolean; readonly checks: readonly Check[]; readonly permitted: readonly string[] };

export interface StateMachine<V extends StateValue, C> {
  /** `step/governed@1` */
  readonly name: string;
  readonly events: readonly string[];
  /** `unasked` is the context without a signal: what would be permitted is told from it. */
  next(value: V, event: string, context: C, unasked?: C): Next<V>;
  /** Events that the state would take now, as far as their guards can be asked without a signal. */
  permitted(value: V, context: C): readonly string[];
  isa88(state: string): string;
  isa95(state: string): string;
}

const guardRef = z.union([z.string(), z.strictObject({ type: z.string(), params: z.unknown().optional() })]);
const transition = z.strictObject({ target: z.string().optional(), guard: guardRef.optional(), description: z.string().optional() });
const transitions = z.union([z.string(), transition, z.array(z.union([z.string(), transition]))]);

type StateNode = {
  readonly type?: "atomic" | "final" | "parallel" | "compound" | undefined;
  readonly initial?: string | undefined;
  readonly description?: string | undefined;
  readonly on?: Readonly<Record<string, z.infer<typeof transitions>>> | undefined;
  readonly states?: Readonly<Record<string, StateNode>> | undefined;
};

const stateNode: z.ZodType<StateNode> = z.lazy(() =>
  z.strictObject({
    type: z.enum(["atomic", "final", "parallel", "compound"]).optional(),
    initial: z.string().optional(),
    description: z.string().optional(),
    on: z.record(z.string(), transitions).optional(),
    states: z.record(z.string(), stateNode).optional(),
  }),
);

/** A state machine as it is published: data, never code. */
export const stateMachineSchema = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]*(\/[a-z0-9][a-z0-9.-]*)+$/),
  revision: z.int().min(1),
  description: z.string(),
  /** States that nothing leaves, or only by a signed decision: what asks them to move learns that they have ended. */
  terminal: z.array(z.string()),
  machine: z.strictObject({
    id: z.string(),
    type: z.literal("parallel").optional(),
    initial: z.string().optional(),
    states: z.record(z.string(), stateNode),
  }),
  isa88: z.record(z.string(), z.string()),
  isa95: z.record(z.string(), z.string()),
});

export type StateMachineDefinition = z.infer<typeof stateMachineSchema>;

export interface Candidate {
  readonly target: string | null;
  readonly guards: readonly GuardRef[];
}
export interface GuardRef {
  readonly name: string;
  readonly params: unknown;
}

/** What the region that leads says to an event; null: it takes none of its candidates. */
interface Judged {
  readonly checks: readonly Check[];
  readonly taken: { readonly region: number; readonly candidate: number } | null;
}

/** The candidates of one state for one event, in the order in which they are tried. */
export function candidatesOf(on: z.infer<typeof transitions>): readonly Candidate[] {
  const list = Array.isArray(on) ? on : [on];
  return list.map((entry) =>
    typeof entry === "string" ? { target: entry, guards: [] } : { target: entry.target ?? null, guards: entry.guard === undefined ? [] : flat(entry.guard) },
  );
}

const allOf = z.strictObject({ guards: z.array(guardRef) });

/** The guards behind a reference: `all@1` stands for those it lists, in their order. */
export function flat(ref: z.infer<typeof guardRef>): readonly GuardRef[] {
  const name = typeof ref === "string" ? ref : ref.type;
  const params = typeof ref === "string" ? undefined : ref.params;
  if (name !== "all@1") return [{ name, params }];
  return allOf.parse(params).guards.flatMap(flat);
}

/** Regions of a machine by name; a machine without parallel regions is one region, named by the empty text. */
export function regionsOf(definition: StateMachineDefinition): ReadonlyMap<string, Readonly<Record<string, StateNode>>> {
  const { machine } = definition;
  if (machine.type !== "parallel") return new Map([["", machine.states]]);
  return new Map(Object.entries(machine.states).map(([name, region]) => [name, region.states ?? {}]));
}

/**
 * Compiles a published definition. Which transition is taken is XState's to say; why one is refused is told by the same guards. One inert scope serves all calls,
 * since transitions are synchronous (a new one for each call would build an actor every time). Throws on a guard that is not registered.
 */
export function compile<V extends StateValue, C>(content: unknown, guards: ReadonlyMap<string, Guard<C>>): StateMachine<V, C> {
  const definition = stateMachineSchema.parse(content);
  const regions = regionsOf(definition);
  const terminal = new Set(definition.terminal);
  const events = new Set<string>();
  const named = new Set<string>(["all@1"]);
  const candidates = new Map<StateNode, ReadonlyMap<string, readonly Candidate[]>>();
  for (const states of regions.values()) {
    for (const state of Object.values(states)) {
      const byEvent = new Map(Object.entries(state.on ?? {}).map(([event, on]) => [event, candidatesOf(on)]));
      candidates.set(state, byEvent);
      for (const [event, list] of byEvent) {
        events.add(event);
        for (const { guards: refs } of list) for (const { name } of refs) named.add(name);
      }
    }
  }
  for (const name of named)
    if (name !== "all@1" && !guards.has(name)) throw new Error(`${definition.name}@${definition.revision} names the guard ${name}, which is not registered`);

  const ask = ({ name, params }: GuardRef, context: C): Check => {
    const outcome = guards.get(name)?.(context, params);
    if (outcome === undefined) throw new Error(`the guard ${name} is not registered`);
    if (outcome.ok) return { guard: name, ok: true };
    const { code, notYet, expected, actual } = outcome;
    return { guard: name, ok: false, code, notYet, ...(expected === undefined ? {} : { expected }), ...(actual === undefined ? {} : { actual }) };
  };

  let asked: C | null = null;
  const machine = setup({
    guards: Object.fromEntries(
      [...named].map((name) => [
        name,
        (_: unknown, params: unknown) => {
          const context = asked;
          if (context === null) throw new Error("a guard was asked outside a transition");
          return flat({ type: name, params }).every((ref) => ask(ref, context).ok);
        },
      ]),
    ),
  }).createMachine(definition.machine as never);
  const self = createActor(machine);
  const scope = { self, id: "", sessionId: "", system: self.system, logger() {}, defer() {}, emit() {}, stopChild() {}, actionExecutor() {} } as never;

  const inOrder = [...regions].map(([name, states]) => ({
    name,
    states,
    numbers: new Map(Object.keys(states).map((state, number) => [state, number])),
    listens: new Set(Object.values(states).flatMap((state) => Object.keys(state.on ?? {}))),
  }));
  type Region = (typeof inOrder)[number];
  const stateIn = ({ name }: Region, value: V): string => (name === "" ? String(value) : String(typeof value === "object" ? value[name] : ""));
  const NONE: readonly Candidate[] = [];
  const candidatesIn = (region: Region, value: V, event: string): readonly Candidate[] => {
    const node = region.states[stateIn(region, value)];
    return (node === undefined ? undefined : candidates.get(node)?.get(event)) ?? NONE;
  };

  /**
   * The first region that ever listens to an event leads: where it does not take the event, no other region moves either. Otherwise a batch that never started could
   * be stopped in its disposition alone.
   */
  const judge = (value: V, event: string, context: C): Judged | undefined => {
    for (const [i, region] of inOrder.entries()) {
      if (!region.listens.has(event)) continue;
      const here = candidatesIn(region, value, event);
      if (here.length === 0) break;
      const tried = here.map((candidate) => candidate.guards.map((ref) => ask(ref, context)));
      const at = tried.findIndex((checks) => checks.every(({ ok }) => ok));
      const taken = tried[at];
      if (taken !== undefined) return { checks: taken, taken: { region: i, candidate: at } };
      const failures = (checks: readonly Check[]): number => checks.filter(({ ok }) => !ok).length;
      const closest = tried.reduce((best, checks) => (failures(checks) < failures(best) ? checks : best));
      return { checks: closest, taken: null };
    }
    return undefined;
  };

  const reachedBy = new Map<string, { readonly to: V; readonly self: boolean }>();
  /**
   * Where XState goes. That rests on the state, the event, and the first candidate of each region whose guards hold; so it is asked once for each of these and its word kept, since
   * asking costs more than all guards together. What leads was judged already, and guards answer the same to the same question.
   */
  const reached = (value: V, event: string, context: C, leads: NonNullable<Judged["taken"]>): { readonly to: V; readonly self: boolean } => {
    // numbers first, so that no name can be taken for the end of another
    let key = "";
    for (const [i, region] of inOrder.entries()) {
      const open =
        i === leads.region ? leads.candidate : candidatesIn(region, value, event).findIndex(({ guards: refs }) => refs.every((ref) => ask(ref, context).ok));
      key += `${region.numbers.get(stateIn(region, value)) ?? "?"} ${open} `;
    }
    key += event;
    const known = reachedBy.get(key);
    if (known !== undefined) return known;
    asked = context;
    try {
      const to = machine.transition(machine.resolveState({ value, context: {} }), { type: event }, scope).value as V;
      const found = { to, self: JSON.stringify(to) === JSON.stringify(value) };
      reachedBy.set(key, found);
      return found;
    } finally {
      asked = null;
    }
  };

  const permitted = (value: V, context: C): readonly string[] => [...events].filter((event) => judge(value, event, context)?.taken != null);

  return {
    name: `${definition.name}@${definition.revision}`,
    events: [...events],
    permitted,
    next(value, event, context, unasked = context) {
      const judged = judge(value, event, context);
      if (judged === undefined) {
        const [leading] = inOrder;
        const ended = leading !== undefined && terminal.has(stateIn(leading, value));
        return { kind: "refused", code: ended ? "STA_TERMINAL" : "STA_INVALID_TRANSITION", notYet: false, checks: [], permitted: permitted(value, unasked) };
      }
      if (judged.taken === null) {
        const failed = judged.checks.filter(({ ok }) => !ok);
        return {
          kind: "refused",
          code: failed[0]?.code ?? "STA_INVALID_TRANSITION",
          notYet: failed.every((check) => check.notYet === true),
          checks: judged.checks,
          permitted: permitted(value, unasked),
        };
      }
      return { kind: "moved", ...reached(value, event, context, judged.taken), checks: judged.checks };
    },
    isa88: (state) => definition.isa88[state] ?? state,
    isa95: (state) => definition.isa95[state] ?? state,
  };
}
