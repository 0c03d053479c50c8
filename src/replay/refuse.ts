/** What a version that moved on (SB001), or a unique key that somebody else took (23505), does to a commit. */
export class Moved extends Error {}

/** What a constraint of the database does to a commit. */
export function refuse(what: string): never {
  throw new Error(`the database refuses: ${what}`);
}
