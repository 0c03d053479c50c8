import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { type BrokerAccess, watch } from "./broker.mqtt.ts";
import { FAULT_IN_WORDS, type Fault, planFaults, randomFrom, type StepFaults } from "./fault-plan.ts";
import { type Column, type Delivered, type Given, type Reconciled, reconcile } from "./reconcile.ts";
import { problemInWords, type Rest } from "./rest.fetch.ts";
import { Said } from "./said.ts";
import { createDevice, type Sent, type SimulatedDevice } from "./simulated-device.mqtt.ts";
import type { Terminal } from "./terminal.ts";
import { type OutcomeEvent, outcomeSchema, read, type VerdictData, verdictEventSchema, verdictSchema } from "./verdict-data.ts";
import { printable, verdictLine } from "./verdict-line.ts";
import { ask } from "./why.ts";

const SITE = "rtm1";
const LINE = "4";
const RECIPE = { recipe: "tablet-mix", revision: 1 };

/** The steps of examples/plant/recipes/tablet-mix.1.json, as the devices of line 4 work them. */
const STEPS = [
  {
    step: "dispense",
    equipment: "scale-1",
    minMs: 0,
    evidence: [
      { evidence: "container", value: "P-200-ACTIVE" },
      { evidence: "net-weight", value: "5.012", unit: "kg" },
    ],
  },
  {
    step: "blend",
    equipment: "mixer-1",
    minMs: 550,
    evidence: [
      { evidence: "speed", value: "20.0", unit: "/min" },
      { evidence: "end-temperature", value: "24.6", unit: "Cel" },
    ],
  },
  { step: "check", equipment: "scanner-1", minMs: 0, evidence: [{ evidence: "appearance", value: true }] },
  {
    step: "pack",
    equipment: "printer-1",
    minMs: 0,
    evidence: [
      { evidence: "label", value: "P-200-DRUM-LABEL" },
      { evidence: "drums", value: "4" },
    ],
  },
] as const;
type Step = (typeof STEPS)[number];

const ROLES = { scale: "scale-1", mixer: "mixer-1", scanner: "scanner-1", printer: "printer-1" };
const GOOD = ["accepted", "accepted_with_exception"];

export interface Simulation {
  readonly rest: Rest;
  readonly access: BrokerAccess;
  readonly prefix: string;
  readonly seed: number;
  readonly batches: number;
  /** No pauses for a reader between the messages. */
  readonly fast: boolean;
  readonly terminal: Terminal;
  /** Verdicts and faults as they come. */
  readonly live: boolean;
  readonly stop: AbortSignal;
}

/**
 * Line 4 of the sample plant makes batches of tablet-mix: four devices, each an MQTT client of its own, misbehave by seed. In the end what happened is counted three times apart.
 * Throws Said when the plant is not registered, or a device's event is refused although it was in order.
 */
export async function simulate(simulation: Simulation): Promise<Reconciled> {
  const { rest, access, prefix, terminal, live } = simulation;
  const run = Date.now().toString(36).toUpperCase();
  const subscriber: { verdicts: Given[]; outcomes: OutcomeEvent[] } = { verdicts: [], outcomes: [] };
  const ours = (batch: string | null | undefined): boolean => batch?.startsWith(`D${run}-`) === true;
  let changed: () => void = () => {};
  const observer = await watch(
    access,
    [`${prefix}site/${SITE}/line/${LINE}/eq/+/verdict`, `${prefix}site/${SITE}/line/${LINE}/batch/+/outcome`],
    (topic, text) => {
      const verdict = read(verdictEventSchema, text);
      const outcome = verdict === null ? read(outcomeSchema, text) : null;
      if (verdict !== null) {
        subscriber.verdicts.push({ equipment: topic.split("/").at(-2) ?? "", verdict: verdict.data });
        if (live) terminal.out(verdictLine(verdict.data, verdict.time, terminal.paint, topic.split("/").at(-2) ?? null));
      } else if (outcome !== null && ours(outcome.data.batch)) subscriber.outcomes.push(outcome);
      changed();
    },
  );
  const devices = new Map<string, SimulatedDevice>();
  try {
    for (const [index, { equipment }] of STEPS.entries()) {
      const { url, ...identity } = access;
      devices.set(equipment, await createDevice({ url, access: identity, source: sourceOf(equipment), epoch: Date.now() + index, prefix }));
    }
    const line = new Line(simulation, devices, `D${run}`);
    await line.work();
    await quiet(line, subscriber, (listener) => {
      changed = listener;
    });
    const heard = [...devices].flatMap(([equipment, { heard }]) => heard.map(({ verdict }) => ({ equipment, verdict })));
    return reconcile(line.delivered, heard, line.completed, subscriber, await recorded(rest, line.batches));
  } finally {
    await Promise.all([...devices.values()].map((device) => device.close()));
    await observer.stop();
  }
}

const sourceOf = (equipment: string): string => `/site/${SITE}/line/${LINE}/eq/${equipment}`;

class Line {
  readonly delivered: Delivered[] = [];
  readonly batches: string[] = [];
  completed = 0;
  readonly #simulation: Simulation;
  readonly #devices: ReadonlyMap<string, SimulatedDevice>;
  readonly #run: string;
  readonly #random: () => number;
  /** Starts that were asked too early, by step. */
  readonly #early = new Map<string, Sent>();

  constructor(simulation: Simulation, devices: ReadonlyMap<string, SimulatedDevice>, run: string) {
    this.#simulation = simulation;
    this.#devices = devices;
    this.#run = run;
    this.#random = randomFrom(simulation.seed ^ 0x5eed);
  }

  async work(): Promise<void> {
    const { seed, batches, terminal, live, stop } = this.#simulation;
    const aborted = `${this.#run}-0`;
    await this.#create(aborted);
    for (const command of ["release-to-floor", "start", "abort"]) await this.#command(aborted, command);
    for (const [index, plan] of planFaults(seed, batches, STEPS.length).entries()) {
      if (stop.aborted) return;
      const batch = `${this.#run}-${index + 1}`;
      terminal.progress(`Batch ${index + 1} of ${batches} …`);
      if (live) terminal.out(terminal.paint("bold", `Batch ${batch}`));
      await this.#create(batch);
      await this.#command(batch, "release-to-floor");
      await this.#command(batch, "start");
      this.#early.clear();
      for (const [number, step] of STEPS.entries())
        await this.#step(batch, aborted, step, STEPS[number + 1] ?? null, plan[number] ?? { order: null, others: [] });
      this.completed += 1;
    }
  }

  async #create(batch: string): Promise<void> {
    this.batches.push(batch);
    const body = { batch, jobOrder: `PO-${batch}`, line: LINE, ...RECIPE, quantity: { value: "50.000", unit: "kg" }, equipment: ROLES };
    await this.#post(`/v1/sites/${SITE}/batches`, body, `create-${batch}`);
  }

  async #command(batch: string, command: string): Promise<void> {
    await this.#post(`/v1/sites/${SITE}/batches/${batch}/commands`, { command, reason: "simulated plant" }, `${command}-${batch}`);
  }

  async #post(path: string, body: unknown, key: string): Promise<void> {
    const answer = await this.#simulation.rest.ask("POST", path, body, { "idempotency-key": key });
    if (answer.ok) return;
    throw new Said(
      `POST ${path} was refused: ${problemInWords(answer.problem)}. Is the sample plant registered (signalbox registry apply examples/plant), and line 4 free?`,
    );
  }

  async #step(batch: string, aborted: string, step: Step, after: Step | null, faults: StepFaults): Promise<void> {
    const device = this.#device(step.equipment);
    const at = { batchid: batch, stepid: step.step };
    const has = (fault: Fault): boolean => faults.order === fault || faults.others.some((other) => other === fault);
    for (const fault of [...faults.others, ...(faults.order === null ? [] : [faults.order])]) this.#tell(step.equipment, fault);

    if (has("malformed")) await this.#raw(device, step, '{"specversion":"1.0","id":"half');
    if (has("wrong-batch")) {
      const claim = device.prepare("step.start", { ...at, batchid: aborted });
      await this.#deliver(device, step, claim, ["rejected"], "wrong-batch");
      await device.settled(id(claim));
    }
    const early = this.#early.get(step.step);
    const start = early !== undefined && GOOD.includes((await device.settled(id(early))).status) ? early : await this.#request(device, step, "step.start", at);
    const began = Date.now();
    // MQTT 5 tells a retained copy from the rest: it is never a fact. 3.1.1 does not, and it is a repetition.
    if (has("retained")) await this.#deliver(device, step, start, ["duplicate", "observed"], "retained", true);

    const pieces: readonly Readonly<Record<string, unknown>>[] = step.evidence;
    for (const [index, piece] of pieces.slice(0, -1).entries()) await this.#evidence(device, step, at, piece, index === 0, has);
    const last = pieces.at(-1) ?? {};
    const isFirst = pieces.length === 1;
    await pause(Math.max(0, began + step.minMs - Date.now()));
    if (after !== null && has("skip-a-step")) {
      const other = this.#device(after.equipment);
      const start = other.prepare("step.start", { batchid: batch, stepid: after.step });
      this.#early.set(after.step, start);
      await this.#deliver(other, after, start, [...GOOD, "rejected"], "skip-a-step");
    }
    if (faults.order === null) {
      await this.#evidence(device, step, at, last, isFirst, has);
      await this.#request(device, step, "step.complete", at);
    } else await this.#outOfOrder(device, step, at, last, faults.order, isFirst, has);
  }

  /** The last evidence and the completion, not in the order in which they belong. */
  async #outOfOrder(
    device: SimulatedDevice,
    step: Step,
    at: Claim,
    piece: Readonly<Record<string, unknown>>,
    fault: Fault,
    isFirst: boolean,
    has: (fault: Fault) => boolean,
  ): Promise<void> {
    if (fault === "reorder" || fault === "drop-and-resend") {
      const evidence = this.#prepared(device, at, piece, isFirst && has("clock-ahead"));
      const complete = device.prepare("step.complete", at);
      await this.#deliver(device, step, complete, GOOD, fault);
      if (fault === "drop-and-resend") {
        const lost = BigInt(evidence.sequence ?? 0);
        await device.until(`number ${lost} called missing`, () =>
          (device.cursor?.missing ?? []).some((gap) => gap.epoch === evidence.epoch && BigInt(gap.from) <= lost && lost <= BigInt(gap.to)),
        );
      }
      await this.#deliver(device, step, evidence, GOOD, fault);
      await device.settled(id(complete));
      await this.#again(device, step, at, evidence, piece, isFirst, has);
      return;
    }
    const complete = device.prepare("step.complete", at);
    await this.#deliver(device, step, complete, [...GOOD, "rejected"], fault);
    if (fault === "complete-far-too-early") await device.settled(id(complete));
    await this.#evidence(device, step, at, piece, isFirst, has);
    if (!GOOD.includes((await device.settled(id(complete))).status)) await this.#request(device, step, "step.complete", at);
  }

  async #evidence(
    device: SimulatedDevice,
    step: Step,
    at: Claim,
    piece: Readonly<Record<string, unknown>>,
    isFirst: boolean,
    has: (fault: Fault) => boolean,
  ): Promise<void> {
    const sent = this.#prepared(device, at, piece, isFirst && has("clock-ahead"));
    await this.#deliver(device, step, sent, GOOD, isFirst && has("clock-ahead") ? "clock-ahead" : null);
    await this.#mustBe(device, sent);
    await this.#again(device, step, at, sent, piece, isFirst, has);
  }

  /** The same event once more, and the same id with another value. */
  async #again(
    device: SimulatedDevice,
    step: Step,
    at: Claim,
    sent: Sent,
    piece: Readonly<Record<string, unknown>>,
    isFirst: boolean,
    has: (fault: Fault) => boolean,
  ): Promise<void> {
    if (!isFirst) return;
    if (has("repeat")) await this.#deliver(device, step, sent, ["duplicate"], "repeat");
    if (has("conflict")) {
      const other = {
        ...device.envelope("step.evidence", at, { ...piece, value: typeof piece["value"] === "boolean" ? false : "1" }),
        id: sent.id,
        epoch: sent.epoch,
        sequence: sent.sequence,
      };
      await this.#deliver(device, step, { ...sent, payload: JSON.stringify(other) }, ["quarantined"], "conflict");
    }
  }

  /** A request in good order: anything but an acceptance ends the run. */
  async #request(device: SimulatedDevice, step: Step, type: string, at: Claim): Promise<Sent> {
    const sent = device.prepare(type, at);
    await this.#deliver(device, step, sent, GOOD, null);
    await this.#mustBe(device, sent);
    return sent;
  }

  async #mustBe(device: SimulatedDevice, sent: Sent): Promise<void> {
    const verdict: VerdictData = await device.settled(id(sent));
    if (!GOOD.includes(verdict.status))
      throw new Said(printable(`${sent.type} ${sent.id} was in order and ended ${verdict.status} ${verdict.code ?? ""}: ${verdict.reason ?? ""}`));
  }

  #prepared(device: SimulatedDevice, at: Claim, piece: Readonly<Record<string, unknown>>, ahead: boolean): Sent {
    return device.prepare("step.evidence", { ...at, ...(ahead ? { time: new Date(Date.now() + 7_200_000).toISOString() } : {}) }, piece);
  }

  async #deliver(device: SimulatedDevice, step: Step, sent: Sent, allowed: readonly string[], fault: Fault | null, retain = false): Promise<void> {
    await this.#breathe();
    this.delivered.push({ equipment: step.equipment, source: device.source, id: sent.id, type: sent.type, fault, allowed });
    await device.resend(sent, { retain });
  }

  async #raw(device: SimulatedDevice, step: Step, payload: string): Promise<void> {
    await this.#breathe();
    this.delivered.push({ equipment: step.equipment, source: device.source, id: null, type: null, fault: "malformed", allowed: ["rejected"] });
    await device.raw(payload);
  }

  /** So that a person can read along. */
  async #breathe(): Promise<void> {
    if (!this.#simulation.fast) await pause(100 + this.#random() * 200);
  }

  #tell(equipment: string, fault: Fault): void {
    const { live, terminal } = this.#simulation;
    if (live) terminal.out(terminal.paint("dim", `    ${equipment} ${FAULT_IN_WORDS[fault]}`));
  }

  #device(equipment: string): SimulatedDevice {
    const device = this.#devices.get(equipment);
    if (device === undefined) throw new Error(`no device ${equipment}`);
    return device;
  }
}

// an alias, since an interface is no record
type Claim = { readonly batchid: string; readonly stepid: string };

const id = (sent: Sent): string => sent.id ?? "";

const settledStatus = ({ status }: VerdictData): boolean => status !== "deferred";

/** Until the subscriber has heard a settled verdict on each delivery, and the end of each batch; at most 20 seconds. What is missing then is missing in the count. */
async function quiet(line: Line, subscriber: Column, onChange: (listener: () => void) => void): Promise<void> {
  const complete = (): boolean =>
    subscriber.verdicts.filter(({ verdict }) => settledStatus(verdict)).length >= line.delivered.length &&
    subscriber.outcomes.filter(({ type }) => type === "signalbox.batch.completed.v1").length >= line.completed;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, 20_000);
    const look = (): void => {
      if (!complete()) return;
      clearTimeout(timer);
      resolve();
    };
    onChange(look);
    look();
  });
}

const outcomesSchema = z.looseObject({ items: z.array(outcomeSchema), after: z.number() });
const eventsSchema = z.looseObject({ items: z.array(verdictSchema), cursor: z.string().nullish() });

/** What the record says over REST: of these batches, and of the line's equipment since the first of them was created. */
async function recorded(rest: Rest, batches: readonly string[]): Promise<Column> {
  const outcomes: OutcomeEvent[] = [];
  for (const batch of batches) {
    for (let after = 0; ; ) {
      const page = await ask(
        rest,
        `/v1/outcomes?${new URLSearchParams({ site: SITE, stream: `batch/${batch}`, after: String(after), limit: "500" })}`,
        outcomesSchema,
      );
      if (page.items.length === 0) break;
      outcomes.push(...page.items);
      after = page.after;
    }
  }
  const first = Math.min(...outcomes.map(({ data }) => data.position));
  const verdicts: Given[] = [];
  for (const { equipment } of STEPS) {
    let cursor: string | null = null;
    do {
      const query = new URLSearchParams({ site: SITE, equipment, limit: "500", ...(cursor === null ? {} : { cursor }) });
      const page: z.infer<typeof eventsSchema> = await ask(rest, `/v1/events?${query}`, eventsSchema);
      verdicts.push(...page.items.filter(({ position }) => position > first).map((verdict) => ({ equipment, verdict })));
      cursor = page.cursor ?? null;
    } while (cursor !== null);
  }
  return { verdicts, outcomes };
}
