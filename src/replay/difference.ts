/** What is recorded and what comes out again are not the same. */
export interface Difference {
  /** null: where something stands at the end. */
  readonly position: number | null;
  /** In words, or the table and column. */
  readonly what: string;
  /** Where in the JSON of an entry, as a JSON pointer. */
  readonly path?: string;
  readonly stored: unknown;
  readonly again: unknown;
}

/** Where two values of JSON differ, first places first. */
export function differencesIn(stored: unknown, again: unknown, path = "", found: { path: string; stored: unknown; again: unknown }[] = []): typeof found {
  if (Object.is(stored, again) || found.length >= 8) return found;
  if (typeof stored !== "object" || typeof again !== "object" || stored === null || again === null || Array.isArray(stored) !== Array.isArray(again)) {
    found.push({ path, stored, again });
    return found;
  }
  const before = new Map(Object.entries(stored));
  const after = new Map(Object.entries(again));
  for (const key of new Set([...before.keys(), ...after.keys()]))
    differencesIn(before.get(key), after.get(key), `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`, found);
  return found;
}

/** Two lines of JSON that are not the same bytes. */
export function differencesInText(stored: string, again: string): { path: string; stored: unknown; again: unknown }[] {
  let found: ReturnType<typeof differencesIn> = [];
  try {
    found = differencesIn(JSON.parse(stored), JSON.parse(again));
  } catch {
    // what is no JSON differs as a whole
  }
  return found.length > 0 ? found : [{ path: "", stored, again }];
}

/** What was found, as much of it as a person reads; how much more there is, is counted. */
export class Differences {
  readonly listed: Difference[] = [];
  count = 0;
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  add(difference: Difference): void {
    this.count += 1;
    if (this.listed.length < this.#most) this.listed.push(difference);
  }
}
