import type { Time } from "../../../src/ops/time.ts";

/** What goes wrong on a link. `cut`: both ends see it; `silent`: nothing arrives any more in the directions named, and nobody is told. */
export type LinkFault = "to_server" | "to_client" | "both";

/**
 * A TCP connection: what is sent arrives in order, after some time, or not at all. Each end hears of an end that the network tells of, once, after what was sent before it.
 */
export class Link<ToServer, ToClient> {
  readonly #time: Time;
  readonly #latency: () => number;
  readonly #server: Ends<ToServer>;
  readonly #client: Ends<ToClient>;
  #open = true;
  #silent: { toServer: boolean; toClient: boolean } = { toServer: false, toClient: false };
  #arrives = { server: 0, client: 0 };

  constructor(time: Time, latency: () => number, server: Ends<ToServer>, client: Ends<ToClient>) {
    this.#time = time;
    this.#latency = latency;
    this.#server = server;
    this.#client = client;
  }

  get open(): boolean {
    return this.#open;
  }

  toServer(packet: ToServer): void {
    if (this.#open && !this.#silent.toServer) this.#arrive("server", () => this.#server.packet(packet));
  }

  toClient(packet: ToClient): void {
    if (this.#open && !this.#silent.toClient) this.#arrive("client", () => this.#client.packet(packet));
  }

  /** Ends the connection; what is on its way still arrives, unless it is a reset. */
  end(how: "orderly" | "reset" = "orderly"): void {
    if (!this.#open) return;
    this.#open = false;
    const { toServer, toClient } = this.#silent;
    if (how === "reset") this.#arrives = { server: 0, client: 0 };
    if (!toServer) this.#arrive("server", this.#server.ended, how === "reset");
    if (!toClient) this.#arrive("client", this.#client.ended, how === "reset");
    this.#lost = how === "reset";
  }
  #lost = false;

  /** From now on nothing arrives in these directions, and nobody is told. */
  silence(which: LinkFault): void {
    this.#silent = { toServer: this.#silent.toServer || which !== "to_client", toClient: this.#silent.toClient || which !== "to_server" };
  }

  #arrive(end: "server" | "client", run: () => void, always = false): void {
    const at = Math.max(this.#arrives[end], this.#time.now() + this.#latency());
    this.#arrives[end] = at;
    this.#time.after(at - this.#time.now(), () => {
      if (always || !this.#lost) run();
    });
  }
}

export interface Ends<Packet> {
  packet(packet: Packet): void;
  ended(): void;
}
