import type { DriveStages } from "../../../src/drive.ts";
import type { Publisher } from "../../../src/publish/publisher.mqtt.ts";
import type { SimProcess } from "./process.ts";

/** Crash points inside the process, by the numbers of the engineering programme (2.11). */
export const POINTS = ["C0", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11"] as const;
export type Point = (typeof POINTS)[number];

/** The n-th time that a process comes by a point it dies there, or is stopped there. */
export interface Armed {
  readonly point: Point;
  readonly nth: number;
  readonly deed: "kill" | "stop";
  /** For how long it is stopped, in milliseconds. */
  readonly ms: number;
}

/** Kills or stops one process where it is told to. */
export class Failpoints {
  readonly #process: SimProcess;
  readonly #onHit: (armed: Armed) => void;
  #armed: Armed | null = null;
  #passed = 0;

  constructor(process: SimProcess, onHit: (armed: Armed) => void) {
    this.#process = process;
    this.#onHit = onHit;
  }

  arm(armed: Armed | null): void {
    this.#armed = armed;
    this.#passed = 0;
  }

  /** Whether the next time at this point is the one. */
  next(point: Point): boolean {
    return this.#armed?.point === point && this.#passed + 1 >= this.#armed.nth && this.#process.alive && !this.#process.stopped;
  }

  /** Code goes on after this, to no effect: a dead process neither sends nor hears, a stopped one does so later. */
  reach(point: Point): void {
    const armed = this.#armed;
    if (armed?.point !== point || !this.#process.alive || this.#process.stopped) return;
    this.#passed += 1;
    if (this.#passed < armed.nth) return;
    this.#armed = null;
    this.#onHit(armed);
    if (armed.deed === "kill") this.#process.kill();
    else this.#process.stop();
  }
}

/** The points of receiving, deciding and acknowledging. They count only while a delivery is unacknowledged: otherwise nothing hangs on them. */
export function stagesWithPoints(points: Failpoints, stages: DriveStages, diedWhileSending: () => void): DriveStages {
  const reach = (point: Point): void => {
    if (stages.unacknowledged() > 0) points.reach(point);
  };
  return {
    ...stages,
    decode(delivery) {
      reach("C0");
      const decoded = stages.decode(delivery);
      reach("C1");
      return decoded;
    },
    async read(request) {
      const world = await stages.read(request);
      reach("C2");
      return world;
    },
    async commit(group, document) {
      const here: Point[] = [];
      if (document.raws.some((raw) => raw !== null)) here.push("C3");
      if (document.written["waiting_gone"] !== undefined) here.push("C11");
      const dies = stages.unacknowledged() > 0 && here.some((point) => points.next(point));
      const committing = stages.commit(group, document);
      if (dies) diedWhileSending();
      for (const point of here) reach(point);
      const committed = await committing;
      reach("C4");
      return committed;
    },
    acknowledge(slots) {
      reach("C5");
      if (slots.length > 1) {
        if (points.next("C6")) stages.acknowledge(slots.slice(0, Math.ceil(slots.length / 2)));
        reach("C6");
      }
      stages.acknowledge(slots);
      reach("C7");
    },
  };
}

/** The points of publishing outcomes. */
export function publisherWithPoints(points: Failpoints, publisher: Publisher): Publisher {
  return {
    start: () => publisher.start(),
    stop: () => publisher.stop(),
    get connected() {
      return publisher.connected;
    },
    get pending() {
      return publisher.pending;
    },
    async publish(publication) {
      if (!publication.topic.endsWith("/outcome")) return publisher.publish(publication);
      points.reach("C8");
      const published = publisher.publish(publication);
      points.reach("C9");
      await published;
      points.reach("C10");
    },
  };
}
