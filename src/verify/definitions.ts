import { hash } from "node:crypto";
import { canonicalJson } from "../registry/canonical.ts";
import type { ByActs } from "./by-acts.ts";
import type { Finding } from "./finding.ts";
import type { DefinitionApprovalRow, DefinitionRow } from "./record.ts";

const TABLES = {
  recipes: { named: "recipe", key: "recipe" },
  state_machines: { named: "state machine", key: "name" },
} as const;

/** Published revisions against the acts that published them, and those that are shipped against this version of Signalbox: each has the content of its hash, and the hash under which it was published. */
export function compareDefinitions(
  site: string,
  rows: readonly DefinitionRow[],
  { published, began }: Pick<ByActs, "published" | "began">,
  shipped: ReadonlyMap<string, string>,
): { readonly findings: readonly Finding[]; readonly untold: readonly string[] } {
  const findings: Finding[] = [];
  const untold: string[] = [];
  const there = new Set<string>();
  for (const row of rows) {
    const { table, name, revision, registered, content } = row;
    const { named, key } = TABLES[table];
    const object = `${named} ${name}@${revision}`;
    there.add(object);
    const act = published.get(object);
    const told = act?.hash ?? (table === "state_machines" ? shipped.get(`${name}@${revision}`) : undefined);
    const is = sha256(content);
    const of = { position: act?.position ?? null, table, key: { site, [key]: name, revision } };
    const said: Readonly<Record<string, unknown>> = Object(content);
    const altered = (column: string | null, stored: unknown, expected: unknown, detail: string): void => {
      findings.push({ ...of, severity: "altered", column, stored: String(stored), expected: expected === null ? null : String(expected), detail });
    };
    if (said[key] !== name || said["revision"] !== revision)
      altered(
        said[key] === name ? "revision" : key,
        `${name}@${revision}`,
        `${said[key]}@${said["revision"]}`,
        `A ${named} stands under another name than its content has.`,
      );
    else if (told !== undefined && row.hash !== told) altered("hash", row.hash, told, `${object} is not the one that was registered.`);
    else if (is !== row.hash)
      altered(
        told === undefined ? "hash" : "content",
        told === undefined ? row.hash : is,
        told === undefined ? is : row.hash,
        `The content of ${object} is not that of its hash.`,
      );
    else if (act !== undefined && row.proposedBy !== act.proposedBy)
      altered("proposed_by", row.proposedBy, act.proposedBy, `${object} was proposed by ${act.proposedBy ?? "nobody in particular"}.`);
    else if (told === undefined && began !== null && registered > began)
      altered(null, "a row", null, `${object} was registered after the log began, and no entry tells of it.`);
    else if (told === undefined) untold.push(object);
  }
  for (const [object, { position }] of published)
    if (!there.has(object)) {
      const table = object.startsWith("recipe ") ? "recipes" : "state_machines";
      const detail = `${object} was registered, and is gone.`;
      findings.push({ severity: "incomplete", position, table, key: { site, object }, column: null, stored: null, expected: "a row", detail });
    }
  return { findings, untold };
}

const APPROVALS = {
  recipe_approvals: { named: "recipe", key: "recipe" },
  state_machine_approvals: { named: "state machine", key: "name" },
} as const;

/** Approvals of published revisions against the acts by which they were given. */
export function compareApprovals(
  site: string,
  rows: readonly DefinitionApprovalRow[],
  { approved, began }: Pick<ByActs, "approved" | "began">,
): { readonly findings: readonly Finding[]; readonly untold: readonly string[] } {
  const findings: Finding[] = [];
  const untold: string[] = [];
  const there = new Set<string>();
  for (const row of rows) {
    const { table, name, revision } = row;
    const { named, key } = APPROVALS[table];
    const object = `${named} ${name}@${revision}`;
    there.add(object);
    const act = approved.get(object);
    const of = { severity: "altered", position: act?.position ?? null, table, key: { site, [key]: name, revision } } as const;
    if (act === undefined) {
      if (began === null || row.approved <= began) untold.push(`the approval of ${object}`);
      else findings.push({ ...of, column: null, stored: "a row", expected: null, detail: `${object} is approved, and no entry tells of it.` });
      continue;
    }
    for (const [column, stored, expected] of [
      ["proposed_by", row.proposedBy, act.proposedBy],
      ["approved_by", row.approvedBy, act.by],
      ["signature", canonicalJson(row.signature), canonicalJson(act.signature)],
    ] as const)
      if (stored !== expected)
        findings.push({ ...of, column, stored, expected: String(expected), detail: `The approval of ${object} is not the one that was given.` });
  }
  for (const [object, { position }] of approved)
    if (!there.has(object)) {
      const table = object.startsWith("recipe ") ? "recipe_approvals" : "state_machine_approvals";
      const detail = `${object} was approved, and its approval is gone.`;
      findings.push({ severity: "incomplete", position, table, key: { site, object }, column: null, stored: null, expected: "a row", detail });
    }
  return { findings, untold };
}

const sha256 = (content: unknown): string => hash("sha256", canonicalJson(content), "hex");

/** Of each shipped state machine the hash under which it is published, by name and revision. */
export const hashesOf = (shipped: readonly { readonly name: string; readonly revision: number }[]): ReadonlyMap<string, string> =>
  new Map(shipped.map((machine) => [`${machine.name}@${machine.revision}`, sha256(machine)]));
