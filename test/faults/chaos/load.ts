// What the plant says while everything breaks: devices that report, and batches that are made.
import { BLEND } from "../../support/blend.ts";
import { sourceOf } from "../../support/mqtt.ts";
import type { Heard, Sent } from "../history/history.ts";
import type { Fleet } from "./fleet.ts";
import type { MesObserver } from "./observer.ts";
import { createSender, type Sender } from "./sender.ts";

export interface LoadOptions {
  readonly site: string;
  readonly brokerUrl: () => string;
  readonly fleet: Fleet;
  readonly observer: MesObserver;
  readonly resends: boolean;
  readonly eventsPerSecond: number;
  readonly random: () => number;
}

export interface Load {
  readonly sent: readonly Sent[];
  readonly batches: readonly string[];
  readonly senders: readonly Sender[];
  /** Ends when everything begun is through. */
  stop(): Promise<void>;
  close(): void;
}

export const UNITS = Array.from({ length: 14 }, (_, n) => `unit-${n + 1}`);
/** Each line has a scale and a mixer of its own. */
export const LINES = ["1", "2", "3"];
const VERDICT_MS = 45_000;

export async function startLoad(options: LoadOptions): Promise<Load> {
  const { site, fleet, random } = options;
  const sent: Sent[] = [];
  const batches: string[] = [];
  const senders = new Map<string, Sender>();
  const sender = (line: string, equipment: string): Sender => {
    const made =
      senders.get(equipment) ?? createSender({ brokerUrl: options.brokerUrl, source: sourceOf(site, line, equipment), resends: options.resends, sent });
    senders.set(equipment, made);
    return made;
  };
  const final = finals(options.observer);
  let stopping = false;

  async function report(unit: string): Promise<void> {
    const device = sender("1", unit);
    const pauseMs = (UNITS.length * 1000) / options.eventsPerSecond;
    while (!stopping) {
      const began = performance.now();
      const draw = random();
      if (draw < 0.03) await device.sendSwapped("call.raised", { call: "help" });
      // the id of an earlier event with other content: a conflict, never a duplicate
      else if (draw < 0.04) await device.send("call.raised", { call: "other" }, { id: `${unit}-1-1` });
      else if (draw < 0.1) await device.send("alarm.raised", { alarm: `A-${Math.floor(random() * 1e9)}`, severity: "low" });
      else await device.send("call.raised", { call: "help" });
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, pauseMs * (0.5 + random()) - (performance.now() - began))));
    }
  }

  async function makeBatches(line: string): Promise<void> {
    const scale = sender(line, `scale-${line}`);
    const mixer = sender(line, `mixer-${line}`);
    for (let n = 1; !stopping; n += 1) {
      const batch = `B-${line}-${n}`;
      batches.push(batch);
      const path = `/v1/sites/${site}/batches`;
      const once = (key: string): Record<string, string> => ({ "idempotency-key": `${batch}-${key}` });
      const job = {
        batch,
        jobOrder: `PO-${batch}`,
        line,
        recipe: BLEND.recipe,
        revision: BLEND.revision,
        quantity: BLEND.quantity,
        equipment: { scale: `scale-${line}`, mixer: `mixer-${line}` },
      };
      await fleet.insist("POST", path, job, once("create"));
      for (const command of ["release-to-floor", "start"]) await fleet.insist("POST", `${path}/${batch}/commands`, { command, reason: "chaos" }, once(command));
      const step = async (device: Sender, stepid: string, evidence: Readonly<Record<string, string>>, waitMs: number): Promise<boolean> => {
        const claim = { batchid: batch, stepid };
        await device.send("step.start", {}, claim);
        // sometimes asked too early, which is waited for and not refused
        const early = random() < 0.3 ? device.send("step.complete", {}, claim) : null;
        if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
        await device.send("step.evidence", evidence, claim);
        const asked = await (early ?? device.send("step.complete", {}, claim));
        return (await final.of(device.source, asked, VERDICT_MS)) === "accepted";
      };
      const done =
        (await step(scale, "weigh", { evidence: "net-weight", value: "12.503", unit: "kg" }, 0)) &&
        (await step(mixer, "blend", { evidence: "end-temperature", value: "24.5", unit: "Cel" }, 2_200));
      if (!done) await fleet.insist("POST", `${path}/${batch}/commands`, { command: "abort", reason: "chaos" }, once("abort"));
    }
  }

  const running = [...UNITS.map(report), ...LINES.map(makeBatches)];
  return {
    sent,
    batches,
    get senders() {
      return [...senders.values()];
    },
    async stop() {
      stopping = true;
      await Promise.all(running);
    },
    close() {
      stopping = true;
      for (const each of senders.values()) each.close();
    },
  };
}

/** Whom the final status of an event is waited for. */
function finals(observer: MesObserver): { of(source: string, id: string, timeoutMs: number): Promise<string | null> } {
  const known = new Map<string, string>();
  const waiting = new Map<string, (status: string) => void>();
  observer.onHeard(({ topic, body }: Heard) => {
    if (!topic.endsWith("/verdict") || body === null) return;
    const { event, status } = body.data as { event: { source: string; id: string }; status: string };
    if (status === "deferred" || status === "duplicate") return;
    const key = `${event.source} ${event.id}`;
    known.set(key, status);
    waiting.get(key)?.(status);
  });
  return {
    of: (source, id, timeoutMs) => {
      const key = `${source} ${id}`;
      const already = known.get(key);
      if (already !== undefined) return Promise.resolve(already);
      return new Promise((resolve) => {
        const timer = setTimeout(() => resolve(null), timeoutMs);
        waiting.set(key, (status) => {
          clearTimeout(timer);
          waiting.delete(key);
          resolve(status);
        });
      });
    },
  };
}
