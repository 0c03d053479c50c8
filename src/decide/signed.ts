// Who signed an event that has come, where the registry gives its branch keys to be signed with.
import { checkSignature, type Unbelieved, unsigned } from "../decode/signature.ts";
import type { EventInHand, EventSignal } from "./signal.ts";
import type { World } from "./world.ts";

/** An event as it is heard on its branch. `unbelieved`: why its signature, or that there is none, has it not believed. */
export interface Heard {
  readonly signal: EventSignal;
  readonly unbelieved: Unbelieved | null;
}

/** What an event claims of itself: inside its signature, where it has that form. */
export const claimsOf = ({ wrapped, inHand }: EventSignal): EventInHand => wrapped?.inHand ?? inHand;

/**
 * Where the branch of its source has no keys, an event is what it always was; whatever is wrapped like a signed one is no event there. The keys come with the source's row, so
 * the commit proves that they are still those: a key that is revoked signs nothing from the position of its revocation on.
 */
export function hear(world: World, came: EventSignal): Heard {
  // a retained copy is believed by nobody, signed or not
  if (came.delivery.retained) return { signal: came, unbelieved: null };
  const { source } = claimsOf(came).claimed;
  const own = source === null ? undefined : world.source(source);
  // what names no source that there is on its branch is said on that branch all the same
  const branch = own !== undefined || came.branchSource === undefined ? undefined : world.signingSource(came.branchSource);
  const signing = own === undefined ? (branch?.revoked === false ? branch.signing : undefined) : own.signing;
  if (signing === undefined) return { signal: came, unbelieved: null };
  const signal: EventSignal = own === undefined ? { ...came, askedOfBranch: true } : came;
  const { wrapped, delivery, inHand } = signal;
  if (wrapped === undefined) return { signal, unbelieved: unsigned(signing, inHand.claimed.type) };
  const inside = { ...signal, inHand: wrapped.inHand };
  const checked = checkSignature(signing, wrapped.jws, delivery.topic, inHand.receivedAt);
  return "code" in checked ? { signal: inside, unbelieved: checked } : { signal: { ...inside, signed: checked }, unbelieved: null };
}
