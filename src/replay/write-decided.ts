// What a settlement decided: facts, verdicts, outcomes and answers. They are appended; held is what the next settlement rests on.
import { refuse } from "./refuse.ts";
import { type Commit, once, type SiteRecord } from "./site-record.ts";
import type { Written } from "./written.ts";

export function writeStreams(record: SiteRecord, p: Written): void {
  for (const { stream, sequence, line, opened_on } of p.streams ?? []) {
    const known = record.streams.get(stream);
    record.streams.set(stream, { sequence, line: known === undefined ? line : known.line, openedOn: known?.openedOn ?? opened_on });
  }
}

export function writeFacts(record: SiteRecord, p: Written, { place }: Commit): void {
  const ordinals = new Map<number, number>();
  for (const r of p.facts ?? []) {
    const ordinal = (ordinals.get(r.ref) ?? 0) + 1;
    ordinals.set(r.ref, ordinal);
    if (r.ordinal !== ordinal) refuse(`fact ${r.ordinal} at ${place(r.ref)} out of its place`);
    if ((r.batch == null) !== (r.number === null)) refuse("a fact of a batch has its number");
    if (r.batch == null) continue;
    const before = record.factsOfBatch.get(r.batch) ?? 0;
    if (r.number !== before + 1) refuse(`fact ${r.number} of ${r.batch} after ${before}`);
    record.factsOfBatch.set(r.batch, before + 1);
  }
}

type Verdict = NonNullable<Written["verdicts"]>[number];

export function writeVerdicts(record: SiteRecord, p: Written, { place, maybe }: Commit): void {
  const facts = new Map<number, number>();
  // that a signature is void is no fact of the event
  for (const { ref, kind } of p.facts ?? []) if (kind !== "disposition.voided") facts.set(ref, (facts.get(ref) ?? 0) + 1);
  const taken = new Set<number>();
  const events = new Set<number>();
  for (const r of p.verdicts ?? []) {
    const position = place(r.ref);
    const event = place(r.event_ref);
    if (taken.has(position)) refuse(`${inWords(r)}: two at one position`);
    taken.add(position);
    events.add(event);
    const last = record.lastRounds.get(event);
    checkVerdict(r, position, event, facts.get(r.ref) ?? 0, last?.round ?? 0);
    if (last?.final === true) refuse(`${inWords(r)}: a round after the final one`);
    record.lastRounds.set(event, { position, round: r.round, status: r.status, code: r.code, final: r.final, first: maybe(r.first_ref) });
    const quarantined = record.quarantine.get(event);
    if (quarantined?.round === r.round) quarantined.judgedIn = { batch: r.batch, step: r.step, attempt: r.attempt };
  }
  for (const event of events) checkOpen(record, event);
}

function checkVerdict(r: Verdict, position: number, event: number, facts: number, rounds: number): void {
  if (r.final !== !["deferred", "quarantined"].includes(r.status)) refuse(`${inWords(r)}: final`);
  if (["accepted", "accepted_with_exception"].includes(r.status) !== r.facts > 0) refuse(`${inWords(r)}: ${r.facts} facts`);
  if (!["accepted", "duplicate"].includes(r.status) && r.code === null) refuse(`${inWords(r)}: no code`);
  if (r.status === "duplicate" && r.first_ref === null) refuse(`${inWords(r)}: a duplicate of nothing`);
  if ((r.round === 1) !== (event === position)) refuse(`${inWords(r)}: round ${r.round}`);
  const explained = Array.isArray(r.explanation?.permitted) && r.explanation?.guards?.some((g) => !g.ok) === true;
  if (r.status === "rejected" && (r.refused_by === "state" || r.refused_by === "guard") && !explained) refuse(`${inWords(r)}: not explained`);
  if (r.facts !== facts) refuse(`${inWords(r)}: a verdict and its facts do not agree`);
  if (r.round !== rounds + 1) refuse(`${inWords(r)}: round ${r.round} after ${rounds}`);
}

/** What is still open stands somewhere, and what is final stands nowhere. */
function checkOpen(record: SiteRecord, event: number): void {
  const last = record.lastRounds.get(event);
  const waits = record.waitingAt.get(event)?.ahead === false;
  const deferred = record.deferrals.has(event);
  const quarantined = record.quarantine.get(event)?.resolution === null;
  const what = `the event at ${event}, ${last?.status} ${last?.code},`;
  if (last?.status === "deferred" && !deferred && !waits) refuse(`${what} stands nowhere`);
  if (last?.status === "quarantined" && !quarantined) refuse(`${what} is in no quarantine`);
  if (last?.final === true && (deferred || quarantined || waits)) refuse(`${what} is still open`);
}

const inWords = (r: Verdict): string => `verdict ${r.ref} (${r.status} ${r.code} of ${r.event_id})`;

export function writeOutcomes(record: SiteRecord, p: Written): void {
  for (const { stream, sequence } of p.outcomes ?? []) {
    const before = record.outcomesOfStream.get(stream) ?? 0;
    if (sequence !== before + 1) refuse(`outcome ${sequence} of ${stream} after ${before}`);
    record.outcomesOfStream.set(stream, sequence);
  }
}

export function writeAnswers(record: SiteRecord, p: Written, { place }: Commit): void {
  for (const r of p.answers ?? [])
    once(record.answers, r.key, { request: r.request, bodyDigest: r.body_digest, answer: r.answer, position: place(r.ref) }, "idempotency key");
}
