import { outcomeEvent, verdictData } from "../../../src/publish/messages.ts";
import type { Model } from "../../support/model.ts";
import type { Acknowledged, End, Finding, Heard, History, Read, Sent } from "../history/history.ts";
import type { Publication } from "./broker.ts";
import { type Send, SITE } from "./plan.ts";
import { storedOutcome, storedVerdict } from "./stored.ts";

type Skipped = NonNullable<History["skipped"]>[number];

/** Stands outside the service: beside the devices, at the broker, and at the REST interface (whose reads are the database's). Writes down what it sees. */
export class Observer {
  readonly #now: () => number;
  readonly #model: Model;
  readonly #sent: { -readonly [K in keyof Sent]: Sent[K] }[] = [];
  /** By what it sent. */
  readonly #said = new Map<string, Send>();
  readonly #dropped = new Set<string>();
  readonly #heard: Heard[] = [];
  readonly #acknowledged: Acknowledged[] = [];
  readonly #reads: Read[] = [];
  readonly #forgot: { at: number }[] = [];
  readonly #skipped: Skipped[] = [];
  readonly #unsigned: Finding[] = [];

  constructor(now: () => number, model: Model) {
    this.#now = now;
    this.#model = model;
  }

  /** A device publishes; returns what is called when the broker acknowledges it. */
  sends(send: Send): { acknowledged(): void } {
    const { source, id, epoch, sequence, type, payload } = send;
    this.#said.set(payload, send);
    const sent: { -readonly [K in keyof Sent]: Sent[K] } = { at: this.#now(), source, id, epoch, sequence, type, content: payload, acknowledgedAt: null };
    this.#sent.push(sent);
    return {
      acknowledged: () => {
        sent.acknowledgedAt = this.#now();
      },
    };
  }

  /** `signed`: the last position that may be shown; null: all may. */
  routed({ topic, payload, retain }: Publication, signed: number | null): void {
    if (topic.endsWith("/event") || topic.endsWith("/diag") || topic.endsWith("/checkpoint")) return;
    const text = String(payload);
    const body: Heard["body"] = text === "" ? null : JSON.parse(text);
    this.#heard.push({ at: this.#now(), topic, retained: retain, body });
    const position = body?.data["position"];
    if (signed !== null && typeof position === "number" && position > signed)
      this.#unsigned.push({ invariant: "signed", what: `${topic} tells of position ${position} when everything is signed up to ${signed}`, at: this.#now() });
  }

  /** What was shown before it was signed, where it may not be. */
  get unsigned(): readonly Finding[] {
    return this.#unsigned;
  }

  dropped(publication: Publication): boolean {
    const said = this.#saidIn(publication);
    if (said !== null) this.#dropped.add(`${said.source} ${said.id}`);
    return said !== null;
  }

  acknowledged(publication: Publication): void {
    const said = this.#saidIn(publication);
    if (said === null) return;
    const durable = this.#model.knows(said.source, said.id);
    this.#acknowledged.push({ at: this.#now(), source: said.source, id: said.id, durable });
  }

  /** From its last word until now the broker kept nothing for the service: it was started without its sessions, or is subscribed to for the first time. */
  brokerForgot(): void {
    this.#forgot.push({ at: this.#now() });
  }

  skipped(skipped: Skipped): void {
    this.#skipped.push(skipped);
  }

  /** Reads a stream of outcomes as the feed shows it, from its beginning. */
  read(stream: string): void {
    const at = this.#now();
    const ids = this.#model.outcomes.filter((row) => row.stream === stream).map((row) => String(outcomeEvent(storedOutcome(this.#model, row))["id"]));
    this.#reads.push({ began: at, ended: at, of: "outcomes", stream, ids });
  }

  history(settled: boolean): History {
    return {
      site: SITE,
      // what the broker says it dropped, it did not keep its word on: for the service it was never sent
      sent: this.#sent.map((sent) => (this.#dropped.has(`${sent.source} ${sent.id}`) ? { ...sent, acknowledgedAt: null } : sent)),
      heard: this.#heard,
      acknowledged: this.#acknowledged,
      reads: this.#reads,
      locks: [],
      end: settled ? this.#end() : null,
      brokerForgot: this.#forgot,
      restores: [],
      skipped: this.#skipped,
    };
  }

  #end(): End {
    const model = this.#model;
    return {
      verdicts: model.verdicts.map((row) => verdictData(storedVerdict(model, row))),
      outcomes: model.outcomes.map((row) => JSON.parse(JSON.stringify(outcomeEvent(storedOutcome(model, row))))),
      batches: [],
    };
  }

  #saidIn({ topic, payload }: Publication): Send | null {
    return topic.endsWith("/event") ? (this.#said.get(String(payload)) ?? null) : null;
  }
}
