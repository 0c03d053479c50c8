/** Orders numbers written in decimal without leading zeros, up to 2^63-1, without making bigints of them. */
export function byNumber(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Orders what a source counts: first by epoch, then by sequence. */
export function byTurn(a: Turn, b: Turn): number {
  return byNumber(a.epoch, b.epoch) || byNumber(a.sequence, b.sequence);
}

export interface Turn {
  readonly epoch: string;
  readonly sequence: string;
}
