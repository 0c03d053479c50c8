import { HASH_BYTES, type Hash } from "./hash.ts";
import { type NoteRefusal, openNote, signNote } from "./note.ts";
import type { SigningKey, VerifierKey } from "./note-key.ts";

// Checkpoints (C2SP tlog-checkpoint): the head of a log's tree as the text of a signed note.

export interface Checkpoint {
  /** Names the log for good: `signalbox/{site}/{log}`. Not empty, one line. */
  readonly origin: string;
  /** Leaves in the tree. */
  readonly size: number;
  readonly root: Hash;
  /** Lines behind the three of every checkpoint; none of them empty. */
  readonly extensions: readonly string[];
}

export type CheckpointRefusal =
  | NoteRefusal
  /** Fewer than three lines, or an empty one. */
  | "checkpoint-lines"
  /** The size is not a decimal number as it would be written, or beyond 2^53 - 1. */
  | "checkpoint-size"
  /** The root is not 32 bytes in base64 as it would be written. */
  | "checkpoint-root";

export type OpenedCheckpoint =
  | { readonly kind: "opened"; readonly checkpoint: Checkpoint; readonly by: readonly VerifierKey[] }
  | { readonly kind: "refused"; readonly because: CheckpointRefusal };

const SIZE = /^(0|[1-9][0-9]{0,15})$/;

/** The signed note of a checkpoint. Throws a RangeError when a line of it would be empty or hold a control character. */
export function signCheckpoint({ origin, size, root, extensions }: Checkpoint, keys: readonly SigningKey[]): string {
  const lines = [origin, String(size), root.toString("base64"), ...extensions];
  if (lines.some((line) => line === "" || line.includes("\n"))) throw new RangeError("a line of a checkpoint is neither empty nor two");
  return signNote(`${lines.join("\n")}\n`, keys);
}

/** Opens a checkpoint: a note as `openNote` takes it, whose text is that of a checkpoint. Of which log it is, the caller must look at. */
export function openCheckpoint(note: Uint8Array, known: readonly VerifierKey[]): OpenedCheckpoint {
  const opened = openNote(note, known);
  if (opened.kind === "refused") return opened;
  const checkpoint = readCheckpoint(opened.text);
  return typeof checkpoint === "string" ? { kind: "refused", because: checkpoint } : { kind: "opened", checkpoint, by: opened.by };
}

function readCheckpoint(text: string): Checkpoint | CheckpointRefusal {
  const [origin, size, base64, ...rest] = text.split("\n");
  // the text ends with a newline, so behind the last line there is one more, empty
  const extensions = rest.slice(0, -1);
  if (origin === undefined || size === undefined || base64 === undefined || rest.length === 0) return "checkpoint-lines";
  if ([origin, size, base64, ...extensions].includes("")) return "checkpoint-lines";
  if (!SIZE.test(size) || !Number.isSafeInteger(Number(size))) return "checkpoint-size";
  const root = Buffer.from(base64, "base64");
  if (root.length !== HASH_BYTES || root.toString("base64") !== base64) return "checkpoint-root";
  return { origin, size: Number(size), root, extensions };
}
