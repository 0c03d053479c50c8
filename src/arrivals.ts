import { identityIn } from "./decide/event-identity.ts";
import { eventSignal } from "./decide/in-hand.ts";
import type { EventSignal, Signal } from "./decide/signal.ts";
import { type Decoded, insideOf } from "./decode/event.ts";
import type { provenanceOf } from "./decode/provenance.ts";
import type { SourceWatch } from "./ops/source-watch.ts";
import type { Delivery } from "./receive/delivery.ts";
import type { Held, LeftOut } from "./receive/left-out.ts";

/** What reading a delivery rests on. */
export interface ArrivalStages {
  decode(delivery: Delivery): Decoded;
  /** Whose word a delivery is, with what the broker stamped on it taken off; without it nothing is known of that. */
  provenance?(delivery: Delivery): ReturnType<typeof provenanceOf>;
  /** The database's clock as far as this process knows it. RFC 3339. */
  now(): string;
}

export interface ArrivalOptions {
  readonly prefix: string;
  readonly stages: ArrivalStages;
  readonly watch: Pick<SourceWatch, "heard">;
  readonly meter: { ignored(why: string): void };
}

/** How what arrived becomes a signal: whose word it is, what it says, and for how many it stands where its branch brought more than its quota. */
export class Arrivals {
  readonly #options: ArrivalOptions;

  constructor(options: ArrivalOptions) {
    this.#options = options;
  }

  /** Null: it is none, which is counted. `held`: all for which it stands; null: it stands for itself. */
  signalOf(arrived: Delivery, held: Held | null): Signal | null {
    const { stages, prefix, meter } = this.#options;
    const { delivery, provenance, decoded } = this.#read(arrived);
    const receivedAt = stages.now();
    if (decoded.kind === "ignored") {
      meter.ignored(decoded.why);
      return null;
    }
    if (decoded.kind === "diag") {
      if (held === null) return { kind: "diag", delivery, diagnosis: decoded.diagnosis, receivedAt };
      meter.ignored("quota");
      return null;
    }
    this.#watchEvent(decoded, receivedAt);
    return eventSignal(delivery, decoded, receivedAt, prefix, {
      provenance: provenance ?? undefined,
      leftOut: held === null ? undefined : this.#leftOutOf(held),
    });
  }

  #read(arrived: Delivery) {
    const { stages } = this.#options;
    const { delivery, provenance } = stages.provenance?.(arrived) ?? { delivery: arrived, provenance: null };
    return { delivery, provenance, decoded: stages.decode(delivery) };
  }

  #leftOutOf({ first, last, count, bytes, from, to }: Held): LeftOut {
    const told = { count, bytes, from, to };
    const { decoded } = this.#read(first);
    if (first === last || (decoded.kind !== "event" && decoded.kind !== "refused")) return told;
    const { source, id, epoch, sequence } = identityIn(insideOf(decoded));
    const claimed = {
      ...(source === null ? {} : { source }),
      ...(id === null ? {} : { id }),
      ...(epoch === null ? {} : { epoch: epoch.toString() }),
      ...(sequence === null ? {} : { sequence: sequence.toString() }),
    };
    return Object.keys(claimed).length === 0 ? told : { ...told, first: claimed };
  }

  #watchEvent(decoded: Decoded, receivedAt: string): void {
    const now = Date.parse(receivedAt);
    const said = insideOf(decoded);
    if (said.kind === "event") this.#options.watch.heard(said.event.source, now, said.event.time === null ? null : Date.parse(said.event.time) - now);
  }

  /** That so many were left out can be stored, whatever they said. */
  bare({ delivery: { topic, qos, retained, protocol } }: EventSignal, held: Held): Signal {
    const nothing = { topic, qos, retained, dup: false, protocol, payload: new Uint8Array(), contentType: null, responseTopic: null, correlationData: null };
    const delivery: Delivery = { ...nothing, userProperties: [] };
    const bare = this.signalOf(delivery, { ...held, first: delivery, last: delivery });
    if (bare === null) throw new Error(`an empty delivery on ${topic} is no event`);
    return bare;
  }
}
