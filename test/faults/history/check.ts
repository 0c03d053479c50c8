import { acknowledgement } from "./acknowledgement.ts";
import { doubling } from "./doubling.ts";
import type { Finding, History } from "./history.ts";
import { loss } from "./loss.ts";
import { type Observed, observe, type Tell } from "./observed.ts";
import { order } from "./order.ts";
import { reads } from "./reads.ts";
import { streams } from "./streams.ts";

const CHECKS: readonly ((seen: Observed, tell: Tell) => void)[] = [loss, doubling, order, streams, reads, acknowledgement];

/** Judges a history by every invariant. Pure; its cost is that of sorting what was seen. */
export function check(history: History): readonly Finding[] {
  const found: Finding[] = [];
  const seen = observe(history);
  for (const run of CHECKS) run(seen, (invariant, what, at = null) => found.push({ invariant, what, at }));
  return found;
}
