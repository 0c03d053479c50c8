import type { ClientEnd, Publication, SimBroker } from "./broker.ts";
import { type Beat, branchOf, type Send } from "./plan.ts";
import type { SimProcess } from "./process.ts";

const online = { state: "online" } as const;
const offline = { state: "offline" } as const;

/**
 * A device: keeps what it has to say while it has no connection, and says it once. What the broker did not acknowledge before the connection ended is lost to a device that sends
 * once; one that resends says it again on its next connection. Beside that it tells on
 * its diagnostic topic that it is there, how far it has counted, and by its will that it is gone.
 */
export class Device {
  readonly #process: SimProcess;
  readonly #broker: SimBroker;
  readonly #source: string;
  readonly #resends: boolean;
  readonly #onSent: (send: Send) => { acknowledged(): void };
  readonly #toSay: Send[] = [];
  readonly #open = new Map<number, { readonly send: Send; acknowledged(): void }>();
  #link: ClientEnd | null = null;
  #ready = false;
  #nextId = 0;

  constructor(process: SimProcess, broker: SimBroker, source: string, resends: boolean, onSent: (send: Send) => { acknowledged(): void }) {
    this.#process = process;
    this.#broker = broker;
    this.#source = source;
    this.#resends = resends;
    this.#onSent = onSent;
  }

  get idle(): boolean {
    return this.#toSay.length === 0 && this.#open.size === 0;
  }

  connect(): void {
    const link = this.#broker.connect(this.#process, {
      packet: (packet) => {
        if (this.#link !== link) return;
        if (packet.kind === "connack") {
          this.#ready = true;
          this.#publish(this.#diagnosis(online));
          this.#speak();
        }
        if (packet.kind === "puback") {
          this.#open.get(packet.id)?.acknowledged();
          this.#open.delete(packet.id);
        }
      },
      ended: () => {
        if (this.#link === link) this.#lost();
      },
    });
    if (link === null) {
      this.#process.after(200, () => this.connect());
      return;
    }
    this.#link = link;
    link.toServer({ kind: "connect", clientId: `device of ${this.#source}`, clean: true, receiveMaximum: 20, will: this.#diagnosis(offline) });
  }

  cut(): void {
    this.#link?.end("reset");
  }

  say(send: Send): void {
    this.#toSay.push(send);
    this.#speak();
  }

  /** Nobody keeps a heartbeat for later. */
  beat({ epoch, sequence }: Beat): void {
    if (this.#ready) this.#publish(this.#diagnosis({ ...online, epoch, sequence }));
  }

  #lost(): void {
    this.#link = null;
    this.#ready = false;
    const open = [...this.#open.values()].map(({ send }) => send);
    this.#open.clear();
    if (this.#resends) this.#toSay.unshift(...open);
    this.#process.after(200, () => this.connect());
  }

  #speak(): void {
    if (this.#link === null || !this.#ready) return;
    for (const send of this.#toSay.splice(0)) {
      const said = this.#onSent(send);
      this.#open.set(this.#publish({ topic: send.topic, payload: send.payload, retain: false }), { send, ...said });
    }
  }

  /** Returns the packet's id. */
  #publish(publication: Publication): number {
    this.#nextId = (this.#nextId % 65_535) + 1;
    this.#link?.toServer({ kind: "publish", id: this.#nextId, publication });
    return this.#nextId;
  }

  #diagnosis(says: Readonly<Record<string, string>>): Publication {
    return { topic: `${branchOf(this.#source)}/diag`, payload: JSON.stringify({ source: this.#source, ...says }), retain: false };
  }
}
