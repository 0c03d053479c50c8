import { join } from "node:path";
import type { Disk } from "./disk.file.ts";
import { HASH_BYTES, type Hash } from "./hash.ts";
import { readState, type SignerState, writeState } from "./signer-state.ts";

/**
 * What a signer keeps outside the database: a folder `log-N` for each log with `leaves` (32 bytes a leaf, in order) and `state.json`, and on another path the mirror, a file
 * `log-N.notes` for each. One process at a time may use them.
 */
export interface SignerFiles {
  /** The logs that have a state, in order. */
  logs(): Promise<readonly number[]>;
  /** Null: there is one and it cannot be read, or it is another log's. */
  load(log: number): Promise<SignerState | null>;
  save(state: SignerState): Promise<void>;
  /** The leaf hashes [begin, end), one behind the other; fewer where they end. */
  leaves(log: number, begin: number, end: number): Promise<Buffer>;
  /** Writes leaves from a place on; what was there is replaced. */
  keep(log: number, begin: number, leaves: readonly Hash[]): Promise<void>;
  /** Forgets the leaves behind a size: what a crash has left behind what was signed. */
  cut(log: number, size: number): Promise<void>;
  /** Bytes of the mirror; 0 when there is none. */
  mirrorBytes(log: number): Promise<number>;
  mirror(log: number, from: number): Promise<Buffer>;
  append(log: number, text: string): Promise<void>;
}

export interface SignerPlaces {
  readonly disk: Disk;
  readonly state: string;
  readonly mirror: string;
}

export function signerFiles({ disk, state, mirror }: SignerPlaces): SignerFiles {
  const leavesOf = (log: number): string => join(state, `log-${log}`, "leaves");
  const stateOf = (log: number): string => join(state, `log-${log}`, "state.json");
  const mirrorOf = (log: number): string => join(mirror, `log-${log}.notes`);
  const whole = async (path: string, from = 0): Promise<Buffer> => disk.read(path, from, Math.max(0, ((await disk.size(path)) ?? 0) - from));

  return {
    async logs() {
      const found: number[] = [];
      for (const name of await disk.names(state)) {
        const [, number] = /^log-([1-9][0-9]*)$/.exec(name) ?? [];
        if (number !== undefined && (await disk.size(stateOf(Number(number)))) !== null) found.push(Number(number));
      }
      return found.sort((one, other) => one - other);
    },
    async load(log) {
      const read = readState((await whole(stateOf(log))).toString());
      return read?.log.log === log ? read : null;
    },
    save: (saved) => disk.replace(stateOf(saved.log.log), Buffer.from(writeState(saved))),
    leaves: (log, begin, end) => disk.read(leavesOf(log), begin * HASH_BYTES, (end - begin) * HASH_BYTES),
    keep: (log, begin, leaves) => disk.write(leavesOf(log), begin * HASH_BYTES, Buffer.concat([...leaves])),
    cut: (log, size) => disk.cut(leavesOf(log), size * HASH_BYTES),
    mirrorBytes: async (log) => (await disk.size(mirrorOf(log))) ?? 0,
    mirror: (log, from) => whole(mirrorOf(log), from),
    append: (log, text) => disk.append(mirrorOf(log), Buffer.from(text)),
  };
}
