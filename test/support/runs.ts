/** How often a property is tried: as often as its test says, or fewer times where each of thousands of mutants is held against it. */
export function runs(usual: number): number {
  const most = process.env["PROPERTY_RUNS"];
  return most === undefined ? usual : Math.min(usual, Number(most));
}
