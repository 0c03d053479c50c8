import { escaped, factTable, PAGE_END, pageHead } from "../bundle/record-html.ts";
import type { BatchRecord, CommandOnRecord, Move, Performer, RecordedException, Refusal, StepAttempt } from "./batch-record-schema.ts";

// The batch record as a page to be read and printed, step by step. Everything is on the page itself; all text of devices and people is escaped.

type Cell = string | number | null;

/** A table with its head on every printed page; where there is no line, a word instead. */
function table(heads: readonly string[], rows: readonly { readonly kind?: string; readonly cells: readonly Cell[] }[], none: string): string {
  if (rows.length === 0) return `<p>${escaped(none)}</p>\n`;
  const lines = rows.map(
    ({ kind = "", cells }) =>
      `<tr class="${escaped(kind)}">${cells.map((cell) => `<td>${escaped(String(cell ?? "")).replaceAll("\n", "<br>")}</td>`).join("")}</tr>`,
  );
  return `<table>
<thead><tr>${heads.map((head) => `<th>${escaped(head)}</th>`).join("")}</tr></thead>
<tbody>
${lines.join("\n")}
</tbody>
</table>
`;
}

function by(performer: Performer | null): string {
  if (performer === null) return "not known";
  const { kind, name, what, event, performedBy } = performer;
  const told = `${name} (${kind}): ${what}${event === null ? "" : `, event ${event}`}`;
  if (kind !== "device") return told;
  return `${told}; ${performedBy === null ? "unattributed" : `performed by person:${performedBy.person} at station ${performedBy.station}`}`;
}
const unit = (value: string | null, name: string | null): string => (value === null ? "" : name === null ? value : `${value} ${name}`);

const verdictOn = ({ within, supersededBy }: StepAttempt["evidence"][number]): string =>
  `${within === null ? "no limits" : within ? "within" : "OUTSIDE"}${supersededBy === null ? "" : `; corrected at ${supersededBy}`}`;

const movesTable = (moves: readonly Move[]): string =>
  table(
    ["Position", "From", "To", "At (UTC)", "On record (UTC)", "By", "Comment"],
    moves.map(({ position, from, to, at, recordedAt, by: who, comment }) => ({ cells: [position, from, to, at, recordedAt, by(who), comment] })),
    "Nothing moved it.",
  );

const exceptionsTable = (exceptions: readonly RecordedException[]): string =>
  table(
    ["Id", "Opened (UTC)", "Code", "What", "Resolved"],
    exceptions.map(({ id, openedAt, code, sentence, resolution, disposition, linked }) => ({
      kind: resolution === null ? "quarantined" : "",
      cells: [
        id,
        openedAt,
        code,
        sentence,
        resolution === null
          ? "OPEN"
          : `${disposition === null ? "" : `${disposition}, under ${linked}: `}${resolution.at}, position ${resolution.position}, ${by(resolution.by)}${resolution.comment === null ? "" : `: ${resolution.comment}`}`,
      ],
    })),
    "No exceptions.",
  );

const refusalsTable = (refusals: readonly Refusal[]): string =>
  table(
    ["Position", "On record (UTC)", "By", "Result", "Code", "Why, and what next", "Became"],
    refusals.map(({ position, recordedAt, by: who, status, code, sentence, became }) => ({
      kind: status,
      cells: [
        position,
        recordedAt,
        by(who),
        status,
        code,
        sentence,
        became === null
          ? ""
          : `${became.status}${became.code === null ? "" : `: ${became.code}`} at ${became.position}, ${by(became.by)}${became.comment === null ? "" : `: ${became.comment}`}`,
      ],
    })),
    "Nothing was refused.",
  );

function stepSection(step: StepAttempt): string {
  const title = `Step ${step.step}${step.title === null ? "" : `: ${step.title}`}, attempt ${step.attempt}`;
  return `<section>
<h2>${escaped(title)}</h2>
${factTable([
  ["State", step.state],
  ["Started (UTC)", step.startedAt ?? "not started"],
  ["Ended (UTC)", step.endedAt ?? "not ended"],
])}<h3>Equipment</h3>
${table(
  ["Role", "Class", "Equipment", "Engaged from (UTC)", "to (UTC)"],
  step.equipment.map(({ role, class: name, equipment, from, to }) => ({ cells: [role, name, equipment, from, to] })),
  "It needs none.",
)}<h3>Evidence</h3>
${table(
  ["Asked for", "Kind", "Count", "On record", "Lower limit", "Upper limit"],
  step.needs.map(({ evidence, kind, count, recorded, optional, unit: name, low, high }) => ({
    kind: recorded < count && !optional ? "quarantined" : "",
    cells: [evidence, kind, optional ? `${count}, optional` : count, recorded, unit(low, name), unit(high, name)],
  })),
  "The recipe asks for none.",
)}${table(
  ["Position", "Evidence", "Value", "Unit", "Lower limit", "Upper limit", "Verdict", "Deviation", "At (UTC)", "On record (UTC)", "By", "Comment"],
  step.evidence.map((item) => ({
    kind: item.within === false && item.supersededBy === null ? "rejected" : "",
    cells: [
      item.position,
      item.evidence,
      item.value,
      item.unit,
      item.low,
      item.high,
      verdictOn(item),
      item.deviation,
      item.at,
      item.recordedAt,
      by(item.by),
      item.comment,
    ],
  })),
  "None is on record.",
)}<h3>What moved it</h3>
${movesTable(step.moves)}<h3>Exceptions</h3>
${exceptionsTable(step.exceptions)}<h3>Refused</h3>
${refusalsTable(step.refusals)}<h3>Comments</h3>
${table(
  ["Position", "On record (UTC)", "By", "Comment"],
  step.comments.map(({ position, recordedAt, by: who, comment }) => ({ cells: [position, recordedAt, by(who), comment] })),
  "No comments.",
)}</section>
`;
}

const commandsTable = (commands: readonly CommandOnRecord[]): string =>
  table(
    ["Position", "On record (UTC)", "By", "From", "Step", "Reason", "Comment", "Result"],
    commands.map(({ position, recordedAt, by: who, from, step, reason, comment, result, code, sentence, signed, void: fallen }) => ({
      kind: sentence === null ? "" : "refused",
      cells: [
        position,
        recordedAt,
        by(who),
        from,
        step,
        signed === null ? reason : `${reason ?? ""} Signed: ${signed}${fallen ? " VOID: the record has changed since." : ""}`.trim(),
        comment,
        code === null ? result : `${result}: ${code}`,
      ],
    })),
    "None is in the log.",
  );

export function batchRecordPage(record: BatchRecord): string {
  const { site, asOf, batch, pinned, steps } = record;
  const title = `Batch record: batch ${batch.batch}, site ${site}`;
  const inSteps = new Set(
    steps.flatMap(({ exceptions, refusals }) => [...exceptions.map(({ id }) => id), ...refusals.map(({ position }) => String(position))]),
  );
  const comments = new Set(steps.flatMap((step) => step.comments.map(({ position }) => position)));
  return `${pageHead(title)}<h1>${escaped(title)}</h1>
${factTable([
  ["As of (UTC)", `${asOf.time}, position ${asOf.position}; ${asOf.entries} entries of the audit log change this record; signed up to position ${asOf.signed}`],
  ["Job order", batch.jobOrder],
  ["Product", batch.product],
  ["Quantity", `${batch.quantity.value} ${batch.quantity.unit}`],
  ["Line", batch.line],
  ["Recipe", `${pinned.recipe.name}, SHA-256 ${pinned.recipe.sha256}`],
  ["State machines", `${pinned.batch.name}, SHA-256 ${pinned.batch.sha256}\n${pinned.step.name}, SHA-256 ${pinned.step.sha256}`],
  ...Object.entries(batch.parameters).map(([name, { value, unit: of }]) => [`Parameter ${name}`, `${value} ${of}`] as const),
  ["Execution", batch.execution],
  ["Disposition", batch.disposition],
  ["Created, started, ended, closed (UTC)", [batch.createdAt, batch.startedAt, batch.endedAt, batch.closedAt].map((at) => at ?? "not yet").join(", ")],
  ["Open", `${batch.impediments.exceptions} exceptions, ${batch.impediments.quarantined} quarantined events, ${batch.impediments.deferred} deferred events`],
])}<p>Times are UTC. Positions are those of the site's audit log. Whoever acted over REST before there was an administrator is unattributed.</p>
${steps.map(stepSection).join("")}<section>
<h2>The batch itself</h2>
<h3>What moved it</h3>
${movesTable(record.moves)}<h3>Ordered by people</h3>
${commandsTable(record.commands.filter(({ position }) => !comments.has(position)))}<h3>Exceptions that belong to no step</h3>
${exceptionsTable(record.exceptions.filter(({ id }) => !inSteps.has(id)))}<h3>Refused, and belongs to no step</h3>
${refusalsTable(record.refusals.filter(({ position }) => !inSteps.has(String(position))))}<h3>Quarantined, and still to be decided by a person</h3>
${table(
  ["Verdict", "Since (UTC)", "Code", "Source", "Event", "Type"],
  record.quarantine.map(({ id, since, code, source, eventId, type }) => ({ kind: "quarantined", cells: [id, since, code, source, eventId, type] })),
  "None.",
)}<h3>Reviews of the audit trail</h3>
${table(
  ["Review", "State", "Opened (UTC)", "By", "Conclusion", "Finding"],
  record.reviews.map(({ review, state, openedAt, openedBy, conclusion }) => ({
    kind: state === "stale" ? "quarantined" : "",
    cells: [
      review,
      state,
      openedAt,
      openedBy,
      conclusion === null
        ? ""
        : `${conclusion.conclusion}, ${conclusion.at}, ${conclusion.by}${conclusion.signed === null ? "" : `. Signed: ${conclusion.signed}`}${conclusion.void ? " VOID: the record has changed since." : ""}`,
      conclusion?.finding ?? null,
    ],
  })),
  "None.",
)}</section>
${PAGE_END}`;
}
