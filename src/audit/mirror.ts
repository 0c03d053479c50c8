// The mirror: a file, on another path than everything else, to which each checkpoint is appended before it counts. Notes follow each other with a blank line between. It is
// only ever appended to (it may lie where nothing else is possible), so what a crash has torn stays there, closed by a blank line, and is read as a fragment.

export interface Mirror {
  /** Whole notes, in order. */
  readonly notes: readonly string[];
  /** Pieces of notes that a crash has torn. None of them ever counted. */
  readonly fragments: number;
  /** Whether the last piece was not closed: whatever comes next must be parted from it. */
  readonly torn: boolean;
}

const SIGNATURES = /^(?:— \S+ [A-Za-z0-9+/]{91}=\n?)+$/;

/** What is appended for a note: `torn` says that the file ends within another. */
export const mirrored = (note: string, torn: boolean): string => `${torn ? "\n\n" : ""}${note}\n`;

/**
 * Reads a mirror, or what was appended to it. A note is whole when all its signatures are (an Ed25519 signature is 68 bytes with its key's id, 92 characters), whether or not the
 * file goes on behind it: a note that may have been seen counts. Nothing is verified here.
 */
export function readMirror(text: string): Mirror {
  const notes: string[] = [];
  let fragments = 0;
  const pieces = text.split("\n\n").filter((piece) => piece !== "" && piece !== "\n");
  for (let i = 0; i < pieces.length; i += 1) {
    const [body = "", signatures = ""] = [pieces[i], pieces[i + 1]].map((piece) => piece?.replace(/^\n/, ""));
    if (SIGNATURES.test(signatures)) {
      notes.push(`${body}\n\n${signatures.endsWith("\n") ? signatures : `${signatures}\n`}`);
      i += 1;
    } else {
      fragments += 1;
    }
  }
  return { notes, fragments, torn: text !== "" && !text.endsWith("\n\n") };
}
