import type { Checkpoint } from "./checkpoint.ts";

// A signer that was told of a disposal says so in its next checkpoint, and in the first of each log that follows: so whoever verifies knows from the signer, and not from the database alone, that entries are rightly gone.

const DISPOSED = /^disposed ([1-9][0-9]{0,15})$/;

/** The extension line of a checkpoint by which its signer says that the entries up to a position were disposed of. (Opaque to other verifiers: C2SP tlog-checkpoint, "Note text", 4.) */
export const disposedLine = (position: number): string => `disposed ${position}`;

/** The position that a checkpoint says; 0: none. */
export const disposedIn = ({ extensions }: Pick<Checkpoint, "extensions">): number =>
  Math.max(0, ...extensions.map((line) => Number(DISPOSED.exec(line)?.[1] ?? 0)));
