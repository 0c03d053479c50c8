// Whether what callers saw of one lock can be explained by a register that does one operation at a time, each between its call and its answer.
import type { LockOperation } from "./history.ts";

/**
 * Searches for such an order as Wing and Gong do, in the form that Lowe calls just in time: it walks along the answers, and keeps every configuration that explains
 * those so far. A configuration is who holds the lock, which operations in flight have taken effect, and how many operations that were never answered have; equal ones
 * are kept once. Two things keep them few. What changes nothing (a read, a refusal) takes effect as soon as it may. An operation without an answer takes effect only
 * right before one that needs it: what it changed would otherwise be changed back unseen, or be seen by that very operation.
 *
 * Operations are of one equipment; times that are equal overlap. Returns the first answer that no order explains, or null.
 */
export function notLinearizable(operations: readonly LockOperation[]): LockOperation | null {
  const answered = operations.filter((operation) => operation.ended !== null && operation.answer !== null);
  const calls = [...answered].sort((a, b) => a.began - b.began);
  const answers = [...answered].sort((a, b) => (a.ended ?? 0) - (b.ended ?? 0));
  const open = operations.filter(({ ended, answer, asks }) => (ended === null || answer === null) && asks.kind !== "read").sort((a, b) => a.began - b.began);
  const kinds = [...new Set(open.map(kindOf))];
  const available = new Map(kinds.map((kind) => [kind, 0]));
  let flying: LockOperation[] = [];
  let [called, opened] = [0, 0];
  let configurations: readonly Configuration[] = [{ holder: null, done: new Set(), used: new Map() }];
  for (const answer of answers) {
    const now = answer.ended ?? 0;
    for (let next = calls[called]; next !== undefined && next.began <= now; next = calls[called]) {
      flying.push(next);
      called += 1;
    }
    for (let next = open[opened]; next !== undefined && next.began <= now; next = open[opened]) {
      available.set(kindOf(next), (available.get(kindOf(next)) ?? 0) + 1);
      opened += 1;
    }
    configurations = explain(configurations, answer, flying, available);
    if (configurations.length === 0) return answer;
    flying = flying.filter((operation) => operation !== answer);
  }
  return null;
}

interface Configuration {
  readonly holder: string | null;
  /** Operations in flight that have taken effect. */
  readonly done: ReadonlySet<LockOperation>;
  /** How many operations of each kind that were never answered have taken effect. */
  readonly used: ReadonlyMap<string, number>;
}

type Available = ReadonlyMap<string, number>;

/** All configurations in which the operation has taken effect, without it. */
function explain(from: readonly Configuration[], answer: LockOperation, flying: readonly LockOperation[], available: Available): readonly Configuration[] {
  const numbers = new Map(flying.map((operation, n) => [operation, n]));
  const seen = new Set<string>();
  const explained = new Map<string, Configuration>();
  const todo = from.map((configuration) => settle(configuration, flying));
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const key = keyOf(next, numbers);
    if (seen.has(key)) continue;
    seen.add(key);
    if (next.done.has(answer)) {
      const left: Configuration = { ...next, done: new Set([...next.done].filter((operation) => operation !== answer)) };
      explained.set(keyOf(left, numbers), left);
      continue;
    }
    for (const operation of flying) {
      if (next.done.has(operation)) continue;
      for (const ready of madeReady(next, operation, available)) {
        todo.push(settle({ ...ready, holder: after(operation, ready.holder), done: new Set([...ready.done, operation]) }, flying));
      }
    }
  }
  return leastUsed([...explained.values()], numbers);
}

/** Lets what changes nothing take effect where it may. */
function settle(configuration: Configuration, flying: readonly LockOperation[]): Configuration {
  const { holder, done } = configuration;
  const more = flying.filter((operation) => !done.has(operation) && !changes(operation) && permits(operation, holder));
  return more.length === 0 ? configuration : { ...configuration, done: new Set([...done, ...more]) };
}

const changes = ({ asks, answer }: LockOperation): boolean => asks.kind !== "read" && answer !== null && "done" in answer && answer.done;

/** Whether an operation is answered as it was, where the lock is held by someone or by nobody. */
function permits({ asks, answer }: LockOperation, holder: string | null): boolean {
  if (answer === null) return true;
  if ("holder" in answer) return answer.holder === holder;
  if (asks.kind === "take") return answer.done ? holder === null || holder === asks.batch : holder !== null;
  return asks.kind === "read" || answer.done === (holder === asks.batch);
}

const after = (operation: LockOperation, holder: string | null): string | null => {
  const { asks } = operation;
  if (!changes(operation) || asks.kind === "read") return holder;
  return asks.kind === "take" ? asks.batch : null;
};

/** The configuration as it is, where it permits the operation; otherwise those that operations without an answer, taking effect now, make of it. */
function madeReady(configuration: Configuration, operation: LockOperation, available: Available): readonly Configuration[] {
  const { holder } = configuration;
  if (permits(operation, holder)) return [configuration];
  const freed = holder === null ? configuration : use(configuration, `free ${holder}`, available);
  if (freed === null) return [];
  const ready: Configuration[] = [];
  if (permits(operation, null)) ready.push({ ...freed, holder: null });
  else {
    for (const kind of available.keys()) {
      if (!kind.startsWith("take ") || !permits(operation, kind.slice(5))) continue;
      const taken = use(freed, kind, available);
      if (taken !== null) ready.push({ ...taken, holder: kind.slice(5) });
    }
  }
  return ready;
}

function use(configuration: Configuration, kind: string, available: Available): Configuration | null {
  const used = configuration.used.get(kind) ?? 0;
  return used < (available.get(kind) ?? 0) ? { ...configuration, used: new Map([...configuration.used, [kind, used + 1]]) } : null;
}

const kindOf = ({ asks }: LockOperation): string => (asks.kind === "read" ? "read" : `${asks.kind} ${asks.batch}`);

const stateOf = ({ holder, done }: Configuration, numbers: ReadonlyMap<LockOperation, number>): string =>
  `${holder ?? ""}|${[...done]
    .map((operation) => numbers.get(operation) ?? -1)
    .sort((a, b) => a - b)
    .join()}`;

const keyOf = (configuration: Configuration, numbers: ReadonlyMap<LockOperation, number>): string =>
  `${stateOf(configuration, numbers)}|${[...configuration.used]
    .map(([kind, count]) => `${kind}=${count}`)
    .sort()
    .join()}`;

/** Of configurations that differ only in what never had an answer, those that needed more than another are not needed. */
function leastUsed(all: readonly Configuration[], numbers: ReadonlyMap<LockOperation, number>): readonly Configuration[] {
  if (all.length < 2) return all;
  const groups = new Map<string, Configuration[]>();
  for (const configuration of all) {
    const key = stateOf(configuration, numbers);
    const group = groups.get(key) ?? [];
    if (group.some((other) => uses(configuration, other))) continue;
    groups.set(key, [...group.filter((other) => !uses(other, configuration)), configuration]);
  }
  return [...groups.values()].flat();
}

/** Whether one has used at least what the other has. */
const uses = (one: Configuration, other: Configuration): boolean => [...other.used].every(([kind, count]) => (one.used.get(kind) ?? 0) >= count);
