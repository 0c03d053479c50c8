// What a connection to the broker decides: which protocol to speak, how long to wait before the next attempt, and why the last one ended. Values in, values out.

export type Protocol = "5" | "3.1.1";
export type ProtocolChoice = "auto" | Protocol;

/**
 * Why a connection ended, or did not come about.
 * `taken_over`: another client came with our client id. `refused`: the broker said no (credentials, client id, server busy …). `subscription_refused`: connected, but a topic
 * was not granted at QoS 1. `not_ours`: what the connection would be for is another's now, or nobody can tell. `unreachable`: no CONNACK came. `silent`: the broker no longer answered. `closed`: the connection broke, or the broker ended it without a reason.
 * `stopped`: we ended it.
 */
export type DisconnectReason = "taken_over" | "refused" | "subscription_refused" | "not_ours" | "unreachable" | "silent" | "closed" | "stopped";

export interface Ending {
  readonly reason: DisconnectReason;
  /** One line for people: the name of a reason code, or the message of the error. */
  readonly detail: string | null;
}

// The names of MQTT 5 section 2.4 that a broker may send to us in CONNACK, SUBACK, PUBACK or DISCONNECT, and the six of MQTT 3.1.1 section 3.2.2.3.
const reasonNames: ReadonlyMap<number, string> = new Map([
  [0x01, "unacceptable_protocol_version"],
  [0x02, "identifier_rejected"],
  [0x03, "server_unavailable"],
  [0x04, "bad_user_name_or_password"],
  [0x05, "not_authorized"],
  [0x80, "unspecified_error"],
  [0x81, "malformed_packet"],
  [0x82, "protocol_error"],
  [0x83, "implementation_specific_error"],
  [0x84, "unsupported_protocol_version"],
  [0x85, "client_identifier_not_valid"],
  [0x86, "bad_user_name_or_password"],
  [0x87, "not_authorized"],
  [0x88, "server_unavailable"],
  [0x89, "server_busy"],
  [0x8a, "banned"],
  [0x8b, "server_shutting_down"],
  [0x8c, "bad_authentication_method"],
  [0x8d, "keep_alive_timeout"],
  [0x8e, "session_taken_over"],
  [0x8f, "topic_filter_invalid"],
  [0x90, "topic_name_invalid"],
  [0x91, "packet_identifier_in_use"],
  [0x93, "receive_maximum_exceeded"],
  [0x94, "topic_alias_invalid"],
  [0x95, "packet_too_large"],
  [0x96, "message_rate_too_high"],
  [0x97, "quota_exceeded"],
  [0x98, "administrative_action"],
  [0x99, "payload_format_invalid"],
  [0x9a, "retain_not_supported"],
  [0x9b, "qos_not_supported"],
  [0x9c, "use_another_server"],
  [0x9d, "server_moved"],
  [0x9f, "connection_rate_exceeded"],
  [0xa0, "maximum_connect_time"],
]);

export function reasonName(code: number): string {
  return reasonNames.get(code) ?? `reason_0x${code.toString(16).padStart(2, "0")}`;
}

export const sessionTakenOver = 0x8e;

/**
 * The protocol of the next attempt, after a CONNACK that refused this one. Only *unsupported protocol version* leads from 5 to 3.1.1: 0x84 from a broker that knows MQTT 5,
 * 0x01 from one that does not (aedes 1.2 answers an MQTT 5 CONNECT with a 3.1.1 CONNACK; no MQTT 5 reason is 0x01, so it cannot be mistaken). Any other refusal would be the
 * same in 3.1.1, and changing the protocol for it would lose the properties for no gain.
 */
export function protocolAfterRefusal(choice: ProtocolChoice, spoken: Protocol, reasonCode: number): Protocol {
  return choice === "auto" && spoken === "5" && (reasonCode === 0x84 || reasonCode === 0x01) ? "3.1.1" : spoken;
}

const shortestBackOffMs = 100;
const longestBackOffMs = 10_000;
const backOffAfterTakeOverMs = 5_000;

/** How often whoever may not connect asks again. */
export const askAgainMs = 500;

/** Milliseconds until the next attempt, 100 to 10 000: doubles with each failure; the upper half is jitter, so that many clients of a returned broker do not come all at once. `random` is in [0, 1). */
export function backOffMs(failures: number, random: number): number {
  const ceiling = Math.min(longestBackOffMs, 2 * shortestBackOffMs * 2 ** Math.min(failures, 16));
  return Math.round(ceiling / 2 + (random * ceiling) / 2);
}

/** After a take-over, where nobody can be asked whose the session is: at least 5 s. Coming back at once would only take it from whoever took it. */
export function backOffAfterTakeOver(failures: number, random: number): number {
  return Math.max(backOffMs(failures, random), Math.round(backOffAfterTakeOverMs * (1 + random)));
}

/** Failures in a row, after one more connection ended. Only a connection that lasted as long as the longest back-off counts as a success: two clients that keep taking one id from each other slow down, also on 3.1.1 where the broker gives no reason. */
export function failuresAfter(failures: number, connectedForMs: number): number {
  return connectedForMs >= longestBackOffMs ? 0 : failures + 1;
}
