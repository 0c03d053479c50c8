// Histories out of the in-memory model: what devices, a subscriber and a reader would have seen of a run in which nothing failed.
import { createHash } from "node:crypto";
import { batchView } from "../../../src/decide/batch-view.ts";
import type { Signal } from "../../../src/decide/signal.ts";
import { cursorMessage, type Message, outcomeEvent, outcomeMessage, verdictData, verdictMessage } from "../../../src/publish/messages.ts";
import type { Act, Line } from "../../support/given.ts";
import type { Model, OutcomeRow, VerdictRow } from "../../support/model.ts";
import type { Heard, History, LockOperation, Read, Sent } from "./history.ts";

type Body = NonNullable<Heard["body"]>;

/** Watches a line: each act takes a millisecond, and all that comes of it is heard before the next. */
export class Watch {
  readonly line: Line;
  readonly sent: Sent[] = [];
  readonly heard: Heard[] = [];
  readonly reads: Read[] = [];
  readonly locks: LockOperation[] = [];
  readonly acknowledged: History["acknowledged"][number][] = [];
  #at = 0;
  #verdicts = 0;
  #outcomes = 0;
  #facts = 0;
  readonly #holds = new Map<string, { batch: string; count: number }>();
  readonly #cursors = new Map<string, number>();

  constructor(line: Line) {
    this.line = line;
    this.#hear();
  }

  /** Each act in a group of its own. */
  sees(...acts: readonly Act[]): this {
    for (const act of acts) {
      this.#at += 1;
      const signals = this.line.signals([act]);
      for (const signal of signals) this.#send(signal);
      this.line.model.run(signals);
      this.#hear();
    }
    return this;
  }

  waits(ms: number): this {
    this.#at += 1;
    this.line.after(ms);
    this.#hear();
    return this;
  }

  /** Someone reads all verdicts and all outcome streams. */
  readsAll(): this {
    const { site } = this.line.model.options;
    this.#at += 1;
    const at = { began: this.#at, ended: this.#at + 0.5 };
    this.reads.push({ ...at, of: "verdicts", stream: null, ids: this.line.model.verdicts.map(({ position }) => `${site}.1.${position}`) });
    for (const stream of this.line.model.streams.keys())
      this.reads.push({ ...at, of: "outcomes", stream, ids: this.line.model.outcomes.filter((o) => o.stream === stream).map((o) => `1.${o.sequence}`) });
    return this;
  }

  history(): History {
    const { model } = this.line;
    return {
      site: model.options.site,
      sent: this.sent,
      heard: this.heard,
      acknowledged: this.acknowledged,
      reads: this.reads,
      locks: this.locks,
      end: {
        verdicts: model.verdicts.map((row) => verdictData(verdictOf(model, row))),
        outcomes: model.outcomes.map((row) => parsed(JSON.stringify(outcomeEvent(outcomeOf(model, row))))),
        batches: [...model.batches.keys()].map((name) => ({ batch: batchView(this.line.batch(name)) })),
      },
      brokerForgot: [],
      restores: [],
    };
  }

  #send(signal: Signal): void {
    if (signal.kind !== "event" || signal.inHand.said.kind !== "event") return;
    const { source, id, epoch, sequence, type, batch, step, attempt, data } = signal.inHand.said.event;
    if (epoch === null || sequence === null) return;
    const content = createHash("sha256").update(JSON.stringify({ type, batch, step, attempt, data })).digest("hex");
    this.sent.push({ at: this.#at, source, id, epoch: `${epoch}`, sequence: `${sequence}`, type, content, acknowledgedAt: this.#at });
    this.acknowledged.push({ at: this.#at, source, id, durable: true });
  }

  #hear(): void {
    const { model } = this.line;
    const said = [
      ...model.verdicts.slice(this.#verdicts).map((row) => ({ position: row.position, message: verdictMessage(verdictOf(model, row), "") })),
      ...model.outcomes.slice(this.#outcomes).map((row) => ({ position: row.position, message: outcomeMessage(outcomeOf(model, row), "") })),
    ].sort((a, b) => a.position - b.position);
    this.#verdicts = model.verdicts.length;
    this.#outcomes = model.outcomes.length;
    for (const { message } of said) if (message !== null) this.#told(message);
    for (const source of model.sources.values()) {
      if (!source.numbering || this.#cursors.get(source.source) === source.version) continue;
      this.#cursors.set(source.source, source.version);
      const { line, equipment, device, version, epoch, through, highest, parked } = source;
      const at = { site: model.options.site, line, equipment, device, source: source.source, generation: 1, changedAt: model.clock };
      const stands = { version, epoch: epoch?.toString() ?? null, through: `${through}`, highest: `${highest}`, missing: [], parked: parked !== null };
      this.#told(cursorMessage({ ...at, ...stands }, ""));
    }
    for (const { kind, equipment, batch } of model.facts.slice(this.#facts)) {
      if (equipment === null || batch === null) continue;
      if (kind === "lock.taken") this.#takes(equipment, batch);
      if (kind === "lock.freed") this.#frees(equipment, batch);
    }
    this.#facts = model.facts.length;
  }

  #told({ topic, payload, retain }: Message): void {
    this.heard.push({ at: this.#at, topic, retained: retain, body: parsed(payload) });
  }

  #takes(equipment: string, batch: string): void {
    const held = this.#holds.get(equipment);
    if (held === undefined) this.#holds.set(equipment, { batch, count: 1 });
    else held.count += 1;
    this.locks.push({ began: this.#at, ended: this.#at + 0.5, equipment, asks: { kind: "take", batch }, answer: { done: true } });
  }

  #frees(equipment: string, batch: string): void {
    const held = this.#holds.get(equipment);
    if (held === undefined) return;
    held.count -= 1;
    if (held.count > 0) return;
    this.#holds.delete(equipment);
    this.locks.push({ began: this.#at, ended: this.#at + 0.5, equipment, asks: { kind: "free", batch }, answer: { done: true } });
  }
}

const parsed = (payload: string): Body => JSON.parse(payload);

function verdictOf(model: Model, row: VerdictRow): Parameters<typeof verdictData>[0] {
  const first = row.first === null ? undefined : model.verdicts.find(({ position }) => position === row.first);
  const [, line = null, equipment = null] = /\/line\/([^/]+)\/eq\/([^/]+)/.exec(row.source ?? "") ?? [];
  return {
    ...row,
    site: model.options.site,
    generation: 1,
    eventPosition: row.event,
    eventGeneration: 1,
    remedy: null,
    topicLine: line,
    topicEquipment: equipment,
    correlation: null,
    traceparent: null,
    tracestate: null,
    first: first === undefined ? null : { position: first.position, generation: 1, status: first.status, code: first.code },
    explanation: row.explanation === null ? null : { ...row.explanation },
    recordedAt: model.clock,
  };
}

function outcomeOf(model: Model, row: OutcomeRow): Parameters<typeof outcomeEvent>[0] {
  const { line = null } = model.streams.get(row.stream) ?? {};
  return {
    ...row,
    site: model.options.site,
    line,
    generation: 1,
    ordinal: 1,
    eventTime: null,
    correlation: null,
    traceparent: null,
    tracestate: null,
    supersedes: null,
    recordedAt: model.clock,
  };
}
