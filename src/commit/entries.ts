import type { Settlement } from "../decide/settle.ts";

type Json = Readonly<Record<string, unknown>>;
type Lists = Readonly<Record<string, readonly Json[]>>;

/** What an entry says of its position, in this order: the rows of the settlement's document that stand there, under the names of their lists. */
const SAID = [
  "signals",
  "verdicts",
  "facts",
  "outcomes",
  "evidence",
  "exceptions",
  "exceptions_resolved",
  "quarantine_resolved",
  "conflicts",
  "skipped",
  "performances",
  "exceptions_disposed",
] as const;

/** The settlement's part of an audit entry (docs/decisions/0009-audit-log.md): its second line. The first is what only the database knows, and is written there. */
export interface Entries {
  /** One for each position of the group, in order. */
  readonly bodies: readonly Json[];
  /** Whose record an entry changes: the batch of what was decided, brought about, or asked. */
  readonly batches: readonly { readonly ref: number; readonly batch: string }[];
}

export function entriesOf(settlement: Settlement, lists: Lists): Entries {
  const bodies = Array.from({ length: settlement.positions }, (): Record<string, Json[]> => ({}));
  const batches = Array.from({ length: settlement.positions }, () => new Set<string>());
  const say = (list: string, row: Json): void => {
    const at = -Number(row["ref"]) - 1;
    const body = bodies[at];
    if (body === undefined) throw new Error(`a row of ${list} stands at ${row["ref"]}, outside its group`);
    const said = body[list];
    if (said === undefined) body[list] = [row];
    else said.push(row);
    const { batch } = row["body"] == null ? row : Object(row["body"]);
    if (typeof batch === "string") batches[at]?.add(batch);
  };
  for (const list of SAID) for (const row of lists[list] ?? []) say(list, row);
  for (const { ref, answer } of settlement.answers.values()) if (answer.kind !== "answered before") say("answers", { ref, answer });
  return { bodies, batches: batches.flatMap((names, at) => [...names].map((batch) => ({ ref: -at - 1, batch }))) };
}
