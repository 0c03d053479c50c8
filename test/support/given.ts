import type { BatchState } from "../../src/authorise/execution-context.ts";
import type { CommandAnswer } from "../../src/decide/command-answer.ts";
import type { Machines } from "../../src/decide/machines.ts";
import type { Settlement } from "../../src/decide/settle.ts";
import type { BatchCommandName, Command, CommandSignal, DispositionName, Signal, StepCommandName } from "../../src/decide/signal.ts";
import type { Delivery } from "../../src/receive/delivery.ts";
import type { SourceState } from "../../src/sequence/source-state.ts";
import { BLEND } from "./blend.ts";
import { createModel, Model, type ModelOptions, type VerdictRow } from "./model.ts";

// Sentences about a line: given(what has happened).when(what is said now) gives the rounds that it brought about.

/** Something that happens on the line: it becomes one signal or several when its turn comes. */
export type Act = (line: Line) => Signal | readonly Signal[];

export interface Said {
  readonly id?: string;
  readonly epoch?: number | string;
  readonly sequence?: number | string;
  readonly batch?: string | null;
  readonly step?: string | null;
  readonly attempt?: number;
  readonly data?: Readonly<Record<string, unknown>>;
  /** Further attributes, as they stand in the envelope; null leaves one out. */
  readonly more?: Readonly<Record<string, unknown>>;
  readonly delivery?: Partial<Delivery>;
}

/** Who speaks: a piece of equipment, or a device on it. */
export interface Speaker {
  readonly name: string;
  says(type: string, said?: Said): Act;
  birth(next: number, said?: Said): Act;
  lost(from: number, to: number, said?: Said): Act;
  starts(step: string, said?: Said): Act;
  completes(step: string, said?: Said): Act;
  pauses(step: string, said?: Said): Act;
  resumes(step: string, said?: Said): Act;
  aborts(step: string, said?: Said): Act;
  gives(step: string, evidence: string, value: string | boolean, unit?: string, said?: Said): Act;
  weighs(value: string, said?: Said): Act;
  alarms(said?: Said): Act;
  states(state: string, said?: Said): Act;
  /** A heartbeat on the diag topic. */
  beats(at: { readonly state?: "online" | "offline"; readonly epoch?: number; readonly sequence?: number }): Act;
}

export function speaker(
  equipment: string,
  options: { readonly site?: string; readonly line?: string; readonly device?: string; readonly numbers?: boolean } = {},
): Speaker {
  const { site = "rtm1", line = "4", device, numbers = true } = options;
  const name = `/site/${site}/line/${line}/eq/${equipment}${device === undefined ? "" : `/device/${device}`}`;
  const topic = `site/${site}/line/${line}/eq/${equipment}`;
  const says =
    (type: string, said: Said = {}): Act =>
    (at) => {
      const { epoch, sequence } = numbers ? at.number(name, said) : { epoch: said.epoch, sequence: said.sequence };
      const envelope: Record<string, unknown> = {
        specversion: "1.0",
        id: said.id ?? (numbers ? `${equipment}${device === undefined ? "" : `.${device}`}-${epoch}-${sequence}` : at.freshId(equipment)),
        source: name,
        type: `signalbox.${type}.v1`,
        time: at.model.clock,
        ...(epoch === undefined ? {} : { epoch: String(epoch) }),
        ...(sequence === undefined ? {} : { sequence: String(sequence) }),
        ...(said.batch == null ? {} : { batchid: said.batch }),
        ...(said.step == null ? {} : { stepid: said.step }),
        ...(said.attempt === undefined ? {} : { attempt: said.attempt }),
        data: said.data ?? {},
        ...said.more,
      };
      for (const [key, value] of Object.entries(envelope)) if (value === null) delete envelope[key];
      return at.model.signal(at.model.delivery(`${topic}/event`, JSON.stringify(envelope), said.delivery));
    };
  const about = (type: string, step: string, said: Said = {}): Act => says(type, { batch: "B-1", step, ...said });
  const self: Speaker = {
    name,
    says,
    birth: (next, said) => says("source.birth", { data: { next: String(next) }, ...said }),
    lost: (from, to, said) => says("source.lost", { data: { from: String(from), to: String(to) }, ...said }),
    starts: (step, said) => about("step.start", step, said),
    completes: (step, said) => about("step.complete", step, said),
    pauses: (step, said) => about("step.pause", step, said),
    resumes: (step, said) => about("step.resume", step, said),
    aborts: (step, said) => about("step.abort", step, said),
    gives: (step, evidence, value, unit, said) => about("step.evidence", step, { data: { evidence, value, ...(unit === undefined ? {} : { unit }) }, ...said }),
    weighs: (value, said) => self.gives("weigh", "net-weight", value, "kg", said),
    alarms: (said) => says("alarm.raised", { data: { alarm: "overheat" }, ...said }),
    states: (state, said) => says("equipment.state", { data: { state }, ...said }),
    beats: (beat) => (at) => {
      const body = { ...(device === undefined ? {} : { device }), ...beat };
      const text = JSON.stringify({
        ...body,
        ...(beat.epoch === undefined ? {} : { epoch: String(beat.epoch) }),
        ...(beat.sequence === undefined ? {} : { sequence: String(beat.sequence) }),
      });
      return at.model.signal(at.model.delivery(`${topic}/diag`, text));
    },
  };
  return self;
}

export const scale = speaker("scale-1");
export const mixer = speaker("mixer-1");

/** The same event again, byte by byte. */
export const again =
  (id: string): Act =>
  (line) => {
    const sent = line.sent.findLast((signal) => signal.kind === "event" && idOf(signal) === id);
    if (sent?.kind !== "event") throw new Error(`nobody has sent ${id}`);
    return line.model.signal({ ...sent.delivery, dup: true });
  };

const idOf = (signal: Signal): string | null =>
  signal.kind !== "event" ? null : signal.inHand.said.kind === "event" ? signal.inHand.said.event.id : signal.inHand.said.partial.id;

export const orders =
  (command: Command, more: Partial<CommandSignal> = {}): Act =>
  (line) =>
    line.model.command(command, more);

export function creates(batch = "B-1", more: Partial<Extract<Command, { kind: "batch.create" }>> = {}, how: Partial<CommandSignal> = {}): Act {
  const recipe = BLEND;
  return orders(
    {
      kind: "batch.create",
      batch,
      jobOrder: `PO-${batch}`,
      line: "4",
      recipe: recipe.recipe,
      revision: recipe.revision,
      quantity: recipe.quantity,
      equipment: { scale: "scale-1", mixer: "mixer-1" },
      asked: "a1",
      ...more,
    },
    how,
  );
}

export const commands = (command: BatchCommandName, batch = "B-1", reason: string | null = "shift plan", how: Partial<CommandSignal> = {}): Act =>
  orders({ kind: "batch.command", batch, command, reason }, how);

export const stepCommand = (
  command: StepCommandName,
  step: string,
  more: Partial<Extract<Command, { kind: "step.command" }>> = {},
  how: Partial<CommandSignal> = {},
): Act => orders({ kind: "step.command", batch: "B-1", step, command, reason: "as told", evidence: null, comment: null, ...more }, how);

/** As somebody signs: whatever is asked so bears a signature. */
export const signedBy = (person = "sam", role = "supervisor"): Pick<CommandSignal, "actor" | "role" | "signature"> => ({
  actor: `person:${person}`,
  role,
  signature: {
    signature: "challenge-1",
    signer: { person, name: `Person ${person}`, issuer: "local", subject: person },
    role,
    meaning: "as meant",
    reason: "as told",
    at: "2026-11-22T08:00:00.000Z",
    record: { what: "batch B-1", sha256: "00" },
    challengeSha256: "00",
    authenticated: { method: "password" },
  },
});
/** The batch goes on under another revision of its recipe, signed. */
export const amends = (revision: number | undefined, how: Partial<CommandSignal> = signedBy("elsa", "engineer"), reason: string | null = "change C-3"): Act =>
  orders({ kind: "batch.command", batch: "B-1", command: "amend", reason, ...(revision === undefined ? {} : { revision }) }, how);
/** A stage of a batch's disposition, signed. */
export const disposes = (command: DispositionName, batch = "B-1", binding = true): Act =>
  orders({ kind: "batch.command", batch, command, reason: "as reviewed", ...(binding ? { binding: true } : {}) }, signedBy());

/** Acts one after another, as one. */
export const all =
  (...acts: readonly Act[]): Act =>
  (line) =>
    acts.flatMap((act) => act(line));

export const ready = (batch = "B-1"): Act => all(creates(batch), commands("release-to-floor", batch));
export const running = (batch = "B-1"): Act => all(ready(batch), commands("start", batch));
/** Batch B-1 runs and its step `weigh` is in progress. */
export const weighing = (): Act => all(running(), scale.starts("weigh"));
export const weighed = (): Act => all(weighing(), scale.weighs("12.500"), scale.completes("weigh"));

/** A plant with one scale, two mixers, a probe on the first mixer and a panel that does not number. */
export const PLANT: ModelOptions = {
  site: "rtm1",
  recipes: [BLEND],
  equipment: [
    { equipment: "scale-1", line: "4", class: "scale" },
    { equipment: "scale-2", line: "4", class: "scale" },
    { equipment: "mixer-1", line: "4", class: "mixer" },
    { equipment: "mixer-2", line: "4", class: "mixer" },
    { equipment: "panel-1", line: "4", class: "panel" },
    { equipment: "press-9", line: "9", class: "press" },
  ],
  sources: [
    { equipment: "mixer-1", device: "probe" },
    { equipment: "panel-1", device: "button", numbering: false },
    { equipment: "panel-1", device: "old", revoked: true },
  ],
};

export class Line {
  readonly model: Model;
  readonly sent: Signal[] = [];
  readonly #numbers = new Map<string, { epoch: string; sequence: bigint }>();
  #ids = 0;

  constructor(model: Model) {
    this.model = model;
  }

  /** The number of what a source says next: the one after its last, in its last epoch, unless it says otherwise. */
  number(source: string, said: Said): { readonly epoch: string; readonly sequence: string } {
    const last = this.#numbers.get(source) ?? { epoch: "7", sequence: 0n };
    const epoch = said.epoch === undefined ? last.epoch : String(said.epoch);
    const sequence = said.sequence === undefined ? (epoch === last.epoch ? last.sequence + 1n : 1n) : BigInt(said.sequence);
    this.#numbers.set(source, { epoch, sequence });
    return { epoch, sequence: sequence.toString() };
  }

  freshId(of: string): string {
    this.#ids += 1;
    return `${of}-${this.#ids}`;
  }

  signals(acts: readonly Act[]): readonly Signal[] {
    const signals = acts.flatMap((act) => act(this));
    this.sent.push(...signals);
    return signals;
  }

  /** Each act in a group of its own. Returns the rounds that came of them. */
  when(...acts: readonly Act[]): readonly VerdictRow[] {
    const before = this.model.verdicts.length;
    for (const act of acts) this.model.run(this.signals([act]));
    return this.model.verdicts.slice(before);
  }

  /** All acts in one group. */
  together(...acts: readonly Act[]): readonly VerdictRow[] {
    const before = this.model.verdicts.length;
    const signals = this.signals(acts);
    this.model.run(signals, [signals.length]);
    return this.model.verdicts.slice(before);
  }

  /** Time passes, and what falls due is settled. */
  after(ms: number): readonly VerdictRow[] {
    const before = this.model.verdicts.length;
    this.model.pass(ms);
    return this.model.verdicts.slice(before);
  }

  /** What a command is answered. */
  answer(act: Act): CommandAnswer {
    const answers = Model.answers(this.model.run(this.signals([act])));
    const last = answers.at(-1);
    if (last === undefined) throw new Error("that was no command");
    return last;
  }

  settlements(...acts: readonly Act[]): readonly Settlement[] {
    return this.model.run(this.signals(acts));
  }

  batch(batch = "B-1"): BatchState {
    const found = this.model.batch(batch);
    if (found === null) throw new Error(`no batch ${batch}`);
    return found;
  }

  step(step: string, batch = "B-1"): BatchState["steps"][number] {
    const found = this.batch(batch).steps.find((s) => s.step === step);
    if (found === undefined) throw new Error(`no step ${step}`);
    return found;
  }

  source(of: Speaker): SourceState {
    return this.model.source(of.name);
  }

  /** All rounds of an event, by its id and, where several deliveries bear it, of the first. */
  rounds(id: string): readonly VerdictRow[] {
    const first = this.model.verdicts.find((v) => v.eventId === id);
    return first === undefined ? [] : this.model.rounds(first.event);
  }

  last(id: string): VerdictRow | undefined {
    return this.rounds(id).at(-1);
  }

  exceptions(): readonly string[] {
    return this.model.exceptions.filter((e) => !e.resolved).map((e) => e.code);
  }

  facts(kind?: string): readonly string[] {
    return this.model.facts
      .filter((f) => kind === undefined || f.kind === kind)
      .map((f) => [f.kind, f.batch, f.step, f.to ?? String(f.data["evidence"] ?? f.data["type"] ?? "")].filter((part) => part).join(" "));
  }
}

/** A line on which something has happened already, each act committed by itself. */
export function given(...acts: readonly Act[]): Line {
  return on(PLANT, ...acts);
}

export function on(plant: ModelOptions, ...acts: readonly Act[]): Line {
  const line = new Line(createModel(plant));
  for (const act of acts) line.model.run(line.signals([act]));
  return line;
}

/** A guard that throws when `throws` says so: nobody planned for that. */
export function failing(throws: (asked: { readonly step: string | null; readonly event: string }) => boolean): ModelOptions {
  return {
    ...PLANT,
    machines: (machines: Machines): Machines => ({
      ...machines,
      step: (batch) => {
        const machine = machines.step(batch);
        return {
          ...machine,
          next: (state, event, context, unasked) => {
            if (throws({ step: context.step?.step ?? null, event })) throw new Error("a guard fell over");
            return machine.next(state, event, context, unasked);
          },
        };
      },
    }),
  };
}

/** What matters about rounds: status and code of each. */
export const told = (verdicts: readonly VerdictRow[]): readonly string[] => verdicts.map((v) => (v.code === null ? v.status : `${v.status} ${v.code}`));
