// What can be wrong with a connection. `up` is what the side that connected sends, `down` what it is sent.

export type Direction = "up" | "down";

/** A lasting fault of every connection of a label, until it is taken away. */
export interface Toxic {
  /** Whose connections; `*` for all. */
  readonly label: string;
  readonly direction: Direction | "both";
  readonly latencyMs?: number;
  /** Up to so much more, drawn anew for each chunk. */
  readonly jitterMs?: number;
  readonly bytesPerSecond?: number;
  /** Bytes vanish and the connection stays open; taken away, the connections that lost any are reset, since a stream with a hole is none. */
  readonly lose?: true;
  /** Bytes are kept, and delivered when it is taken away: what a paused peer or a network that comes back may still bring. */
  readonly hold?: true;
  /** The end of the stream is passed on so much later. */
  readonly closeDelayMs?: number;
}

/** A fault of one MQTT packet: the n-th of its kind from now on, on any one connection of the label. */
export interface PacketFault {
  readonly label: string;
  readonly direction: Direction;
  readonly packet: "PUBLISH" | "PUBACK";
  readonly nth: number;
  readonly does:
    | { readonly kind: "drop" }
    | { readonly kind: "duplicate" }
    /** This one packet alone is late; those behind it pass. */
    | { readonly kind: "delay"; readonly ms: number }
    /** So many of its bytes are passed on, then the connection is reset. */
    | { readonly kind: "cut"; readonly after: number };
}

/** What holds for one direction of one connection now. */
export interface Effect {
  readonly latencyMs: number;
  readonly jitterMs: number;
  readonly bytesPerSecond: number;
  readonly lose: boolean;
  readonly hold: boolean;
  readonly closeDelayMs: number;
}

export function effectOf(toxics: Iterable<Toxic>, label: string, direction: Direction): Effect {
  const mine = [...toxics].filter((toxic) => (toxic.label === "*" || toxic.label === label) && (toxic.direction === "both" || toxic.direction === direction));
  const most = (pick: (toxic: Toxic) => number | undefined): number => Math.max(0, ...mine.map((toxic) => pick(toxic) ?? 0));
  return {
    latencyMs: most((toxic) => toxic.latencyMs),
    jitterMs: most((toxic) => toxic.jitterMs),
    bytesPerSecond: Math.min(Number.POSITIVE_INFINITY, ...mine.map((toxic) => toxic.bytesPerSecond ?? Number.POSITIVE_INFINITY)),
    lose: mine.some((toxic) => toxic.lose === true),
    hold: mine.some((toxic) => toxic.hold === true),
    closeDelayMs: most((toxic) => toxic.closeDelayMs),
  };
}
