// Settles the one delivery that stands for all that its branch sent beyond its quota: none of them was judged, and none takes number or id, so each may come again.
import type { LeftOut } from "../receive/left-out.ts";
import { revealedBy } from "../sequence/cursor.ts";
import type { Ref } from "../sequence/source-state.ts";
import { firstRound, giveVerdict } from "./give-verdict.ts";
import type { Group } from "./group.ts";
import { recordEvent } from "./record.ts";
import type { EventSignal } from "./signal.ts";

/** `believed`: its signature, or that it has none, is as its branch must have it. */
export function settleLeftOut(group: Group, signal: EventSignal, leftOut: LeftOut, ref: Ref, believed: boolean): void {
  const { inHand, delivery, provenance } = signal;
  const { source: name, epoch, sequence } = inHand.claimed;
  const source = name === null ? undefined : group.world.source(name);
  recordEvent(group, ref, signal, source);
  const { count, bytes, from, to } = leftOut;
  giveVerdict(group, inHand, firstRound(ref), {
    status: "rejected",
    code: "SYS_RATE_LIMITED",
    by: "service",
    reason: `The branch sent more than its quota; ${count === 1 ? "one delivery was" : `${count} deliveries were`} left out, from ${from} to ${to}, of ${bytes} bytes.`,
    explanation: { leftOut },
  });
  if (source === undefined || source.revoked || !believed || delivery.retained || provenance?.refused !== undefined) return;
  // the source has counted that far: its cursor asks for what is missing, also when nothing more comes
  const highest = revealedBy(source, epoch, sequence);
  if (highest !== null) group.putSource({ ...source, highest }, ref);
}
