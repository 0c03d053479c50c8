import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { documentOf } from "../../../src/commit/settlement.ts";
import type { Settlement } from "../../../src/decide/settle.ts";
import { DAYS } from "../../support/days.ts";
import { type Act, Line } from "../../support/given.ts";
import { createModel } from "../../support/model.ts";

// Promise: what was once decided is decided the same way for good, to the last field of the last row (promise 9: replaying the record reproduces every verdict).
// Attack: days on a line were judged once and what each commit wrote was kept in test/data/days; they are judged again and compared word by word. A change that means to
// change what goes on record records them anew (RECORD_DAYS=1) and shows in its diff what a reader of the record will meet; published decisions it must not change.

const days = join(import.meta.dirname, "../../data/days");

/** What one settlement comes to, in JSON: what is committed, what is answered, what goes on. */
function told(settlement: Settlement): unknown {
  const { positions, document, raws, correlations } = documentOf(settlement, 600);
  const { answers, touchedBatches, touchedSources, followUps } = settlement;
  return JSON.parse(
    JSON.stringify(
      {
        positions,
        ...JSON.parse(document),
        bytes: raws.map((raw) => raw?.byteLength ?? null),
        ...(correlations.some((c) => c !== null) ? { correlations: correlations.map((c) => c?.toString("utf8") ?? null) } : {}),
        answers: [...answers.values()],
        mirrors: [...touchedSources, ...touchedBatches],
        followUps,
      },
      (_, value) => (typeof value === "bigint" ? value.toString() : value),
    ),
  );
}

function lived(acts: readonly (Act | number | readonly Act[])[], plant: (typeof DAYS)[number]["plant"]): readonly unknown[] {
  const line = new Line(createModel(plant));
  const commits: unknown[] = [];
  const { model } = line;
  const judge = model.judge.bind(model);
  model.judge = (signals) => {
    const settlement = judge(signals);
    commits.push(told(settlement));
    return settlement;
  };
  for (const act of acts) {
    if (typeof act === "number") line.after(act);
    else if (typeof act === "function") line.when(act);
    else line.together(...act);
  }
  return commits;
}

describe("a recorded day", () => {
  for (const { name, plant, acts } of DAYS) {
    test(`${name} is judged again as it was`, () => {
      const file = join(days, `${name}.jsonl`);
      const commits = lived(acts, plant);
      if (process.env["RECORD_DAYS"] === "1") writeFileSync(file, `${commits.map((commit) => JSON.stringify(commit)).join("\n")}\n`);
      const kept: readonly unknown[] = readFileSync(file, "utf8")
        .trimEnd()
        .split("\n")
        .map((text) => JSON.parse(text));
      for (const [n, commit] of commits.entries()) expect(commit, `commit ${n + 1}`).toEqual(kept[n]);
      expect(commits.length).toBe(kept.length);
    });
  }
});
