import type { Command } from "../../../src/decide/signal.ts";
import { Unavailable } from "../../../src/drive.ts";
import type { Plant } from "./plant.ts";
import type { SimProcess } from "./process.ts";

/** The MES hands over job orders and starts batches; an operator resolves gaps. Both ask again when nobody answers, as people do. */
export class People {
  readonly #plant: Plant;
  #busy = 0;

  constructor(plant: Plant) {
    this.#plant = plant;
  }

  get idle(): boolean {
    return this.#busy === 0;
  }

  /** The orders of the plan, one after the other, none before its time. */
  async work(): Promise<void> {
    const { time, plan } = this.#plant;
    const began = time.now();
    this.#busy += 1;
    for (const { at, command } of plan.orders) {
      await this.#sleep(began + at - time.now());
      await this.#order(command);
    }
    this.#busy -= 1;
  }

  /** Gives up every number that is still missing, and lets every parked source go on. */
  async tidyUp(): Promise<void> {
    this.#busy += 1;
    const { database, observer } = this.#plant;
    for (const [name] of database.model.sources) {
      const source = database.model.source(name);
      const gap = source.gap?.position ?? source.parked?.position ?? null;
      if (gap === null || source.epoch === null) continue;
      const action = source.parked?.why === "counter_back" ? "wait" : "skip";
      await this.#order({ kind: "gap.resolve", source: name, gap, action, epoch: null, sequence: null, reason: "nobody has them" });
      for (const { epoch, first, last } of database.model.skipped.filter((range) => range.sourceKey === source.key && range.reason === "resolved"))
        observer.skipped({ source: name, epoch: epoch.toString(), from: first.toString(), to: last.toString() });
    }
    this.#busy -= 1;
  }

  async #order(command: Command): Promise<void> {
    for (;;) {
      const owner = this.#plant.owner();
      try {
        if (owner !== null) {
          await Promise.race([
            owner.shard.command({ command, actor: "unattributed", role: null, signature: null, from: null, ifVersion: null, key: null }),
            this.#given(owner.process),
          ]);
          return;
        }
      } catch (error) {
        if (!(error instanceof Unavailable)) return;
      }
      await this.#sleep(300);
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#plant.time.after(ms, resolve);
    });
  }

  /** The answer of a process that died never comes: whoever asked it asks another. */
  #given(process: SimProcess): Promise<never> {
    return new Promise((_, reject) => {
      process.whenDead(() => reject(new Unavailable("the connection ended")));
      this.#plant.time.after(15_000, () => reject(new Unavailable("no answer")));
    });
  }
}
