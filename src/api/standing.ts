import { gone, invalid } from "./problem.ts";

/** Up to where an earlier generation's numbers stand, and the last number there is now. */
export interface Reached {
  readonly generation: number;
  /** null: nothing was cut off since then. */
  readonly stands: number | null;
  readonly last: number;
}

/**
 * Refuses to read on behind a number that was given before a restore and stands no more: behind it stands something else by now, and the reader would take that for the
 * continuation. Whoever does not say of which generation it comes is told only when it stands behind the end, where nobody of this generation can stand.
 */
export function mustStand(after: number, of: number | undefined, { generation, stands, last }: Reached): void {
  if (of !== undefined && of > generation)
    throw invalid(`The record is of generation ${generation}; nothing of generation ${of} was ever on it.`, [
      { pointer: "/generation", detail: `is higher than ${generation}` },
    ]);
  if (stands === null || after <= stands) return;
  if (of !== undefined || after > last) throw gone(generation, stands);
}
