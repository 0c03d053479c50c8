import { candidatesOf, regionsOf, stateMachineSchema } from "./state-machine.ts";

/** Why a state machine is not published, with a JSON pointer to the place. */
export interface MachineProblem {
  readonly pointer: string;
  readonly problem: string;
}

/** Keys of XState that are code, time or actors: a governed machine has none of them. */
const FORBIDDEN: Readonly<Record<string, string>> = {
  invoke: "invokes an actor",
  spawn: "spawns an actor",
  after: "moves by itself after a delay; time comes as a tick",
  delay: "has a delay",
  delays: "has delays",
  always: "moves without an event",
  entry: "has an entry action",
  exit: "has an exit action",
  actions: "has actions; facts are made by the judge",
  context: "keeps a context of its own",
  onDone: "moves on completion",
  onError: "moves on an error",
  history: "remembers its history",
};

/**
 * Checks a state machine before it is published: data only, every guard registered, every state reachable and, unless it is final or named terminal, with a way out, and
 * never two unguarded ways for one event.
 */
export function checkStateMachine(content: unknown, guards: ReadonlySet<string>): readonly MachineProblem[] {
  const problems: MachineProblem[] = [];
  const forbidden = findForbidden(content, "");
  if (forbidden.length > 0) return forbidden;
  const parsed = stateMachineSchema.safeParse(content);
  if (!parsed.success) return parsed.error.issues.map((issue) => ({ pointer: `/${issue.path.map(String).join("/")}`, problem: `${issue.message}.` }));
  const definition = parsed.data;
  const terminal = new Set(definition.terminal);
  const known = new Set([...regionsOf(definition).values()].flatMap((states) => Object.keys(states)));
  for (const [i, state] of definition.terminal.entries())
    if (!known.has(state)) problems.push({ pointer: `/terminal/${i}`, problem: `There is no state ${state}.` });
  for (const names of ["isa88", "isa95"] as const)
    for (const state of Object.keys(definition[names]))
      if (!known.has(state)) problems.push({ pointer: `/${names}/${state}`, problem: `There is no state ${state}.` });
  for (const [region, states] of regionsOf(definition)) {
    if (region !== "" && definition.machine.states[region]?.on !== undefined)
      problems.push({ pointer: `/machine/states/${region}/on`, problem: "A region listens to nothing by itself; its states do." });
    const base = region === "" ? "/machine/states" : `/machine/states/${region}/states`;
    const initial = region === "" ? definition.machine.initial : definition.machine.states[region]?.initial;
    if (initial === undefined || !Object.hasOwn(states, initial)) {
      problems.push({ pointer: base, problem: "It has no initial state among its states." });
      continue;
    }
    const reached = new Set([initial]);
    const open = [initial];
    for (let state = open.pop(); state !== undefined; state = open.pop()) {
      const node = states[state];
      const events = Object.entries(node?.on ?? {});
      const ways = new Set<string>();
      for (const [event, on] of events) {
        const at = `${base}/${state}/on/${event}`;
        if (event.includes("*")) problems.push({ pointer: at, problem: "A wildcard takes events that nobody has thought of." });
        const candidates = listed(on);
        if (candidates === null) {
          problems.push({ pointer: at, problem: 'all@1 lists the guards that must all hold, as { "guards": [ … ] }.' });
          continue;
        }
        for (const [i, candidate] of candidates.entries()) {
          if (candidate.guards.length === 0 && i < candidates.length - 1)
            problems.push({ pointer: at, problem: "An unguarded way stands before another: the second can never be taken." });
          for (const { name } of candidate.guards) if (!guards.has(name)) problems.push({ pointer: at, problem: `The guard ${name} is not registered.` });
          if (candidate.target === null) continue;
          if (!Object.hasOwn(states, candidate.target)) {
            problems.push({ pointer: at, problem: `There is no state ${candidate.target}.` });
            continue;
          }
          if (candidate.target !== state) ways.add(candidate.target);
          if (!reached.has(candidate.target)) {
            reached.add(candidate.target);
            open.push(candidate.target);
          }
        }
      }
      if (node?.type === "final" && events.length > 0) problems.push({ pointer: `${base}/${state}`, problem: "A final state has no way out." });
      if (node?.type !== "final" && ways.size === 0 && !terminal.has(state))
        problems.push({ pointer: `${base}/${state}`, problem: "Nothing leaves this state, and it is not final." });
      if (node?.states !== undefined)
        problems.push({ pointer: `${base}/${state}/states`, problem: "States within states are not used; what is parallel stands as a region." });
    }
    for (const state of Object.keys(states)) if (!reached.has(state)) problems.push({ pointer: `${base}/${state}`, problem: "No way leads to this state." });
  }
  return problems;
}

/** The candidates, or null where an `all@1` among them does not say which guards it means. */
function listed(...asked: Parameters<typeof candidatesOf>): ReturnType<typeof candidatesOf> | null {
  try {
    return candidatesOf(...asked);
  } catch {
    return null;
  }
}

function findForbidden(value: unknown, pointer: string): MachineProblem[] {
  if (typeof value === "function") return [{ pointer, problem: "A function stands inline; guards have names." }];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const why = pointer.startsWith("/machine") && !/\/(on|states)$/.test(pointer) ? FORBIDDEN[key] : undefined;
    return why === undefined ? findForbidden(item, `${pointer}/${key}`) : [{ pointer: `${pointer}/${key}`, problem: `It ${why}.` }];
  });
}
