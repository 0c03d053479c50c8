/** An MQTT message as it arrived, nothing believed. `payload` is the bytes as they came; `userProperties` keep their order and their repeats. */
export interface Delivery {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** The payload's true length, where only its head is at hand: a stored delivery that was refused for its size. */
  readonly fullLength?: number;
  readonly qos: 0 | 1 | 2;
  /** The retain flag as it arrived: with *retain as published* also set on live messages that were published with it. */
  readonly retained: boolean;
  readonly dup: boolean;
  readonly protocol: "5" | "3.1.1";
  readonly contentType: string | null;
  readonly responseTopic: string | null;
  readonly correlationData: Uint8Array | null;
  readonly userProperties: readonly (readonly [name: string, value: string])[];
}

/** Payloads beyond this are refused, their head and hash kept. */
export const MAX_EVENT_BYTES = 256 * 1024;
