// Reads as views of lists that only grow at their ends, in the spirit of Elle's list-append histories.
import type { Read } from "./history.ts";
import { type First, type Observed, type Outcome, put, type Tell } from "./observed.ts";
import { placeOf, type Round } from "./rounds.ts";

/**
 * Each read is a prefix of what REST shows in the end (where there is no end, or a restore came between: of the longest read of its time), so that no two reads
 * disagree about the order; a read that began after another had ended is no shorter; and it contains what had been heard before it began.
 */
export function reads(seen: Observed, tell: Tell): void {
  const lists = new Map<string, Read[]>();
  for (const read of seen.history.reads) put(lists, `${read.of} ${read.stream ?? ""}`, read);
  if (lists.size === 0) return;
  const heard = heardBy(seen);
  for (const [name, list] of lists) {
    const end = endOf(seen, list[0]);
    for (const time of times(seen, list)) prefixes(name, time.reads, time.isLast ? end : null, tell);
    const ids = end === null ? null : new Set(end);
    for (const read of list) fresh(seen, name, read, heard.get(name) ?? [], ids, tell);
  }
}

/** Reads between two restores; a read during which one came is of neither time. */
function times({ history }: Observed, list: readonly Read[]): readonly { readonly reads: readonly Read[]; readonly isLast: boolean }[] {
  const ends = history.restores.map(({ at }) => at).sort((a, b) => a - b);
  const all: { reads: Read[]; isLast: boolean }[] = Array.from({ length: ends.length + 1 }, (_, n) => ({ reads: [], isLast: n === ends.length }));
  for (const read of list) {
    const began = ends.filter((at) => at < read.began).length;
    if (began === ends.filter((at) => at <= read.ended).length) all[began]?.reads.push(read);
  }
  return all;
}

/** The list in the end, by the ids that its reads give; null: there is no end. */
function endOf({ history, rounds, outcomes }: Observed, read: Read | undefined): readonly string[] | null {
  if (history.end === null || read === undefined) return null;
  if (read.of === "verdicts") return rounds.map(({ verdict }) => verdict);
  const source = read.stream === null ? null : sourceOf(history.site, read.stream);
  return outcomes.filter(({ stream }) => source === null || stream === source).map(({ body }) => body.id);
}

const sourceOf = (site: string, stream: string): string => (stream === "site" ? `/site/${site}` : `/site/${site}/${stream}`);

function prefixes(name: string, list: readonly Read[], end: readonly string[] | null, tell: Tell): void {
  const longest = end ?? list.reduce<readonly string[]>((ids, read) => (read.ids.length > ids.length ? read.ids : ids), []);
  for (const read of list) {
    const at = read.ids.findIndex((id, n) => id !== longest[n]);
    if (at >= 0)
      tell(
        "prefix",
        `A read of ${name} has ${read.ids[at]} at ${at + 1}, where ${longest[at] ?? "nothing"} stands ${end === null ? "in a longer one" : "in the end"}.`,
        read.ended,
      );
  }
  const byEnd = [...list].sort((a, b) => a.ended - b.ended);
  let ended = 0;
  let most = 0;
  for (const read of [...list].sort((a, b) => a.began - b.began)) {
    for (let before = byEnd[ended]; before !== undefined && before.ended < read.began; before = byEnd[ended]) {
      most = Math.max(most, before.ids.length);
      ended += 1;
    }
    if (read.ids.length < most) tell("prefix", `A read of ${name} has ${read.ids.length}, and one before it had ${most}.`, read.ended);
  }
}

interface HeardItem {
  readonly at: number;
  readonly id: string;
  readonly generation: number;
  readonly place: number;
}

/** What was heard of each list that reads are about. */
function heardBy(seen: Observed): ReadonlyMap<string, readonly HeardItem[]> {
  const lists = new Map<string, HeardItem[]>();
  const prefix = `/site/${seen.history.site}`;
  for (const first of seen.heardVerdicts.values()) put(lists, "verdicts ", itemOf(first));
  for (const first of seen.heardOutcomes.values()) {
    const { stream } = first.said;
    put(lists, `outcomes ${stream === prefix ? "site" : stream.slice(prefix.length + 1)}`, { ...itemOf(first), place: first.said.sequence });
  }
  return lists;
}

const itemOf = ({ at, body, said }: First<Round> | First<Outcome>): HeardItem => ({ at, id: body.id, generation: said.generation, place: said.position });

/** The last that had been heard before a read began, and that no restore took meanwhile, is in it; what comes before that, other checks see to. */
function fresh({ history }: Observed, name: string, read: Read, heard: readonly HeardItem[], end: ReadonlySet<string> | null, tell: Tell): void {
  const last = read.ids.at(-1);
  const reached = last === undefined ? 0 : (placeOf(`x.${last}`)?.position ?? 0);
  for (let n = firstAtOrAfter(heard, read.began) - 1; n >= 0; n -= 1) {
    const item = heard[n];
    if (item === undefined || read.ids.includes(item.id)) return;
    const restored = history.restores.some(({ at, generation }) => generation > item.generation && at <= read.ended);
    if (restored && end?.has(item.id) !== true) continue;
    // what is left out before the last is for the prefixes to find
    if (restored || reached < item.place) tell("stale", `A read of ${name} lacks ${item.id}, which had been heard before it began.`, read.began);
    return;
  }
}

/** How many were heard before a time. */
function firstAtOrAfter(heard: readonly HeardItem[], at: number): number {
  let [low, high] = [0, heard.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((heard[middle]?.at ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}
