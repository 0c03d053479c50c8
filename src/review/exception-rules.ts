import type { Entry } from "../audit/entry.ts";

// What a reviewer must look at, found by rule, so that the rest need not be read line by line (PIC/S PI 041-1, 9.8: review by exception). The rules are versioned: a report names the version
// that ran and how often each rule found something, also when that is never.

export type Severity =
  /** May decide whether the batch is released. */
  | "critical"
  /** Needs an explanation. */
  | "major"
  /** Worth a look. */
  | "minor";

export interface ExceptionRule {
  readonly rule: string;
  readonly severity: Severity;
  /** What it finds, for people. */
  readonly finds: string;
  /** What it finds in an entry, a sentence each; none where it does not apply. */
  readonly in: (entry: Entry) => readonly string[];
}

/** Raised with every change of what a rule finds; never given twice. */
export const CATALOGUE_VERSION = 2;

type Row = Readonly<Record<string, unknown>>;

const rows = (entry: Entry, list: string): readonly Row[] => entry.body[list] ?? [];
const text = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);
const object = (value: unknown): Row => (typeof value === "object" && value !== null ? { ...value } : {});
const decided = (entry: Entry, holds: (verdict: Row) => boolean): readonly string[] => rows(entry, "verdicts").filter(holds).map(inWords);
const coded = (codes: readonly string[]) => (entry: Entry) => decided(entry, ({ code }) => codes.includes(text(code) ?? ""));
const asked = (entry: Entry): readonly (Row & { readonly body: Row })[] =>
  rows(entry, "signals")
    .filter(({ kind }) => kind === "command")
    .map((signal) => ({ ...signal, body: object(signal["body"]) }));
const done = (entry: Entry, types: RegExp): readonly Row[] => rows(entry, "signals").filter(({ kind, type }) => kind === "act" && types.test(text(type) ?? ""));

const inWords = (row: Row): string => [text(row["code"]), text(row["reason"])].filter((part) => part !== null).join(": ") || "No reason is on record.";
const because = (reason: unknown): string => (text(reason) === null ? "without a reason" : `because: ${text(reason)}`);

const decision = (body: Row): string | null => text(body["action"]) ?? text(body["disposition"]);

/** What a person orders against the plan. */
const AGAINST_THE_PLAN = new Set(["revoke", "cancel", "stop", "abort", "amend", "correct", "skip", "rework"]);
/** What a person did that devices do otherwise. */
const BY_HAND = new Set(["start", "evidence", "complete", "pause", "resume"]);

export const EXCEPTION_RULES: readonly ExceptionRule[] = [
  {
    rule: "restore",
    severity: "critical",
    finds: "The record was restored from a backup while the batch was on it.",
    in: (entry) =>
      done(entry, /^record\.restored$/).map(({ actor, body }) => `Restored by ${text(actor) ?? "nobody named"}, ${because(object(body)["reason"])}`),
  },
  {
    rule: "outside-limits",
    severity: "critical",
    finds: "Evidence lies outside its limits.",
    in: (entry) =>
      rows(entry, "evidence")
        .filter(({ within }) => within === false)
        .map(({ evidence, value, unit, low, high }) =>
          `${evidence} is ${value} ${unit ?? ""}; the limits are ${low ?? "none"} to ${high ?? "none"}.`.replace(" ;", ";"),
        ),
  },
  {
    rule: "identity-conflict",
    severity: "critical",
    finds: "An id or a number came again with other content.",
    in: coded(["DUP_ID_REUSED", "SEQ_REUSED"]),
  },
  {
    rule: "approval-claimed",
    severity: "critical",
    finds: "A message claimed an approval, which no message can give.",
    in: coded(["APR_OVER_MQTT"]),
  },
  {
    rule: "wrong-sender",
    severity: "critical",
    finds: "Somebody spoke who is unknown or revoked, or on a branch that is not theirs.",
    in: coded(["IDN_UNKNOWN_PUBLISHER", "IDN_REVOKED", "TOP_PAYLOAD_MISMATCH", "TOP_WRONG_DOMAIN"]),
  },
  {
    rule: "wrong-context",
    severity: "major",
    finds: "An event was about another batch, step, order or line than it could be, or about equipment that was not its own to use.",
    in: (entry) => decided(entry, ({ code, status }) => status !== "accepted" && /^(CTX|LCK|EQP)_/.test(text(code) ?? "")),
  },
  {
    rule: "not-permitted",
    severity: "major",
    finds: "A state machine or a guard refused what was asked.",
    in: (entry) => decided(entry, ({ code, status }) => status === "rejected" && /^(STA|STP|EVD|PAR|TIM|QLT|SIG|REV)_/.test(text(code) ?? "")),
  },
  {
    rule: "quarantined",
    severity: "major",
    finds: "A report of something done to product could not be taken as it was.",
    in: (entry) => decided(entry, ({ status }) => status === "quarantined"),
  },
  {
    rule: "decided-by-a-person",
    severity: "major",
    finds: "A person decided about a quarantined event, a gap, a source that began anew, an exception, or equipment that was taken over.",
    in: (entry) =>
      asked(entry)
        .filter(({ body }) => /^(quarantine\.resolve|exception\.resolve|gap\.resolve|source\.succession|lock\.takeover)$/.test(text(body["kind"]) ?? ""))
        .map(
          ({ actor, body }) =>
            `${body["kind"]}${decision(body) === null ? "" : ` (${decision(body)})`} by ${text(actor) ?? "nobody named"}, ${because(body["reason"])}`,
        ),
  },
  {
    rule: "against-the-plan",
    severity: "major",
    finds: "A person ordered what the plan does not provide for.",
    in: (entry) =>
      asked(entry)
        .filter(({ body }) => AGAINST_THE_PLAN.has(text(body["command"]) ?? "") || text(body["kind"]) === "batch.update")
        .map(({ actor, body }) => `${text(body["command"]) ?? body["kind"]} by ${text(actor) ?? "nobody named"}, ${because(body["reason"])}`),
  },
  {
    rule: "by-hand",
    severity: "minor",
    finds: "A person did for a step what its equipment does otherwise.",
    in: (entry) =>
      asked(entry)
        .filter(({ body }) => text(body["kind"]) === "step.command" && BY_HAND.has(text(body["command"]) ?? ""))
        .map(({ actor, body }) => `${body["command"]} of step ${body["step"]} by ${text(actor) ?? "nobody named"}.`),
  },
  {
    rule: "command-refused",
    severity: "minor",
    finds: "A command was refused.",
    in: (entry) =>
      rows(entry, "answers")
        .map(({ answer }) => object(answer))
        .filter(({ kind }) => kind === "refused")
        .map(inWords),
  },
  {
    rule: "signature-void",
    severity: "critical",
    finds: "What was signed about the batch's disposition is void, since its record has changed.",
    in: (entry) =>
      rows(entry, "facts")
        .filter(({ kind }) => kind === "disposition.voided")
        .map(({ from_state: from, to_state: to }) => `The batch was ${from} by signature, and is ${to} again.`),
  },
  {
    rule: "corrected",
    severity: "major",
    finds: "Evidence took the place of earlier evidence.",
    in: (entry) =>
      rows(entry, "evidence")
        .filter(({ supersedes }) => supersedes != null)
        .map(({ evidence, value, unit }) => `${evidence} is ${value} ${unit ?? ""} now.`.replace("  ", " ")),
  },
  {
    rule: "numbers-given-up",
    severity: "major",
    finds: "Numbers of a source were given up: what they stood for is not on record.",
    in: (entry) => [
      ...rows(entry, "skipped").map(({ epoch, first, last, reason }) => `Numbers ${first} to ${last} of epoch ${epoch} (${reason}).`),
      ...coded(["SEQ_GAP_TIMEOUT", "SEQ_SKIPPED", "SEQ_EPOCH_OLD"])(entry),
    ],
  },
  {
    rule: "late",
    severity: "major",
    finds: "Something was reported after what it is about had ended, or had moved on.",
    in: coded(["TIM_LATE_CLOSED", "TIM_STALE", "STA_TERMINAL"]),
  },
  {
    rule: "duration",
    severity: "major",
    finds: "A step took less or more time than its recipe allows.",
    in: (entry) => [
      ...coded(["TIM_TOO_SHORT", "TIM_TOO_LONG"])(entry),
      ...rows(entry, "exceptions")
        .filter(({ code }) => code === "TIM_TOO_SHORT" || code === "TIM_TOO_LONG")
        .map(inWords),
    ],
  },
  {
    rule: "exception-opened",
    severity: "major",
    finds: "An exception was opened that somebody must close.",
    in: (entry) => rows(entry, "exceptions").map(inWords),
  },
  {
    rule: "clock",
    severity: "minor",
    finds: "A device's clock was ahead of the service's.",
    in: (entry) =>
      rows(entry, "verdicts")
        .filter(({ code, flags }) => code === "TIM_FUTURE" || (Array.isArray(flags) && flags.includes("TIM_FUTURE")))
        .map(({ event_time: time }) => `The event says ${time}; it went on record at ${entry.head.time}.`),
  },
  {
    rule: "ahead",
    severity: "minor",
    finds: "An event acted before earlier ones of its source.",
    in: (entry) =>
      rows(entry, "verdicts")
        .filter(({ ahead }) => ahead === true)
        .map(({ type }) => `${type} acted ahead.`),
  },
  {
    rule: "unreadable",
    severity: "minor",
    finds: "What came could not be read, or is of a type or version that nobody knows.",
    in: (entry) => decided(entry, ({ code }) => /^(ENV|SCH)_/.test(text(code) ?? "")),
  },
  {
    rule: "master-data",
    severity: "major",
    finds: "Recipes, state machines, equipment, sources or settings changed while the batch was open.",
    in: (entry) =>
      done(entry, /^(recipe|state-machine|equipment|source|job-order|audit\.settings)\./).map(
        ({ type, actor, body }) => `${type}: ${text(object(body)["object"]) ?? ""} by ${text(actor) ?? "nobody named"}, ${because(object(body)["reason"])}`,
      ),
  },
  {
    rule: "failed-judgement",
    severity: "critical",
    finds: "The service could not judge an event.",
    in: coded(["SYS_POISON"]),
  },
];
