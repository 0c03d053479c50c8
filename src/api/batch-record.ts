import { Decimal } from "decimal.js";
import { parseEntry, trailItem } from "../audit/entry.ts";
import { type BatchState, playerOf, recipeStep } from "../authorise/execution-context.ts";
import { type Said, sentenceOf } from "../decide/sentence.ts";
import type { VerdictRow } from "../publish/messages.ts";
import { limitsFor } from "../registry/limits.ts";
import type { AttemptRow, CauseRow, EvidenceRow, LastRound } from "./batch-record.store.ts";
import type { CommandOnRecord, Move, Performer, RecordedException, Refusal, StepAttempt } from "./batch-record-schema.ts";
import { REQUEST_CODES } from "./codes.ts";
import { explanationSchema } from "./message-schemas.ts";
import type { ExceptionView, FactView, LockView } from "./reads.store.ts";

// The batch record, step by step, put together from what is stored. Nothing here decides anything.

type Causes = ReadonlyMap<number, CauseRow>;

/** Who or what did something; null: what stands there is not known. */
export function performerOf(cause: CauseRow | undefined): Performer | null {
  if (cause === undefined) return null;
  const { kind, source, actor, eventId, type, body, performedBy } = cause;
  switch (kind) {
    case "event":
    case "diag":
      return { kind: "device", name: source ?? "unknown", what: type ?? (kind === "diag" ? "diagnosis" : "unreadable"), event: eventId, performedBy };
    case "command":
      return {
        kind: actor?.startsWith("machine:") === true ? "machine" : "person",
        name: actor ?? "unattributed",
        what: text(body?.["command"]) ?? text(body?.["kind"]) ?? "command",
        event: null,
        performedBy: null,
      };
    default:
      return { kind: "system", name: "signalbox", what: text(body?.["tick"]) ?? type ?? kind, event: null, performedBy: null };
  }
}

const commentOf = (cause: CauseRow | undefined): string | null => (cause?.kind === "command" ? text(cause.body?.["reason"]) : null);

/** How far a value lies outside its limits: above them positive, below negative. Null: it is within, or is no number. */
export function deviationOf({ value, low, high, within }: Pick<EvidenceRow, "value" | "low" | "high" | "within">): string | null {
  if (within !== false || value === null || !DECIMAL.test(value)) return null;
  const exact = new Exact(value);
  if (high !== null && DECIMAL.test(high) && exact.gt(high)) return exact.minus(high).toFixed();
  if (low !== null && DECIMAL.test(low) && exact.lt(low)) return exact.minus(low).toFixed();
  return null;
}

// as many digits as texts have, so that nothing is rounded
const Exact = Decimal.clone({ precision: 200 });
const DECIMAL = /^-?\d{1,64}(?:\.\d{1,64})?$/;

/** A quarantined or rejected event in one sentence, with what has become of it. */
export function refusedEvent(row: VerdictRow, said: Said | undefined, causes: Causes, last: LastRound | undefined, decided: Causes): Refusal {
  const explanation = row.explanation === null ? null : explanationSchema.parse(row.explanation);
  return {
    position: row.position,
    recordedAt: row.recordedAt,
    by: performerOf(causes.get(row.position)),
    step: row.step,
    attempt: row.attempt,
    status: row.status === "quarantined" ? "quarantined" : "rejected",
    code: row.code,
    sentence: sentenceOf({ code: row.code ?? "", reason: row.reason, remedy: row.remedy, explanation: explained(explanation), said: said ?? [] }),
    became: last === undefined || last.position === row.position ? null : becameOf(last, decided.get(last.position)),
  };
}

const becameOf = (last: LastRound, cause: CauseRow | undefined): Refusal["became"] => ({ ...last, by: performerOf(cause), comment: commentOf(cause) });

type Explained = NonNullable<Parameters<typeof sentenceOf>[0]["explanation"]>;

const explained = (
  said: { readonly guards?: readonly { guard: string; ok: boolean; expected?: string | undefined; actual?: string | undefined }[] | undefined } | null,
): Explained | null =>
  said === null
    ? null
    : {
        state: null,
        permitted: [],
        stateMachine: null,
        guards: (said.guards ?? []).map(({ guard, ok, expected, actual }) => ({
          guard,
          ok,
          ...(expected === undefined ? {} : { expected }),
          ...(actual === undefined ? {} : { actual }),
        })),
      };

/** A command with what was answered, out of its entry in the log. */
export function commandOf({ position, entry }: { readonly position: number; readonly entry: Uint8Array }): CommandOnRecord {
  const read = parseEntry(entry);
  const { time, who, what, from, signed } = trailItem(read);
  const body = part(read.body["signals"]?.[0]?.["body"]);
  const answer = part(read.body["answers"]?.[0]?.["answer"]);
  const code = text(answer["code"]);
  return {
    position,
    recordedAt: time,
    by: { kind: who.kind, name: who.name, what, event: null, performedBy: null },
    from,
    signed,
    void: false,
    step: text(body["step"]),
    reason: text(body["reason"]),
    comment: text(body["comment"]),
    result: text(answer["kind"]) ?? "recorded",
    code,
    sentence: notDone(answer),
  };
}

const ABOUT_DISPOSITION = /^batch\.(recommend|release|conditional|reject)$/;

/** What was signed about a batch's disposition before its record changed is void. */
export function voided(commands: readonly CommandOnRecord[], facts: readonly FactView[]): CommandOnRecord[] {
  const last = facts.findLast(({ kind }) => kind === "disposition.voided")?.position ?? 0;
  return commands.map((one) => ({ ...one, void: one.signed !== null && one.sentence === null && one.position < last && ABOUT_DISPOSITION.test(one.by.what) }));
}

/** Why a command was not done; null: it was. */
function notDone(answer: Readonly<Record<string, unknown>>): string | null {
  const explanation = explanationSchema.safeParse(answer["explanation"]);
  const because = (code: string, reason: string, remedy: string | null): string =>
    sentenceOf({ code, reason, remedy, explanation: explained(explanation.success ? explanation.data : null) });
  switch (answer["kind"]) {
    case "refused":
      return because(text(answer["code"]) ?? "", text(answer["reason"]) ?? "", null);
    case "unknown":
      return because("", `There is no ${text(answer["what"])}.`, "Ask again about one that there is.");
    case "stale":
      return because(
        "",
        `What it was about had changed since it was read, and was of version ${String(answer["version"])}.`,
        REQUEST_CODES.REQUEST_STALE.remedy,
      );
    default:
      return null;
  }
}

/** A command that was refused, among what else was. */
export const refusedCommand = ({ position, recordedAt, by, step, code, sentence }: CommandOnRecord): Refusal => ({
  position,
  recordedAt,
  by,
  step,
  attempt: null,
  status: "refused",
  code,
  sentence: sentence ?? "",
  became: null,
});

export function recordedException(
  { ordinal: _, ...row }: ExceptionView,
  said: Said | undefined,
  resolvedAt: number | undefined,
  decided: Causes,
): RecordedException {
  const cause = resolvedAt === undefined ? undefined : decided.get(resolvedAt);
  return {
    ...row,
    sentence: sentenceOf({ code: row.code, reason: row.reason, remedy: null, explanation: null, said: said ?? [] }),
    resolution:
      resolvedAt === undefined || row.resolvedAt === null
        ? null
        : { position: resolvedAt, at: row.resolvedAt, by: performerOf(cause), comment: commentOf(cause) },
  };
}

/** What moved the batch (`step` null) or an attempt of a step. */
export function movesOf(facts: readonly FactView[], causes: Causes, step: string | null, attempt: number | null): readonly Move[] {
  return facts
    .filter((fact) =>
      step === null ? /^batch\.|^disposition\.voided$/.test(fact.kind) : fact.kind === "step.moved" && fact.step === step && fact.attempt === attempt,
    )
    .map(({ position, from, to, data, recordedAt }) => {
      const cause = causes.get(position);
      return { position, from, to, at: text(data["at"]) ?? recordedAt, recordedAt, by: performerOf(cause), comment: commentOf(cause) };
    });
}

export interface StepParts {
  readonly state: BatchState;
  readonly attempts: readonly AttemptRow[];
  readonly evidence: readonly EvidenceRow[];
  readonly facts: readonly FactView[];
  readonly locks: readonly LockView[];
  readonly causes: Causes;
  readonly exceptions: readonly RecordedException[];
  readonly refusals: readonly Refusal[];
  readonly commands: readonly CommandOnRecord[];
}

/** Step by step, every attempt with its own. What names no attempt belongs to the last one. */
export function stepsOf(parts: StepParts): StepAttempt[] {
  const last = new Map(parts.attempts.map(({ step, attempt }) => [step, attempt]));
  return parts.attempts.map((row) => {
    const { step, attempt } = row;
    const own = (of: { readonly step: string | null; readonly attempt: number | null }): boolean =>
      of.step === step && (of.attempt ?? last.get(step)) === attempt;
    const evidence = parts.evidence.filter(own);
    const comments = parts.commands.flatMap(({ position, recordedAt, by, comment, step: of, sentence }) =>
      comment === null || sentence !== null || !own({ step: of, attempt: null }) ? [] : [{ position, recordedAt, by, comment }],
    );
    return {
      ...row,
      title: recipeStep(parts.state, step)?.title ?? null,
      equipment: equipmentOf(parts, step, attempt),
      needs: needsOf(parts.state, step, evidence),
      evidence: evidence.map(({ step: _, attempt: __, ...item }) => {
        const cause = parts.causes.get(item.position);
        return { ...item, deviation: deviationOf(item), at: cause?.eventTime ?? null, by: performerOf(cause), comment: commentOf(cause) };
      }),
      moves: [...movesOf(parts.facts, parts.causes, step, attempt)],
      exceptions: parts.exceptions.filter(own),
      refusals: parts.refusals.filter(own),
      comments,
    };
  });
}

function equipmentOf({ state, locks }: StepParts, step: string, attempt: number): StepAttempt["equipment"] {
  const roles = recipeStep(state, step)?.equipment ?? [];
  const engaged = locks.filter((lock) => lock.kind === "engagement" && lock.step === step && lock.attempt === attempt);
  const classOf = (role: string): string | null => roles.find((need) => need.role === role)?.class ?? null;
  return [
    ...engaged.map(({ role, equipment, since, freedAt }) => ({ role, class: classOf(role), equipment, from: since, to: freedAt })),
    ...roles
      .filter(({ role }) => !engaged.some((lock) => lock.role === role))
      .map(({ role, class: name }) => ({ role, class: name, equipment: playerOf(state, role) ?? null, from: null, to: null })),
  ];
}

const needsOf = (state: BatchState, step: string, evidence: readonly EvidenceRow[]): StepAttempt["needs"] =>
  (recipeStep(state, step)?.evidence ?? []).map((slot) => {
    const { low = null, high = null } = limitsFor(slot, state.parameters);
    return {
      evidence: slot.evidence,
      kind: slot.kind,
      count: slot.count,
      recorded: evidence.filter((item) => item.evidence === slot.evidence && item.supersededBy === null).length,
      optional: slot.optional ?? false,
      unit: slot.unit ?? null,
      low,
      high,
    };
  });

const text = (value: unknown): string | null => (typeof value === "string" ? value : null);
const part = (value: unknown): Readonly<Record<string, unknown>> => (typeof value === "object" && value !== null ? { ...value } : {});
