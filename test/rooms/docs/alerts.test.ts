// Every alert and every panel rests on metrics, labels and codes that exist; every alert has an owner, an urgency and a runbook that is there.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { CODES } from "../../../src/decide/verdict.ts";
import { METRIC_ROWS } from "../../../src/ops/metric-table.ts";

const root = resolve(import.meta.dirname, "../../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** What is wrong with a PromQL expression, as far as names go. */
function faults(expression: string): string[] {
  const found: string[] = [];
  const used = [...expression.matchAll(/\b(signalbox_[a-z_]+)(?:\{([^}]*)\})?/g)];
  if (used.length === 0) found.push("names no metric");
  const labels = new Set<string>();
  for (const [, name = "", matchers = ""] of used) {
    const base = METRIC_ROWS.has(name) ? name : name.replace(/_(bucket|sum|count)$/, "");
    const row = METRIC_ROWS.get(base);
    if (row === undefined || (base !== name) !== (row.kind === "histogram")) {
      found.push(`no metric ${name}`);
      continue;
    }
    for (const label of Object.keys(row.labels)) labels.add(label);
    if (row.kind === "histogram") labels.add("le");
    for (const [, label = "", operator = "", wanted = ""] of matchers.matchAll(/([a-z_]+)(=~|!~|!=|=)"([^"]*)"/g)) {
      const set = row.labels[label];
      if (set === undefined) found.push(`${name} has no label ${label}`);
      else if (set !== "site" && set !== "version") {
        const values = set === "code" ? [...Object.keys(CODES), "none"] : set;
        const alternatives = operator.endsWith("~") ? wanted.split("|") : [wanted];
        for (const one of alternatives) if (!values.some((value) => new RegExp(`^(?:${one})$`).test(value))) found.push(`${name} never has ${label} ${one}`);
      }
    }
  }
  for (const [, list = ""] of expression.matchAll(/\bby \(([^)]*)\)/g)) {
    for (const label of list.split(",").map((part) => part.trim())) if (!labels.has(label)) found.push(`no label ${label} to group by`);
  }
  return found;
}

test.each([
  ["signalbox_gaps_closed > 0", "no metric signalbox_gaps_closed"],
  ["up == 0", "names no metric"],
  ["rate(signalbox_commit_duration_seconds[5m])", "no metric signalbox_commit_duration_seconds"],
  ["signalbox_gaps_open_sum > 0", "no metric signalbox_gaps_open_sum"],
  [`signalbox_gaps_open{batch="B-1042"} > 0`, "signalbox_gaps_open has no label batch"],
  [`signalbox_verdicts_total{code=~"ENV_.*|NO_SUCH"} > 0`, "signalbox_verdicts_total never has code NO_SUCH"],
  ["sum by (device) (signalbox_gaps_open)", "no label device to group by"],
])("the lint refuses %s", (expression, fault) => {
  expect(faults(expression)).toContain(fault);
});

const lines = read("docs/alerts.yml").split("\n");
const rules = lines
  .flatMap((line, at) => (line.startsWith("      - alert: ") ? [at] : []))
  .map((at, i, all) => {
    const block = lines.slice(at, all[i + 1] ?? lines.length).join("\n");
    const field = (name: string): string => new RegExp(`\\b${name}: ([^\\n,}]+)`).exec(block)?.[1]?.trim() ?? "";
    return {
      name: field("alert"),
      expression: /\n {8}expr: (.*)/.exec(block)?.[1] ?? "",
      severity: field("severity"),
      owner: field("owner"),
      runbook: field("runbook_url"),
      summary: field("summary"),
    };
  });

/** The anchor of a heading, as pages are shown. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^a-z0-9 -]/g, "")
    .replaceAll(" ", "-");

const runbooks = new Map<string, string>();
for (const section of read("docs/operations.md")
  .split(/^###? /m)
  .slice(1))
  runbooks.set(anchor(section.split("\n")[0] ?? ""), section);

describe.each(rules)("the alert $name", ({ name, expression, severity, owner, runbook, summary }) => {
  test("rests on metrics, labels and codes that exist", () => {
    expect(faults(expression)).toEqual([]);
  });
  test("has an owner, an urgency and a summary", () => {
    expect(["operations", "broker", "integrator", "quality"]).toContain(owner);
    expect(["page", "ticket"]).toContain(severity);
    expect(summary).not.toBe("");
  });
  test("has a runbook that names it", () => {
    expect(runbook).toMatch(/^docs\/operations\.md#[a-z0-9-]+$/);
    expect(runbooks.get(runbook.replace(/^.*#/, "")) ?? "no such section").toContain(`\`${name}\``);
  });
});

test("all rules are read, each once, and every runbook belongs to one", () => {
  expect(rules.length).toBe((read("docs/alerts.yml").match(/^\s*- alert:/gm) ?? []).length);
  expect(new Set(rules.map(({ name }) => name)).size).toBe(rules.length);
  expect(rules.length).toBeGreaterThan(15);
  const named = [...read("docs/operations.md").matchAll(/`(Signalbox[A-Z][A-Za-z]+)`/g)].map((found) => found[1]);
  expect(named.filter((name) => !rules.some((rule) => rule.name === name))).toEqual([]);
});

const dashboard = z
  .object({ panels: z.array(z.object({ title: z.string(), type: z.string(), targets: z.array(z.object({ expr: z.string() })).default([]) })) })
  .parse(JSON.parse(read("deploy/grafana/signalbox.json")));

test.each(dashboard.panels.filter(({ type }) => type !== "row"))("the panel $title rests on metrics, labels and codes that exist", ({ targets }) => {
  expect(targets.length).toBeGreaterThan(0);
  for (const { expr } of targets) expect(faults(expr), expr).toEqual([]);
});

test("the dashboard shows every metric", () => {
  const shown = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join("\n");
  expect([...METRIC_ROWS.keys()].filter((name) => !shown.includes(name))).toEqual([]);
});
