// What a run comes to, as a table for people.
import { INVARIANTS } from "../history/history.ts";
import type { RunResult } from "./run.ts";

export function report(seed: number, results: readonly RunResult[]): string {
  const lines: string[] = [];
  const total = (of: (result: RunResult) => number): number => results.reduce((sum, result) => sum + of(result), 0);
  const hits = new Map<string, { hit: number; missed: number }>();
  for (const { name, hit } of results.flatMap((result) => result.injected)) {
    const count = hits.get(name) ?? { hit: 0, missed: 0 };
    hits.set(name, hit ? { ...count, hit: count.hit + 1 } : { ...count, missed: count.missed + 1 });
  }
  lines.push("", "faults injected");
  for (const [name, { hit, missed }] of [...hits].sort(([a], [b]) => a.localeCompare(b)))
    lines.push(`  ${String(hit).padStart(4)}  ${name}${missed === 0 ? "" : ` (${missed} more found nothing to hit)`}`);
  for (const why of new Set(results.flatMap(({ notRun }) => notRun))) lines.push(`     -  not run: ${why}`);
  const findings = results.flatMap((result) => result.findings);
  const found = (invariant: keyof typeof INVARIANTS): number => findings.filter((finding) => finding.invariant === invariant).length;
  const row = (name: string, value: string | number): void => void lines.push(`  ${name.padEnd(32)} ${value}`);
  lines.push("", `seed ${seed}`);
  row(
    "faults injected",
    total(({ injected }) => injected.filter(({ hit }) => hit).length),
  );
  row("kinds of faults", [...hits.values()].filter(({ hit }) => hit > 0).length);
  row(
    "processes started",
    total(({ processes }) => processes),
  );
  row(
    "events sent",
    total(({ sent }) => sent),
  );
  row(
    "verdicts",
    total(({ verdicts }) => verdicts),
  );
  row(
    "outcomes",
    total(({ outcomes }) => outcomes),
  );
  row(
    "reads checked",
    total(({ reads }) => reads),
  );
  row(
    "lock operations",
    total(({ lockOperations }) => lockOperations),
  );
  row(
    "acknowledgements watched",
    total(({ acknowledgements }) => acknowledgements),
  );
  row("lost", found("lost"));
  row("doubled", found("doubled"));
  row("misordered", found("misordered"));
  row("acknowledged before durable", found("early_ack"));
  for (const invariant of Object.keys(INVARIANTS)) {
    if (!isInvariant(invariant) || ["lost", "doubled", "misordered", "early_ack"].includes(invariant)) continue;
    row(invariant, found(invariant));
  }
  const seconds = results.flatMap(({ takeOverSeconds }) => takeOverSeconds).sort((a, b) => a - b);
  row("take-overs", seconds.length);
  if (seconds.length > 0) row("take-over seconds", `median ${seconds[Math.floor(seconds.length / 2)]?.toFixed(1)}, longest ${seconds.at(-1)?.toFixed(1)}`);
  row("settled after", results.map(({ kind, settledSeconds }) => `${kind} ${settledSeconds.toFixed(0)} s`).join(", "));
  for (const { invariant, what, at } of findings.slice(0, 40)) lines.push(`FOUND ${invariant}: ${what}${at === null ? "" : ` (at ${at.toFixed(0)} ms)`}`);
  if (findings.length > 40) lines.push(`and ${findings.length - 40} more findings`);
  return lines.join("\n");
}

const isInvariant = (name: string): name is keyof typeof INVARIANTS => name in INVARIANTS;
