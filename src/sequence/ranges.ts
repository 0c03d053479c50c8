/** A run of numbers, both ends included. */
export interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

/** What is missing between `through` and `highest` when `present` (in any order) has arrived and `givenUp` was given up. */
export function missing(through: bigint, highest: bigint, present: readonly bigint[], givenUp: readonly Range[]): Range[] {
  const taken: Range[] = [...present.map((n) => ({ first: n, last: n })), ...givenUp]
    .filter((range) => range.first <= highest)
    .sort((a, b) => (a.first < b.first ? -1 : 1));
  const ranges: Range[] = [];
  let next = through + 1n;
  for (const range of taken) {
    if (range.first > next) ranges.push({ first: next, last: range.first - 1n });
    if (range.last >= next) next = range.last + 1n;
  }
  if (next <= highest) ranges.push({ first: next, last: highest });
  return ranges;
}
