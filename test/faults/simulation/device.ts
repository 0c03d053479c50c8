import type { ClientEnd, SimBroker } from "./broker.ts";
import type { Send } from "./plan.ts";
import type { SimProcess } from "./process.ts";

/**
 * A device: keeps what it has to say while it has no connection, and says it once. What the broker did not acknowledge before the connection ended is lost to a device that sends
 * once; one that resends says it again on its next connection.
 */
export class Device {
  readonly #process: SimProcess;
  readonly #broker: SimBroker;
  readonly #name: string;
  readonly #resends: boolean;
  readonly #onSent: (send: Send) => { acknowledged(): void };
  readonly #toSay: Send[] = [];
  readonly #open = new Map<number, { readonly send: Send; acknowledged(): void }>();
  #link: ClientEnd | null = null;
  #ready = false;
  #nextId = 0;

  constructor(process: SimProcess, broker: SimBroker, name: string, resends: boolean, onSent: (send: Send) => { acknowledged(): void }) {
    this.#process = process;
    this.#broker = broker;
    this.#name = name;
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
    link.toServer({ kind: "connect", clientId: this.#name, clean: true, receiveMaximum: 20 });
  }

  cut(): void {
    this.#link?.end("reset");
  }

  say(send: Send): void {
    this.#toSay.push(send);
    this.#speak();
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
      this.#nextId = (this.#nextId % 65_535) + 1;
      this.#open.set(this.#nextId, { send, ...this.#onSent(send) });
      this.#link.toServer({ kind: "publish", id: this.#nextId, publication: { topic: send.topic, payload: send.payload, retain: false } });
    }
  }
}
