import type { Candidates, Changed } from "./candidate.ts";
import type { Difference } from "./difference.ts";
import type { RecordedSite } from "./recorded.ts";
import { type Counted, type Decided, Replay } from "./replay.ts";
import type { Reading } from "./site-record.ts";

export interface Replayed extends Counted {
  readonly site: string;
  /** The site's head. */
  readonly position: number;
  readonly logBegins: number;
  readonly differences: readonly Difference[];
  /** How many there are; not all of them are listed. */
  readonly different: number;
  /** Under the candidates; null: there were none. */
  readonly changed: readonly Changed[] | null;
  /** Why it ended before the head. */
  readonly stopped: string | null;
}

/** Decides a site's record again, from its first position to its head. `attend` sees each commit as it is decided, and what is decided by then. */
export async function replaySite(
  site: RecordedSite,
  reading: Reading,
  candidates: Candidates | null = null,
  attend: { decided?(decided: Decided): void; part?(replay: Replay): Promise<void> | void } = {},
): Promise<{ readonly replayed: Replayed; readonly replay: Replay }> {
  const replay = new Replay(site, reading, candidates);
  for await (const part of site.read()) {
    for (const decided of replay.add(part)) attend.decided?.(decided);
    await attend.part?.(replay);
    if (replay.stopped !== null) break;
  }
  for (const decided of replay.end()) attend.decided?.(decided);
  await attend.part?.(replay);
  const { differences, counted, stopped } = replay;
  const replayed = {
    site: site.site,
    position: site.position,
    logBegins: site.logBegins,
    ...counted,
    differences: differences.listed,
    different: differences.count,
    changed: candidates === null ? null : replay.changed,
    stopped,
  };
  return { replayed, replay };
}
