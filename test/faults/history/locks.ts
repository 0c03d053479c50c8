// Whether each equipment worked for one batch at a time.
import type { LockOperation } from "./history.ts";
import { notLinearizable } from "./linearizable.ts";
import { type Observed, put, type Tell } from "./observed.ts";
import { numberIn, objectsIn, textIn, textsIn } from "./read-data.ts";

/**
 * What callers saw of the lock of each equipment is linearizable; by the outcomes, in the order of positions, no step starts on equipment with which a step of another
 * batch works; and the windows in the batch records do not overlap, and follow the tokens.
 */
export function locks(seen: Observed, tell: Tell): void {
  const byEquipment = new Map<string, LockOperation[]>();
  for (const operation of seen.history.locks) put(byEquipment, operation.equipment, operation);
  for (const [equipment, operations] of byEquipment) {
    const wrong = notLinearizable(operations);
    if (wrong !== null) tell("locks", `No order of the operations on ${equipment} explains that ${inWords(wrong)}.`, wrong.ended);
  }
  engagements(seen, tell);
  windows(seen, tell);
}

function inWords({ asks, answer }: LockOperation): string {
  if (asks.kind === "read") return `a read found it held by ${answer !== null && "holder" in answer ? (answer.holder ?? "nobody") : "nobody"}`;
  const done = answer !== null && "done" in answer && answer.done;
  return `${asks.batch} was ${done ? "" : "not "}let ${asks.kind} it`;
}

const ENDS: ReadonlySet<string> = new Set(["step.completed", "step.skipped", "step.stopped", "step.aborted", "step.superseded"]);

function engagements({ outcomes }: Observed, tell: Tell): void {
  const works = new Map<string, Map<string, string>>();
  for (const { type, stream, body } of outcomes) {
    if (type !== "step.started" && !ENDS.has(type)) continue;
    const step = `${stream} ${textIn(body.data, "step")} ${numberIn(body.data, "attempt") ?? 1}`;
    for (const equipment of textsIn(body.data, "equipment")) {
      const engaged = works.get(equipment) ?? new Map<string, string>();
      works.set(equipment, engaged);
      if (type !== "step.started") {
        engaged.delete(step);
        continue;
      }
      for (const [other, otherStream] of engaged)
        if (otherStream !== stream) tell("locks", `${body.id} of ${stream} starts a step on ${equipment}, which still works in ${other}.`);
      engaged.set(step, stream);
    }
  }
}

interface Window {
  readonly equipment: string;
  readonly batch: string;
  readonly token: number;
  readonly since: string;
  readonly freedAt: string | null;
}

/** A lock's token is above every token that the equipment had before: so are its times, on the database's clock. */
function windows({ history }: Observed, tell: Tell): void {
  const byEquipment = new Map<string, Window[]>();
  for (const record of history.end?.batches ?? [])
    for (const lock of objectsIn(record, "locks").flatMap((data) => windowOf(data) ?? [])) put(byEquipment, lock.equipment, lock);
  for (const [equipment, all] of byEquipment) {
    all.sort((a, b) => a.token - b.token);
    for (let n = 1; n < all.length; n += 1) {
      const [before, after] = [all[n - 1], all[n]];
      if (before === undefined || after === undefined) continue;
      if (before.token === after.token) tell("locks", `${equipment} gave token ${after.token} twice, to ${before.batch} and to ${after.batch}.`);
    }
    overlaps(equipment, all, tell);
  }
}

function overlaps(equipment: string, all: readonly Window[], tell: Tell): void {
  // the batch that holds it, until when; "" never ends
  let held: { readonly batch: string; readonly until: string } | null = null;
  for (const { batch, since, freedAt } of all) {
    if (held !== null && held.batch !== batch && (held.until === "" || held.until > since))
      tell("locks", `${equipment} is held by ${batch} since ${since}, and by ${held.batch} until ${held.until === "" ? "now" : held.until}.`);
    const until = freedAt ?? "";
    const longer: boolean = held === null || held.batch !== batch || until === "" || (held.until !== "" && until > held.until);
    if (longer) held = { batch, until };
  }
}

function windowOf(data: Readonly<Record<string, unknown>>): Window | null {
  const [equipment, batch, since] = [textIn(data, "equipment"), textIn(data, "batch"), textIn(data, "since")];
  const token = numberIn(data, "token");
  return equipment === null || batch === null || since === null || token === null ? null : { equipment, batch, token, since, freedAt: textIn(data, "freedAt") };
}
