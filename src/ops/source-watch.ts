/** What operations want to know of a site's sources besides their events: who is silent, who comes and goes, whose clock is off. Bounded by the registered sources. */
export interface SourceWatch {
  /** An event or heartbeat of a source; `aheadMs`: how far its time lies from ours, where it says one. */
  heard(source: string, nowMs: number, aheadMs: number | null): void;
  /** Its connection came or went. */
  connection(source: string, state: "online" | "offline", nowMs: number): void;
  count(nowMs: number): { readonly silent: number; readonly flapping: number; readonly skewed: number };
}

/** A source that is online by its own word and says nothing for this long is silent. */
export const SILENT_MS = 5 * 60_000;
/** Coming and going more often than this within the window is flapping. */
export const FLAPS = { most: 5, windowMs: 10 * 60_000 } as const;
/** A device time further off than this is skewed; late events of a store-and-forward device are not, so only times ahead count. */
export const SKEW_MS = 10_000;

interface Known {
  heardAt: number;
  online: boolean;
  changes: number[];
  skewed: boolean;
}

export function sourceWatch(most = 100_000): SourceWatch {
  const sources = new Map<string, Known>();
  const of = (source: string, nowMs: number): Known | null => {
    const known = sources.get(source);
    if (known !== undefined) return known;
    if (sources.size >= most) return null;
    const fresh = { heardAt: nowMs, online: false, changes: [], skewed: false };
    sources.set(source, fresh);
    return fresh;
  };
  return {
    heard(source, nowMs, aheadMs) {
      const known = of(source, nowMs);
      if (known === null) return;
      known.heardAt = nowMs;
      if (aheadMs !== null) known.skewed = aheadMs > SKEW_MS;
    },
    connection(source, state, nowMs) {
      const known = of(source, nowMs);
      if (known === null) return;
      const online = state === "online";
      if (known.online !== online) known.changes = [...known.changes.filter((at) => nowMs - at < FLAPS.windowMs), nowMs].slice(-20);
      known.online = online;
      known.heardAt = nowMs;
    },
    count(nowMs) {
      let silent = 0;
      let flapping = 0;
      let skewed = 0;
      for (const known of sources.values()) {
        if (known.online && nowMs - known.heardAt > SILENT_MS) silent += 1;
        if (known.changes.filter((at) => nowMs - at < FLAPS.windowMs).length > FLAPS.most) flapping += 1;
        if (known.skewed) skewed += 1;
      }
      return { silent, flapping, skewed };
    },
  };
}
