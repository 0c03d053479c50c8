import { acknowledgement } from "./acknowledgement.ts";
import { agreement } from "./agreement.ts";
import { conflicts } from "./conflicts.ts";
import { doubling } from "./doubling.ts";
import type { Finding, History } from "./history.ts";
import { legality } from "./legality.ts";
import { locks } from "./locks.ts";
import { loss } from "./loss.ts";
import { mirrors } from "./mirrors.ts";
import { observe, type Tell } from "./observed.ts";
import { order } from "./order.ts";
import { reads } from "./reads.ts";
import { settling } from "./settling.ts";
import { skipping } from "./skipping.ts";
import { streams } from "./streams.ts";

/** Judges a history by every invariant. Pure; its cost is that of sorting what was seen. */
export function check(history: History): readonly Finding[] {
  const found: Finding[] = [];
  const tell: Tell = (invariant, what, at = null) => found.push({ invariant, what, at });
  const seen = observe(history);
  loss(seen, tell);
  doubling(seen, tell);
  order(seen, tell);
  skipping(seen, tell);
  streams(seen, tell);
  mirrors(seen, tell);
  reads(seen, tell);
  const replayed = legality(seen, tell);
  agreement(seen, replayed, tell);
  conflicts(seen, tell);
  locks(seen, tell);
  acknowledgement(seen, tell);
  settling(seen, tell);
  return found;
}
