// The acknowledgement window of one connection: which deliveries are not yet acknowledged, in the order in which they came, and how much they weigh. Knows no broker.

/**
 * The place of one delivery in the window of the connection on which it came. Whoever takes a delivery hands its slot back once the delivery is settled: every slot, also that
 * of a QoS 0 delivery, for which nothing is sent but which weighs in the bounds until then.
 */
export interface Slot {
  readonly connection: number;
  /** 0, 1, 2, … within its connection. */
  readonly arrival: number;
  /** The packet id that the PUBACK names; null when none is owed. */
  readonly messageId: number | null;
  readonly bytes: number;
}

/**
 * How many deliveries a broker may have open with us. It sends no more of them until a commit acknowledges some, so this is what can come during one commit: what one branch brings far beyond
 * its quota must fit in with what all others say, or it queues up at the broker before everybody.
 */
export const RECEIVE_MAXIMUM = 4_096;

export interface HardCap {
  readonly deliveries: number;
  readonly bytes: number;
}

export interface AcknowledgementWindow {
  readonly count: number;
  readonly bytes: number;
  /** Count or bytes have reached the cap: read nothing more. */
  readonly full: boolean;
  /** Both are at half of the cap or below: read again. */
  readonly drained: boolean;
  take(messageId: number | null, bytes: number): Slot;
  /** Marks slots as settled; returns the packet ids that may now be acknowledged, in order of arrival. Slots of another connection, and slots settled before, change nothing. */
  settle(slots: readonly Slot[]): readonly number[];
}

interface Entry {
  readonly messageId: number | null;
  readonly bytes: number;
  settled: boolean;
}

// [MQTT-4.6.0-2]: PUBACKs go out in the order in which the PUBLISHes came. So a slot is released only from the head; what is settled behind an open one is held back.
// A held-back slot no longer weighs bytes (its delivery is gone) but still counts, since the broker still holds its message and the queue must stay bounded.
export function acknowledgementWindow(connection: number, cap: HardCap): AcknowledgementWindow {
  let entries: Entry[] = [];
  let head = 0;
  let released = 0;
  let bytes = 0;
  const owed = new Set<number>();

  const count = (): number => entries.length - head;

  return {
    get count() {
      return count();
    },
    get bytes() {
      return bytes;
    },
    get full() {
      return count() >= cap.deliveries || bytes >= cap.bytes;
    },
    get drained() {
      return count() <= cap.deliveries / 2 && bytes <= cap.bytes / 2;
    },
    take(messageId, weight) {
      // A broker that repeats a message on the same connection gets one PUBACK for it: a second one could settle a newer message that was given the freed id meanwhile.
      const owes = messageId !== null && !owed.has(messageId) ? messageId : null;
      if (owes !== null) owed.add(owes);
      const arrival = released + count();
      entries.push({ messageId: owes, bytes: weight, settled: false });
      bytes += weight;
      return { connection, arrival, messageId: owes, bytes: weight };
    },
    settle(slots) {
      for (const slot of slots) {
        if (slot.connection !== connection) continue;
        const entry = entries[head + slot.arrival - released];
        if (slot.arrival < released || entry === undefined || entry.settled) continue;
        entry.settled = true;
        bytes -= entry.bytes;
      }
      const free: number[] = [];
      for (let first = entries[head]; first?.settled === true; first = entries[head]) {
        head += 1;
        released += 1;
        if (first.messageId !== null) {
          owed.delete(first.messageId);
          free.push(first.messageId);
        }
      }
      // Cut off what is released, but not for every slot: moving the rest costs as much as the rest is long.
      if (head > 1_024 && head * 2 > entries.length) {
        entries = entries.slice(head);
        head = 0;
      }
      return free;
    },
  };
}

/** PUBACK packets with reason *success*, back to back, for one write. The four-byte form is valid in MQTT 3.1.1 and in MQTT 5 (3.4.2.1: reason code and properties may be left out). */
export function pubacks(messageIds: readonly number[]): Uint8Array {
  const packets = new Uint8Array(messageIds.length * 4);
  messageIds.forEach((id, index) => {
    packets.set([0x40, 0x02, id >> 8, id & 0xff], index * 4);
  });
  return packets;
}
