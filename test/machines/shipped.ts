import { readFileSync } from "node:fs";
import { z } from "zod";
import { compile, type Guard, type StateMachine, stateMachineSchema } from "../../src/decide/state-machine.ts";

// The state machines as they are shipped, their transition tables, and guards whose answers a test chooses.

export const SHIPPED = ["batch/governed", "step/governed", "procedure/isa88", "equipment/packml"] as const;
export type Shipped = (typeof SHIPPED)[number];

const row = z.union([
  z.strictObject({ state: z.string(), event: z.string(), guards: z.array(z.string()), to: z.string() }),
  z.strictObject({ state: z.string(), event: z.string(), refused: z.enum(["STA_INVALID_TRANSITION", "STA_TERMINAL"]) }),
]);
export type Row = z.infer<typeof row>;
const table = z.strictObject({ name: z.string(), revision: z.int(), regions: z.record(z.string(), z.array(row)) });

const read = (path: string): unknown => JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));

/** A machine of one region has the region "". */
export const definitionOf = (name: string) => stateMachineSchema.parse(read(`../../state-machines/${name}.v1.json`));
export const tableOf = (name: string) => table.parse(read(`../../state-machines/${name}.v1.table.json`));
export const published = () =>
  z
    .record(
      z.string(),
      z.strictObject({ file: z.string(), sha256: z.string(), tableSha256: z.string(), guards: z.array(z.string()), guardsSha256: z.string() }),
    )
    .parse(read("../../state-machines/published.json"));
export const oracle = (file: "isa88-procedural" | "packml") =>
  z
    .object({
      commandTransitions: z.array(z.object({ from: z.string(), command: z.string(), accept: z.boolean(), to: z.string() })),
      completionTransitions: z.array(z.object({ from: z.string(), to: z.string() })),
    })
    .parse(read(`../data/state-models/${file}.json`));

/** Which guards fail, and whether only for now. */
export interface Answers {
  readonly failing: ReadonlyMap<string, "never" | "not yet">;
}
export const allHold: Answers = { failing: new Map() };
export const failing = (...names: readonly string[]): Answers => ({ failing: new Map(names.map((name) => [name, "never"])) });
export const waiting = (...names: readonly string[]): Answers => ({ failing: new Map(names.map((name) => [name, "not yet"])) });

/** The code with which a chosen guard fails: its own name, so that a test sees which one spoke. */
export const codeOf = (guard: string): string => `CODE ${guard}`;

export function guardsNamed(names: Iterable<string>): ReadonlyMap<string, Guard<Answers>> {
  return new Map(
    [...names].map((name): [string, Guard<Answers>] => [
      name,
      ({ failing: fails }) => {
        const how = fails.get(name);
        return how === undefined
          ? { ok: true }
          : { ok: false, code: codeOf(name), notYet: how === "not yet", expected: `${name} holds`, actual: "it does not" };
      },
    ]),
  );
}

/** Every guard that a definition names, found in its text: all versioned names. */
export function guardsIn(content: unknown): readonly string[] {
  const found = new Set<string>();
  JSON.stringify(content, (_, value: unknown) => {
    if (typeof value === "string" && /@\d+$/.test(value) && value !== "all@1") found.add(value);
    return value;
  });
  return [...found].sort();
}

export const compiledFlat = (name: Exclude<Shipped, "batch/governed">): StateMachine<string, Answers> => {
  const definition = definitionOf(name);
  return compile<string, Answers>(definition, guardsNamed(guardsIn(definition.machine)));
};

export const compiledBatch = (): StateMachine<{ execution: string; disposition: string }, Answers> => {
  const definition = definitionOf("batch/governed");
  return compile<{ execution: string; disposition: string }, Answers>(definition, guardsNamed(guardsIn(definition.machine)));
};

/** The rows of a pair, in the order in which they are tried. */
export const rowsFor = (rows: readonly Row[], state: string, event: string): readonly Row[] =>
  rows.filter((each) => each.state === state && each.event === event);

/** What a table says about a pair under these answers: where it leads, which guard refuses (of the row that came closest), or why the pair is refused. */
export function expected(rows: readonly Row[], state: string, event: string, { failing: fails }: Answers): { readonly to: string } | { readonly code: string } {
  const candidates = rowsFor(rows, state, event);
  const first = candidates[0];
  if (first === undefined) throw new Error(`the table has no row for ${state} x ${event}`);
  if ("refused" in first) return { code: first.refused };
  let closest: readonly string[] | null = null;
  for (const candidate of candidates) {
    if ("refused" in candidate) throw new Error(`${state} x ${event} both leads somewhere and is refused`);
    const failed = candidate.guards.filter((guard) => fails.has(guard));
    if (failed.length === 0) return { to: candidate.to };
    if (closest === null || failed.length < closest.length) closest = failed;
  }
  return { code: codeOf(closest?.[0] ?? "") };
}
