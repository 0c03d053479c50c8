import type { Command } from "../../../src/decide/signal.ts";
import { BLEND } from "../../support/blend.ts";
import { seeded } from "../../support/measure.ts";
import { FAULTS, type Fault, type FaultKind } from "./faults.ts";

// What happens in one run, out of its seed: what devices send and when, what people order, and what goes wrong. Everything here is data, so that a failing run can be made smaller by
// leaving parts of it out.

export const SITE = "sim";
/** Where the clock of every run begins, in milliseconds since 1970. */
export const BEGINNING = Date.parse("2026-11-22T08:00:00.000Z");
/** The span within which devices speak and faults begin, in milliseconds. */
export const BUSY_MS = 8_000;

export interface Send {
  /** Milliseconds after the beginning. */
  readonly at: number;
  readonly source: string;
  readonly topic: string;
  readonly id: string;
  /** Empty where a source does not number. */
  readonly epoch: string;
  readonly sequence: string;
  readonly type: string;
  readonly payload: string;
}

/** A heartbeat: says which number its device gave last, without taking one. */
export interface Beat {
  readonly at: number;
  readonly source: string;
  readonly epoch: string;
  readonly sequence: string;
}

export interface Order {
  readonly at: number;
  readonly command: Command;
}

/** What devices do wrong by themselves, and how often they did. */
export type Mischief = "duplicate" | "reordered" | "conflict" | "number_reused" | "number_lost" | "reboot" | "illegal";

export interface Plan {
  readonly seed: number;
  readonly sends: readonly Send[];
  readonly beats: readonly Beat[];
  readonly orders: readonly Order[];
  readonly faults: readonly Fault[];
  readonly mischief: Readonly<Record<Mischief, number>>;
  /** Devices send again what the broker did not acknowledge, on their next connection. */
  readonly resends: boolean;
  readonly overDelivers: boolean;
  /** How much the broker queues for a session that is away. */
  readonly queueLimit: number;
  readonly receiveMaximum: number;
  /** Whether a signer signs the site's record. */
  readonly signs: boolean;
  /** What the site shows: what is committed, or only what is signed. */
  readonly shows: "commit" | "checkpoint";
}

export const EQUIPMENT = [
  { equipment: "scale-1", line: "4", class: "scale" },
  { equipment: "scale-2", line: "4", class: "scale" },
  { equipment: "mixer-1", line: "4", class: "mixer" },
  { equipment: "mixer-2", line: "4", class: "mixer" },
] as const;

/** A button that gives ids and no numbers: of its events at most once rests on the ids alone. */
export const BUTTON = { equipment: "mixer-1", device: "button", numbering: false } as const;
export const BUTTON_SOURCE = `/site/${SITE}/line/4/eq/mixer-1/device/button`;

export const sourceOf = (equipment: string): string => `/site/${SITE}/line/4/eq/${equipment}`;

/** The branch of a source: what stands before `/event` and `/diag` in its topics. */
export const branchOf = (source: string): string => source.slice(1).replace(/\/device\/.*$/, "");

/** What a source says, before it is numbered. */
interface Wanted {
  readonly at: number;
  readonly type: string;
  readonly batch?: string;
  readonly step?: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What a seed sends at least, presses of the button filling up. */
const DELIVERIES = 200;

export function planOf(seed: number): Plan {
  const random = seeded(seed);
  const upTo = (n: number): number => Math.floor(random() * n);
  const mischief: Record<Mischief, number> = { duplicate: 0, reordered: 0, conflict: 0, number_reused: 0, number_lost: 0, reboot: 0, illegal: 0 };
  const sharedMixer = random() < 0.3;
  const wanted = new Map<string, Wanted[]>(EQUIPMENT.map(({ equipment }) => [equipment, []]));
  const say = (equipment: string, at: number, type: string, more: Omit<Wanted, "at" | "type"> = { data: {} }): void => {
    wanted.get(equipment)?.push({ at, type, ...more });
  };
  const orders: Order[] = [];
  const order = (at: number, command: Command): void => void orders.push({ at, command });

  for (const [n, batch] of ["B-1", "B-2"].entries()) {
    const scale = `scale-${n + 1}`;
    const mixer = n === 1 && !sharedMixer ? "mixer-2" : "mixer-1";
    const began = 200 + n * 500 + upTo(1_500);
    order(began - 150, {
      kind: "batch.create",
      batch,
      jobOrder: `PO-${n + 1}`,
      line: "4",
      recipe: BLEND.recipe,
      revision: BLEND.revision,
      quantity: { value: "25.000", unit: "kg" },
      equipment: { scale, mixer },
      asked: `asked ${batch}`,
    });
    order(began - 100, { kind: "batch.command", batch, command: "release-to-floor", reason: "plan" });
    order(began, { kind: "batch.command", batch, command: "start", reason: "plan" });
    const weigh = { batch, step: "weigh", data: {} };
    const blend = { batch, step: "blend", data: {} };
    // sometimes before the batch runs, sometimes the completion before the weight: not yet is not no
    let at = began + upTo(900) - 200;
    say(scale, at, "step.start", weigh);
    const [weighs, completes] = random() < 0.3 ? [at + 900 + upTo(1_500), at + 500] : [at + 400, at + 800 + upTo(500)];
    say(scale, weighs, "step.evidence", { ...weigh, data: { evidence: "net-weight", value: random() < 0.9 ? "12.50" : "19.00", unit: "kg" } });
    say(scale, completes, "step.complete", weigh);
    at = Math.max(weighs, completes) + 300 + upTo(800);
    say(mixer, at, "step.start", blend);
    if (random() < 0.3) {
      say(mixer, at + 300, "step.pause", blend);
      say(mixer, at + 700, "step.resume", blend);
    }
    say(mixer, at + 1_000, "step.evidence", { ...blend, data: { evidence: "end-temperature", value: String(18 + upTo(20)), unit: "Cel" } });
    say(mixer, at + 2_400 + upTo(600), "step.complete", blend);
    if (random() < 0.15) say(mixer, at + upTo(2_000), "batch.abort", { batch, data: {} });
    else if (random() < 0.5) order(at + 3_500 + upTo(2_000), { kind: "batch.command", batch, command: "close", reason: "done" });
    if (random() < 0.3) {
      mischief.illegal += 1;
      say(scale, began + upTo(6_000), "step.resume", { batch, step: "weigh", data: {} });
    }
  }
  let counted = 0;
  for (let n = 0; n < 156; n += 1) {
    const { equipment } = EQUIPMENT[upTo(EQUIPMENT.length)] ?? EQUIPMENT[0];
    counted += 1;
    const kind = random();
    if (kind < 0.6) say(equipment, upTo(BUSY_MS), "call.raised", { data: { call: "help" } });
    else if (kind < 0.8) say(equipment, upTo(BUSY_MS), "count.reported", { data: { counter: "strokes", value: String(counted), unit: "1" } });
    else if (kind < 0.95) say(equipment, upTo(BUSY_MS), "equipment.state", { data: { state: random() < 0.5 ? "Execute" : "Idle" } });
    else say(equipment, upTo(BUSY_MS), "alarm.raised", { data: { alarm: "overheat" } });
  }

  const sends: Send[] = [];
  const beats: Beat[] = [];
  for (const [equipment, list] of wanted) {
    list.sort((a, b) => a.at - b.at);
    let epoch = 7;
    let sequence = 0;
    const reboots = random() < 0.2 ? upTo(list.length) : -1;
    const period = 1_000 + upTo(1_500);
    let beatsAt = upTo(period);
    for (const [n, { at, type, batch, step, data }] of list.entries()) {
      for (; beatsAt < at; beatsAt += period) beats.push({ at: beatsAt, source: sourceOf(equipment), epoch: String(epoch), sequence: String(sequence) });
      if (n === reboots) {
        mischief.reboot += 1;
        epoch += 1;
        sequence = 0;
      }
      sequence += 1;
      if (random() < 0.004) {
        mischief.number_lost += 1;
        sequence += 1;
      }
      const send = sendOf(sourceOf(equipment), { epoch, sequence }, at, `${equipment}-${epoch}-${sequence}`, type, { batch, step, data });
      const late = random() < 0.04;
      if (late) mischief.reordered += 1;
      sends.push(late ? { ...send, at: at + 200 + upTo(1_500) } : send);
      if (random() < 0.08) {
        mischief.duplicate += 1;
        sends.push({ ...send, at: at + upTo(4_000) });
      }
      if (random() < 0.004) {
        mischief.conflict += 1;
        sends.push(sendOf(sourceOf(equipment), { epoch, sequence }, at + upTo(2_000), send.id, type, { batch, step, data: { ...data, note: "other" } }));
      }
      if (random() < 0.002) {
        mischief.number_reused += 1;
        sends.push(sendOf(sourceOf(equipment), { epoch, sequence }, at + upTo(2_000), `${send.id}-again`, "call.raised", { data: { call: "other" } }));
      }
    }
  }
  for (let n = 1; n <= 12 || sends.length < DELIVERIES; n += 1) {
    const at = upTo(BUSY_MS);
    const press = sendOf(BUTTON_SOURCE, null, at, `press-${n}`, "call.raised", { data: { call: "help" } });
    sends.push(press);
    if (random() < 0.3) {
      mischief.duplicate += 1;
      sends.push({ ...press, at: at + upTo(4_000) });
    }
  }
  // what is sent comes in bursts: from one by one, as it happens, to once a second, as gateways do it
  const burst = [1, 100, 300, 1_000][upTo(4)] ?? 1;
  const bursts = sends.map((send) => ({ ...send, at: Math.ceil(send.at / burst) * burst })).sort((a, b) => a.at - b.at);

  const kinds = Object.keys(FAULTS).filter((kind): kind is FaultKind => kind in FAULTS && kind !== "signer_killed");
  const particulars = (kind: FaultKind): Fault => ({
    at: 300 + upTo(BUSY_MS - 600),
    kind,
    ms: FAULTS[kind].shortest + upTo(FAULTS[kind].longest - FAULTS[kind].shortest + 1),
    n: upTo(1_000_000),
  });
  const faults: Fault[] = Array.from({ length: 5 + upTo(4) }, () => {
    // a third of them at a point within the process, so that each of those is tried as often as what happens outside
    const kind = random() < 0.35 ? (random() < 0.6 ? "point" : "point_stop") : (kinds[upTo(kinds.length)] ?? "kill");
    return particulars(kind);
  });
  const resends = random() < 0.3;
  const overDelivers = random() < 0.3;
  const queueLimit = random() < 0.05 ? 40 : 100_000;
  const receiveMaximum = [4, 20, 64, 1_024][upTo(4)] ?? 20;
  // a signer reads and hashes all that is on record twice a second: every sixteenth seed has one
  const signs = seed % 16 === 0;
  if (signs) faults.push(...Array.from({ length: 1 + upTo(3) }, () => particulars("signer_killed")));
  return {
    seed,
    sends: bursts,
    beats: beats.sort((a, b) => a.at - b.at),
    orders: orders.sort((a, b) => a.at - b.at),
    faults: faults.sort((a, b) => a.at - b.at),
    mischief,
    resends,
    overDelivers,
    queueLimit,
    receiveMaximum,
    signs,
    shows: signs && random() < 0.5 ? "checkpoint" : "commit",
  };
}

function sendOf(
  source: string,
  number: { readonly epoch: number; readonly sequence: number } | null,
  at: number,
  id: string,
  type: string,
  { batch, step, data }: { readonly batch?: string | undefined; readonly step?: string | undefined; readonly data: Readonly<Record<string, unknown>> },
): Send {
  const [epoch, sequence] = number === null ? ["", ""] : [String(number.epoch), String(number.sequence)];
  const payload = JSON.stringify({
    specversion: "1.0",
    id,
    source,
    type: `signalbox.${type}.v1`,
    time: new Date(BEGINNING + at).toISOString(),
    ...(number === null ? {} : { epoch, sequence }),
    ...(batch === undefined ? {} : { batchid: batch }),
    ...(step === undefined ? {} : { stepid: step }),
    data,
  });
  return { at, source, topic: `${branchOf(source)}/event`, id, epoch, sequence, type, payload };
}
