/** Positions become JSON integers here and nowhere else; beyond 2^53 they would not be exact, and nothing may rest on that. */
export function safePosition(text: string | bigint): number {
  const position = Number(text);
  if (!Number.isSafeInteger(position)) throw new Error(`position ${text} is beyond 2^53`);
  return position;
}
