import type { Changed, Decision } from "../replay/candidate.ts";
import type { Difference } from "../replay/difference.ts";
import type { Replayed } from "../replay/run.ts";
import type { Paint } from "./terminal.ts";

/** What a replay came to, for people. */
export function tellReplay(replayed: Replayed, paint: Paint): readonly string[] {
  const { site, position, logBegins, beforeLog, entries, signals, acts, verdicts, facts, outcomes, differences, different, changed, stopped } = replayed;
  const all = different === 0;
  return [
    `${site}: ${paint(all ? "green" : "red", all ? "everything comes out as it is recorded" : `${different} ${different === 1 ? "difference" : "differences"}`)}.`,
    `  ${signals} signals of ${position} positions: ${verdicts} verdicts, ${facts} facts, ${outcomes} outcomes; ${acts} acts.`,
    `  ${entries} positions from ${logBegins} on, byte for byte with their audit entries.`,
    ...(beforeLog > 0 ? [`  ${beforeLog} positions from before the log began have no entry; they were decided again and compared with nothing.`] : []),
    ...differences.flatMap((difference) => tellDifference(difference, paint)),
    ...(different > differences.length ? [`  … and ${different - differences.length} more.`] : []),
    ...(all ? [] : ["  What follows the first difference may differ because of it."]),
    ...(changed === null ? [] : tellChanged(changed, paint)),
    ...(stopped === null ? [] : [paint("red", `  It could not go on ${stopped}.`)]),
  ];
}

function tellChanged(changed: readonly Changed[], paint: Paint): readonly string[] {
  const n = changed.length;
  return [
    n === 0
      ? "  Under the candidate every decision would be the same."
      : paint("yellow", `  Under the candidate ${n} ${n === 1 ? "decision" : "decisions"} would be another:`),
    ...changed.map(({ position, event, command, round, batch, step, recorded, candidate }) => {
      const what = event === null ? command : `${event.id} of ${event.source}${round === null || round === 1 ? "" : `, round ${round}`}`;
      const where = batch === null ? "" : `, batch ${batch}${step === null ? "" : `, step ${step}`}`;
      return `  position ${position}: ${what}${where}: ${decisionInWords(recorded)}; it would be ${decisionInWords(candidate)}`;
    }),
  ];
}

const decisionInWords = (decision: Decision | null): string =>
  decision === null
    ? "undecided"
    : [decision.status.replaceAll("_", " "), decision.code, decision.facts.length === 0 ? null : `(${decision.facts.join(", ")})`]
        .filter((part) => part !== null)
        .join(" ");

function tellDifference({ position, what, path, stored, again }: Difference, paint: Paint): readonly string[] {
  const where = position === null ? "" : `position ${position}: `;
  return [`  ${where}${paint("bold", path === undefined ? what : `${what} ${path}`)}`, `    recorded ${inShort(stored)}`, `    again    ${inShort(again)}`];
}

const inShort = (value: unknown): string => {
  const text = JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? inner.toString() : inner)) ?? "nothing";
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
};
