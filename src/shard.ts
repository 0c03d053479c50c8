import type { Holder, Taken } from "./commit/lease.store.ts";
import type { Settlement } from "./decide/settle.ts";
import type { Verdict } from "./decide/verdict.ts";
import { type CommandRequest, Drive, type DriveStages, type Head, type Meter, Unavailable } from "./drive.ts";
import type { Log } from "./ops/log.ts";
import { type SourceWatch, sourceWatch } from "./ops/source-watch.ts";
import type { WithSpan } from "./ops/telemetry.ts";
import type { Time } from "./ops/time.ts";
import { handedBy } from "./publish/handed.ts";
import type { Publisher, PublisherOptions } from "./publish/publisher.mqtt.ts";
import type { RelayStore, ToldVerdicts } from "./publish/relay.store.ts";
import { createRelay } from "./publish/relay.ts";
import type { Delivery } from "./receive/delivery.ts";
import type { Quota } from "./receive/quota.ts";
import type { Subscriber, SubscriberOptions } from "./receive/session.mqtt.ts";

/** The lease of one shard, under one owner's name. All three may throw what the database throws; then nothing is known. */
export interface Lease {
  /** The name under which it is taken. */
  readonly owner: string;
  take(): Promise<Taken>;
  /** false: the term is over. */
  renew(term: number): Promise<boolean>;
  release(term: number): Promise<void>;
}

/** What a drive needs of the subscriber; the shard has it, and lends it to whoever makes the stages. */
export type SessionStages = Pick<DriveStages, "acknowledge" | "receiving" | "unacknowledged">;

/** What the shard says of a session; where the broker is and who we are to it is for whoever makes it. */
export type SubscriberWishes = Pick<SubscriberOptions, "clientId" | "topics" | "onDelivery" | "onConnected" | "onDisconnected"> & {
  mayConnect(): Promise<boolean>;
};
export type PublisherWishes = Pick<PublisherOptions, "clientId" | "onConnected" | "onDisconnected"> & { mayConnect(): Promise<boolean> };

export interface ShardMeter extends Meter {
  published(outcomes: number): void;
  brokerConnected(site: string, role: "subscriber" | "publisher", connected: boolean): void;
  sessionLost(): void;
  ownership(site: string, owned: boolean, term: number): void;
}

/** Everything that a shard reaches the world by. No database, no broker, no clock of its own: a simulator gives it its own. */
export interface ShardPorts {
  readonly site: string;
  readonly shard: string;
  readonly prefix: string;
  readonly verdicts: ToldVerdicts;
  /** What each branch may bring; null: any number. */
  readonly quota: Quota | null;
  readonly time: Time;
  readonly log: Log;
  readonly meter: ShardMeter;
  readonly withSpan: WithSpan;
  readonly lease: Lease;
  stages(term: number, session: SessionStages): DriveStages | Promise<DriveStages>;
  relayStore(term: number): RelayStore;
  createSubscriber(wishes: SubscriberWishes): Subscriber;
  createPublisher(wishes: PublisherWishes): Publisher;
  /** Told after each commit, once everything in it is durable and acknowledged. */
  onCommitted(settlement: Settlement, head: Head): void;
  /** The deployment is at fault: this process will not own the shard again. */
  onHalted(): void;
}

export interface ShardCondition {
  readonly state: "owner" | "standing by" | "halted" | "stopped";
  /** Who owns the shard, as far as this process knows: itself included. */
  readonly holder: Holder | null;
  /** Only of an owner. */
  readonly drive: Drive["condition"] | null;
  readonly connected: boolean;
}

/** Nothing was decided: this replica stands by, and another can be asked. */
export class StandingBy extends Unavailable {
  readonly owner: string | null;
  constructor(site: string, owner: string | null) {
    super(`this replica stands by for site ${site}`);
    this.owner = owner;
  }
}

/** A fifth of the lease: an owner may pause for two seconds at any moment before another can follow. */
const RENEW_MS = 500;
const TRY_MS = 500;
const NOT_WATCHED = { silent: 0, flapping: 0, skewed: 0 } as const;

/**
 * The life of one shard in one process: it stands by until the lease is free; then it is the owner, with sessions, drive and relay, until its term is over; then it
 * stands by again. A deployment fault halts it for good. Lease first, sessions second: the broker's take-over of the fixed client ids hands over what is not
 * acknowledged and ends the former owner's connections (docs/decisions/0008-ownership.md).
 */
export class Shard {
  readonly site: string;
  readonly #ports: ShardPorts;
  #ownership: Ownership | null = null;
  #holder: ShardCondition["holder"] = null;
  #halted = false;
  #stopping = false;
  #attempt: Promise<void> | null = null;
  #callOff: (() => void) | null = null;
  #inTrouble = false;
  /** Former ownerships that are not wholly at an end: a commit may still be on its way to be refused. */
  readonly #endings = new Set<Promise<unknown>>();

  constructor(ports: ShardPorts) {
    this.site = ports.site;
    this.#ports = ports;
  }

  /** Resolves when it is known whether the shard is ours and, if so, when it is subscribed or the first connection has failed; or when nobody could tell. Never rejects. */
  start(): Promise<void> {
    if (this.#attempt === null && !this.#stopping) this.#try();
    return this.#attempt ?? Promise.resolve();
  }

  /** Stops the flow forwards and gives the shard up, so that another takes it at once. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#callOff?.();
    await this.#attempt;
    await this.#ownership?.stop();
    this.#ownership = null;
    await Promise.all(this.#endings);
  }

  command(request: CommandRequest): ReturnType<Drive["command"]> {
    return this.#ownership === null ? Promise.reject(this.#refusal()) : this.#ownership.drive.command(request);
  }

  dryRun(delivery: Delivery): Promise<Verdict | null> {
    return this.#ownership === null ? Promise.reject(this.#refusal()) : this.#ownership.drive.dryRun(delivery);
  }

  /** More of the site is signed, and may be shown. */
  signed(): void {
    this.#ownership?.signed();
  }

  get condition(): ShardCondition {
    const owned = this.#ownership;
    return {
      state: this.#halted ? "halted" : owned !== null ? "owner" : this.#stopping ? "stopped" : "standing by",
      holder: owned === null ? this.#holder : { owner: this.#ports.lease.owner, term: owned.term },
      drive: owned?.drive.condition ?? null,
      connected: owned?.connected ?? false,
    };
  }

  /** What is noticed of the site's sources; only an owner hears them. */
  watched(nowMs: number): ReturnType<SourceWatch["count"]> {
    return this.#ownership?.watch.count(nowMs) ?? NOT_WATCHED;
  }

  #refusal(): Unavailable {
    return this.#halted || this.#stopping ? new Unavailable("the shard is not running") : new StandingBy(this.site, this.#holder?.owner ?? null);
  }

  #try(): void {
    this.#attempt = this.#take();
  }

  #tryAgain(afterMs: number): void {
    if (this.#stopping || this.#halted) return;
    // spread, so that several who stand by do not come in step
    this.#callOff = this.#ports.time.after(afterMs + this.#ports.time.chance() * (TRY_MS / 5), () => this.#try());
  }

  async #take(): Promise<void> {
    const { lease } = this.#ports;
    let taken: Taken;
    try {
      taken = await lease.take();
    } catch (error) {
      this.#trouble(error);
      this.#tryAgain(TRY_MS);
      return;
    }
    this.#inTrouble = false;
    if (taken.kind === "held") {
      this.#standBy(taken.by);
      this.#tryAgain(Math.min(TRY_MS, taken.leftMs));
      return;
    }
    if (this.#stopping) {
      await lease.release(taken.term).catch(() => {});
      return;
    }
    try {
      await this.#own(taken.term);
    } catch (error) {
      this.#trouble(error);
      await lease.release(taken.term).catch(() => {});
      this.#tryAgain(TRY_MS);
      return;
    }
  }

  async #own(term: number): Promise<void> {
    const { log, site, meter } = this.#ports;
    const owned = await own(this.#ports, term, (why, error, ended) => this.#over(owned, why, error, ended));
    this.#ownership = owned;
    this.#holder = null;
    meter.ownership(site, true, term);
    log.info({ site, owner: this.#ports.lease.owner, term }, "the shard is taken");
    try {
      await owned.start();
    } catch (error) {
      this.#ownership = null;
      meter.ownership(site, false, term);
      await owned.stop();
      throw error;
    }
  }

  #standBy(by: Holder): void {
    const { log, meter, site } = this.#ports;
    if (this.#holder?.owner !== by.owner || this.#holder.term !== by.term)
      log.info({ site, owner: by.owner, term: by.term }, "standing by; another owns the shard");
    this.#holder = by;
    meter.ownership(site, false, by.term);
  }

  #over(owned: Ownership, why: "fenced" | "deployment", error: unknown, ended: { readonly sessions: Promise<unknown>; readonly all: Promise<unknown> }): void {
    const { log, meter, site } = this.#ports;
    if (this.#ownership === owned) this.#ownership = null;
    meter.ownership(site, false, owned.term);
    this.#endings.add(ended.all);
    void ended.all.then(() => this.#endings.delete(ended.all));
    if (why === "fenced") {
      log.warn({ err: error, site, term: owned.term }, "another owner has taken the shard; this one stands by");
      // the next sessions bear the same names: these must be closed first
      void ended.sessions.then(() => this.#tryAgain(0));
    } else {
      this.#halted = true;
      log.fatal({ err: error, site, why }, "the deployment is at fault; the shard stops and refuses nothing");
      this.#ports.onHalted();
    }
  }

  #trouble(error: unknown): void {
    const { log, site } = this.#ports;
    if (this.#inTrouble) log.debug({ err: error, site }, "the shard cannot be asked for yet");
    else log.warn({ err: error, site }, "the shard could not be asked for; it is tried again");
    this.#inTrouble = true;
  }
}

/** One term of one owner. */
interface Ownership {
  readonly term: number;
  readonly drive: Drive;
  readonly watch: SourceWatch;
  readonly connected: boolean;
  signed(): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

type OnOver = (why: "fenced" | "deployment", error: unknown, ended: { readonly sessions: Promise<unknown>; readonly all: Promise<unknown> }) => void;

async function own(ports: ShardPorts, term: number, onOver: OnOver): Promise<Ownership> {
  const { site, shard, prefix, quota, time, log, meter, lease, withSpan } = ports;
  let fenced = false;
  let over = false;
  let renewing = false;

  let receiving: Subscriber | null = null;
  const stages = await ports.stages(term, {
    acknowledge: (slots) => {
      if (!fenced) receiving?.acknowledge(slots);
    },
    receiving: () => receiving?.connected ?? false,
    unacknowledged: () => receiving?.unacknowledged ?? 0,
  });

  /** Whether the term still holds; asked anew each time, since an answer that was under way before the question proves nothing about now. */
  const renewed = async (): Promise<boolean> => {
    if (over) return false;
    const ours = await lease.renew(term);
    if (!ours) drive.fence(new Error("the lease is another's"));
    return ours && !over;
  };
  const endRenewal = time.every(RENEW_MS, () => {
    if (renewing) return;
    renewing = true;
    void renewed()
      .catch((error: unknown) => log.debug({ err: error, site }, "the lease could not be renewed yet"))
      .finally(() => {
        renewing = false;
      });
  });

  const publisher = ports.createPublisher({
    clientId: `signalbox-${shard}-pub`,
    mayConnect: renewed,
    onConnected: () => {
      meter.brokerConnected(site, "publisher", true);
      relay.reconnected();
    },
    onDisconnected: ({ reason }) => {
      meter.brokerConnected(site, "publisher", false);
      if (reason !== "stopped") log.warn({ site, reason }, "the publisher lost its broker");
    },
  });
  const relay = createRelay({
    store: ports.relayStore(term),
    // once fenced, what is read is not sent any more, whatever the connection does
    publisher: {
      get connected() {
        return !fenced && publisher.connected;
      },
      publish: (publication) => (fenced ? Promise.reject(new Error("the term is over")) : publisher.publish(publication)),
    },
    time,
    site,
    prefix,
    verdicts: ports.verdicts,
    onPublished: ({ outcomes }) => meter.published(outcomes),
    withSpan,
    onTrouble: (error) => log.debug({ err: error, site }, "publishing is tried again"),
  });
  const watch = sourceWatch();
  const drive = new Drive({
    site,
    shard,
    prefix,
    quota,
    stages,
    time,
    log,
    meter,
    watch,
    withSpan,
    onCommitted: (settlement, head) => {
      const handed = handedBy(settlement, { site, ...head }, ports.verdicts);
      relay.announce(settlement.touchedSources, settlement.touchedBatches, head.position - settlement.positions + 1, head.position, handed);
      ports.onCommitted(settlement, head);
    },
    onHalt: (why, error) => {
      if (over) return;
      over = true;
      fenced = why === "fenced";
      endRenewal();
      const sessions =
        why === "fenced"
          ? Promise.all([subscriber.stop(), publisher.stop()])
          : // what is committed is published before the shard is given up
            Promise.all([subscriber.stop(), relay.stop().then(() => publisher.stop())]).then(() => lease.release(term).catch(() => {}));
      onOver(why, error, { sessions, all: Promise.allSettled([sessions, drive.stop(), relay.stop()]) });
    },
  });
  const subscriber = ports.createSubscriber({
    clientId: `signalbox-${shard}-sub`,
    topics: ["event", "diag"].map((kind) => `${prefix}site/${site}/line/+/eq/+/${kind}`),
    mayConnect: renewed,
    onDelivery: (delivery, slot) => {
      meter.received(delivery.topic.endsWith("/diag") ? "diag" : "event", delivery.qos);
      drive.receive(delivery, slot);
    },
    onConnected: ({ sessionPresent, protocol }) => {
      meter.brokerConnected(site, "subscriber", true);
      if (!sessionPresent) meter.sessionLost();
      log.info({ site, sessionPresent, protocol }, sessionPresent ? "subscribed; the broker kept the session" : "subscribed; the broker had no session");
    },
    onDisconnected: ({ reason }) => {
      meter.brokerConnected(site, "subscriber", false);
      if (reason !== "stopped") log.warn({ site, reason }, "the subscriber lost its broker; it connects again by itself");
    },
  });
  receiving = subscriber;

  return {
    term,
    drive,
    watch,
    get connected() {
      return subscriber.connected;
    },
    signed: () => relay.signed(),
    async start() {
      drive.start();
      publisher.start();
      await Promise.all([relay.start(), subscriber.start()]);
    },
    async stop() {
      if (over) return;
      subscriber.pause();
      await drive.stop();
      await subscriber.stop();
      await relay.stop();
      await publisher.stop();
      endRenewal();
      if (over) return;
      over = true;
      await lease.release(term).catch((error: unknown) => log.debug({ err: error, site }, "the lease could not be released; it lapses"));
    },
  };
}
