import type { Aedes } from "aedes";

/**
 * Makes aedes keep a message once for a client, however many of the client's subscriptions it fits.
 * It keeps one copy for each and hands one on; a surplus copy is cleared by its packet id, which it never got, and so is whatever else of that client has none yet: the client's
 * connection is then ended over the message that is gone (aedes 1.2, its issue 543).
 */
export function keepOneCopy(broker: Aedes): void {
  // not in its types: what aedes keeps for clients that are not there
  const { persistence } = Object(broker);
  const keep = persistence.outgoingEnqueueCombi.bind(persistence);
  const clear = persistence.outgoingClearMessageId.bind(persistence);
  persistence.outgoingEnqueueCombi = (fitting: readonly { clientId: string }[], packet: unknown) =>
    keep([...new Map(fitting.map((one) => [one.clientId, one])).values()], packet);
  persistence.outgoingClearMessageId = async (client: unknown, packet: { messageId?: number }) =>
    packet.messageId === undefined ? undefined : await clear(client, packet);
}
