import type { Delivery } from "../receive/delivery.ts";
import { cut } from "./json.ts";

// Whose word a delivery is, beyond what it says itself: the party that the registry ties to its branch, since the broker lets nobody else publish there; and what the broker stamped on it.

/** As it goes on record with the event. What there is nothing of is absent. */
export interface Provenance {
  /** The user name at the broker to whom the registry of parties gives the branch. */
  readonly party?: string;
  /** What the broker stamped; each value where it came more than once. */
  readonly stamp?: string | readonly string[];
  /** Why the event is not believed. */
  readonly refused?: ProvenanceCode;
}

export type ProvenanceCode = "PROVENANCE_STAMP_DUPLICATE" | "PROVENANCE_STAMP_MISSING" | "PROVENANCE_MISMATCH";

/** What the broker, or a bridge before it, stamps. */
export interface StampPolicy {
  /** The MQTT 5 user property that holds the publisher's user name. */
  readonly property: string;
  /** Whether an event without a stamp is believed. */
  readonly required: boolean;
}

/** Values that go on record, and how much of each: a device that sends its own can send any number. */
const MOST = 4;
const LONGEST = 256;

/**
 * Takes the broker's stamp off a delivery, which is the device's own without it. A stamp that came twice is nobody's: a device sent one itself, and which is the broker's cannot be said.
 * Null: there is nothing to put on record.
 */
export function provenanceOf(
  delivery: Delivery,
  policy: StampPolicy | null,
  party: string | null,
): { readonly delivery: Delivery; readonly provenance: Provenance | null } {
  const stamps = policy === null ? [] : delivery.userProperties.flatMap(([name, value]) => (name === policy.property ? [cut(value, LONGEST)] : []));
  const stripped = stamps.length === 0 ? delivery : { ...delivery, userProperties: delivery.userProperties.filter(([name]) => name !== policy?.property) };
  const refused = refusal(stamps, policy, party);
  const [stamp] = stamps;
  if (party === null && stamp === undefined && refused === null) return { delivery, provenance: null };
  return {
    delivery: stripped,
    provenance: {
      ...(party === null ? {} : { party }),
      ...(stamp === undefined ? {} : { stamp: stamps.length === 1 ? stamp : stamps.slice(0, MOST) }),
      ...(refused === null ? {} : { refused }),
    },
  };
}

function refusal(stamps: readonly string[], policy: StampPolicy | null, party: string | null): ProvenanceCode | null {
  if (stamps.length > 1) return "PROVENANCE_STAMP_DUPLICATE";
  if (stamps.length === 0) return policy?.required === true ? "PROVENANCE_STAMP_MISSING" : null;
  return party !== null && stamps[0] !== party ? "PROVENANCE_MISMATCH" : null;
}
