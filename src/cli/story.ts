import type { Paint } from "./terminal.ts";
import type { VerdictData } from "./verdict-data.ts";
import { paintStatus, printable, shortType, sourceName } from "./verdict-line.ts";

const NEXT: Readonly<Record<string, string>> = {
  none: "Nothing.",
  wait: "Wait: the service goes on by itself.",
  resend: "Send the same event again, later.",
  correct: "Send a new event, with a new id and the next number.",
  ask: "Ask the person who owns this: it is decided by hand.",
};

export interface Told {
  readonly verdict: VerdictData;
  readonly time: string | null;
}

/** The story of an event: each round with the state it met, guard by guard, and in the end what to do next. `outcomes` are the published types that came of it. */
export function story(rounds: readonly Told[], outcomes: readonly string[], paint: Paint): string[] {
  const ordered = [...rounds].sort((a, b) => a.verdict.round - b.verdict.round);
  const first = ordered[0]?.verdict;
  const last = ordered.at(-1)?.verdict;
  if (first === undefined || last === undefined) return [];
  const { event, context } = last;
  const number = event.sequence == null ? "" : `, number ${event.sequence} of epoch ${event.epoch ?? "?"}`;
  const lines = [paint("bold", printable(`${shortType(event.type)} ${event.id ?? "(no id)"} from ${sourceName(event.source)}${number}`))];
  if (context?.batch != null) {
    const step = context.step == null ? "" : `, step ${context.step}${context.attempt == null ? "" : `, attempt ${context.attempt}`}`;
    lines.push(printable(`About batch ${context.batch}${step} (${context.from === "lock" ? "taken from the open engagement" : "as the event claims"}).`));
  }
  for (const { verdict, time } of ordered) lines.push("", ...roundOf(verdict, time, paint));
  lines.push("");
  if (outcomes.length > 0) lines.push(`Published: ${outcomes.map(shortType).join(", ")}.`);
  lines.push(`${last.final ? "This is final." : "This is still open."} ${paint("bold", "Next:")} ${NEXT[last.next ?? "none"] ?? last.next}`);
  if (last.remedy != null && last.remedy !== "") lines.push(printable(last.remedy));
  return lines;
}

function roundOf(verdict: VerdictData, time: string | null, paint: Paint): string[] {
  const at = [time, `position ${verdict.position}`, verdict.verdict].filter((part) => part !== null).join(", ");
  const lines = [`Round ${verdict.round}: ${paintStatus(paint, verdict.status)}${verdict.code == null ? "" : ` ${verdict.code}`}  ${paint("dim", `(${at})`)}`];
  if (verdict.reason != null && verdict.reason !== "") lines.push(`  ${printable(verdict.reason)}`);
  if (verdict.first != null)
    lines.push(`  First seen as ${verdict.first.verdict}: ${verdict.first.status ?? "?"}${verdict.first.code == null ? "" : ` ${verdict.first.code}`}.`);
  if (verdict.ahead === true) lines.push("  It acted ahead of its turn, since it restricts.");
  if ((verdict.flags ?? []).length > 0) lines.push(`  Marked: ${(verdict.flags ?? []).join(", ")}.`);
  const { explanation } = verdict;
  if (explanation?.state != null) lines.push(`  State met: ${explanation.state}${explanation.stateMachine == null ? "" : ` (${explanation.stateMachine})`}.`);
  if ((explanation?.permitted ?? []).length > 0) lines.push(`  Permitted there: ${(explanation?.permitted ?? []).map(shortType).join(", ")}.`);
  for (const guard of explanation?.guards ?? []) {
    const values = guard.ok
      ? ""
      : `: expected ${printable(guard.expected ?? "?")}, was ${printable(guard.actual ?? "?")}${guard.code == null ? "" : ` (${guard.code}${guard.notYet === true ? ", not yet" : ""})`}`;
    lines.push(`  ${guard.ok ? paint("green", "✓") : paint("red", "✗")} ${guard.guard}${values}`);
  }
  return lines;
}
