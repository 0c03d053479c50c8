// After the last fault: everything is healed, and what was sent is waited for until it is decided, published and heard, or too long has passed.

import type { End, Sent } from "../history/history.ts";
import { outcomes, verdicts } from "./callers.ts";
import { sleep } from "./fault.ts";
import { cloudEvent, type Item } from "./items.ts";
import type { MesObserver } from "./observer.ts";
import type { Rig } from "./rig.ts";
import type { Sender } from "./sender.ts";

export interface Settled {
  readonly end: End;
  /** Empty once everything has settled. */
  readonly open: string;
}

export interface SettleOptions {
  readonly rig: Rig;
  readonly sent: readonly Sent[];
  readonly senders: readonly Sender[];
  readonly resends: boolean;
  readonly observer: MesObserver;
  readonly batches: readonly string[];
  /** The broker forgot what it held for the observer as well. */
  readonly observerMayLack: boolean;
  readonly longestMs: number;
}

/** What no fault that is over may leave behind: servers that are down. */
export async function heal({ database, broker }: Rig): Promise<void> {
  if (!database.cluster.running()) await database.cluster.start();
  await broker.start();
}

export async function settle(options: SettleOptions): Promise<Settled> {
  const until = performance.now() + options.longestMs;
  for (;;) {
    if (options.resends) for (const sender of options.senders) await sender.catchUp();
    const seen = await look(options);
    if (seen !== null && (seen.open === "" || performance.now() > until)) return { ...seen, end: { ...seen.end, batches: await records(options) } };
    if (performance.now() > until + 60_000) return { open: "REST did not answer", end: { verdicts: [], outcomes: [], batches: [] } };
    await sleep(1_000);
  }
}

async function look({ rig, sent, observer, observerMayLack }: SettleOptions): Promise<Settled | null> {
  const [rounds, told] = [await verdicts(rig.fleet, rig.site), await outcomes(rig.fleet, rig.site, null)];
  if (rounds === null || told === null) return null;
  const decided = new Set<string>();
  const last = new Map<string, unknown>();
  for (const round of rounds) {
    const event = round["event"] as { source: string; id: string };
    decided.add(`${event.source} ${event.id}`);
    last.set(`${event.source} ${event.id} ${round["status"] === "duplicate"}`, round["status"]);
  }
  const undecided = sent.filter((one) => one.acknowledgedAt !== null && !decided.has(`${one.source} ${one.id}`)).length;
  const deferred = [...last.values()].filter((status) => status === "deferred").length;
  const heard = new Set(observer.heard.map(({ body }) => body?.id));
  const unheard = observerMayLack ? 0 : [...told, ...rounds].filter((item) => !heard.has(String(item["id"] ?? item["verdict"]))).length;
  const open = [
    undecided > 0 ? `${undecided} events without a verdict` : "",
    deferred > 0 ? `${deferred} events still deferred` : "",
    unheard > 0 ? `${unheard} outcomes and verdicts not heard` : "",
  ].filter((part) => part !== "");
  return { open: open.join(", "), end: { verdicts: rounds, outcomes: told.map((item) => cloudEvent.parse(item)), batches: [] } };
}

async function records({ rig, batches }: SettleOptions): Promise<readonly Item[]> {
  const all: Item[] = [];
  for (const batch of batches) {
    const answer = await rig.fleet.insist("GET", `/v1/sites/${rig.site}/batches/${batch}/record`);
    if (answer?.status === 200) all.push(answer.body as Item);
  }
  return all;
}
