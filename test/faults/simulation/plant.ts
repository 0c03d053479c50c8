import type { Shard } from "../../../src/shard.ts";
import { BLEND } from "../../support/blend.ts";
import { seeded } from "../../support/measure.ts";
import { createModel } from "../../support/model.ts";
import { SimBroker } from "./broker.ts";
import { SimDatabase } from "./database.ts";
import { Device } from "./device.ts";
import { Observer } from "./observer.ts";
import { BEGINNING, BUTTON, BUTTON_SOURCE, EQUIPMENT, type Plan, SITE, sourceOf } from "./plan.ts";
import { Failpoints } from "./points.ts";
import { SimProcess } from "./process.ts";
import { startReplica } from "./replica.ts";
import { SimSigner } from "./signer.ts";
import { VirtualTime } from "./virtual-time.ts";

export interface Replica {
  readonly process: SimProcess;
  readonly shard: Shard;
  readonly points: Failpoints;
}

/** Devices, broker, database and two replicas of the service, and what faults may do to them. */
export class Plant {
  readonly plan: Plan;
  readonly time: VirtualTime;
  readonly broker: SimBroker;
  readonly database: SimDatabase;
  /** null: nobody signs. */
  readonly signer: SimSigner | null;
  readonly observer: Observer;
  readonly network = { slow: 0 };
  readonly replicas: Replica[] = [];
  readonly devices = new Map<string, Device>();
  /** How often each crash point was hit, and each thing happened that no plan can order. */
  readonly points = new Map<string, number>();
  readonly #random: () => number;
  #starts = 0;

  constructor(plan: Plan) {
    this.plan = plan;
    // a stream of its own, so that a plan that is made smaller keeps as much as possible of what it met
    this.#random = seeded(plan.seed ^ 0x5eed);
    this.time = new VirtualTime(BEGINNING, this.#random);
    const model = createModel({ site: SITE, recipes: [BLEND], equipment: EQUIPMENT, sources: [BUTTON], now: BEGINNING, careful: false });
    this.observer = new Observer(() => this.time.now(), model);
    this.database = new SimDatabase(this.time, model, {
      latency: () => 0.2 + this.#random() * 2 + this.#random() * this.database.troubles.slow,
      signs: plan.signs,
      shows: plan.shows,
      onPoint: (point) => this.hit(point),
    });
    this.signer = plan.signs ? new SimSigner(this.time, this.database, () => this.hit("C19")) : null;
    this.broker = new SimBroker(this.time, {
      overDelivers: plan.overDelivers,
      queueLimit: plan.queueLimit,
      latency: () => 0.2 + this.#random() + this.#random() * this.network.slow,
      onRouted: (publication) => this.observer.routed(publication, plan.shows === "checkpoint" ? this.database.signed : null),
      onDropped: (publication) => {
        if (this.observer.dropped(publication)) this.hit("dropped_by_broker");
      },
      onFirstSubscribed: () => this.observer.brokerForgot(),
      onAcknowledged: (_client, publication) => this.observer.acknowledged(publication),
    });
    for (const source of [...EQUIPMENT.map(({ equipment }) => sourceOf(equipment)), BUTTON_SOURCE]) {
      const process = new SimProcess(this.time, `device of ${source}`);
      this.devices.set(source, new Device(process, this.broker, source, plan.resends, (send) => this.observer.sends(send)));
    }
  }

  start(): void {
    this.#start(0);
    this.#start(1);
    this.signer?.start();
    for (const device of this.devices.values()) device.connect();
  }

  /** Everything that was begun to go wrong ends. */
  heal(): void {
    for (const { process, points } of this.replicas) {
      points.arm(null);
      if (process.stopped) process.goOn();
    }
    if (!this.broker.up) this.broker.start();
    this.database.heal();
    this.signer?.heal();
    this.network.slow = 0;
  }

  hit(point: string): void {
    this.points.set(point, (this.points.get(point) ?? 0) + 1);
  }

  /** The replica that owns the shard by its own word, and can be spoken to. */
  owner(): Replica | null {
    return this.replicas.find(({ process, shard }) => process.alive && !process.stopped && shard.condition.state === "owner") ?? null;
  }

  linkOf(role: "sub" | "pub"): ReturnType<SimBroker["linkOf"]> {
    return this.broker.linkOf(`signalbox-${SITE}-${role}`);
  }

  cutDevice(n: number): void {
    [...this.devices.values()][n % this.devices.size]?.cut();
  }

  brokerForgets(): void {
    this.hit("C16");
    this.observer.brokerForgot();
    this.broker.crash(false);
  }

  #start(place: number): void {
    this.#starts += 1;
    const process = new SimProcess(this.time, `replica-${this.#starts}`);
    const points = new Failpoints(process, ({ point, deed, ms }) => {
      this.hit(point);
      if (deed === "stop") this.time.after(ms, () => process.goOn());
    });
    const shard = startReplica({ site: SITE, process, database: this.database, broker: this.broker, points, receiveMaximum: this.plan.receiveMaximum });
    this.replicas[place] = { process, shard, points };
    // whatever watches over processes starts another in the place of one that died
    process.whenDead(() => this.time.after(500 + this.#random() * 2_000, () => this.#start(place)));
  }
}
