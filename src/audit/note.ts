import { sign, verify } from "node:crypto";
import { isKeyName, type SigningKey, type VerifierKey } from "./note-key.ts";

// Signed notes (C2SP signed-note): a text, a blank line, and a line for each signature.

export type NoteRefusal =
  /** Longer than 256 KiB. */
  | "note-too-long"
  | "not-utf8"
  /** A control character other than newline. */
  | "control-character"
  /** No blank line between a text and signatures, or nothing behind it. */
  | "no-signature"
  /** More than 32. */
  | "too-many-signatures"
  /** A line among the signatures that is none, or is not written as it should be. */
  | "signature-line"
  /** Two different keys are known by the name and id of a signature: nobody can say which is meant. */
  | "ambiguous-key"
  /** A key that is known did not make the signature that names it. */
  | "false-signature"
  /** No signature is by a key that is known. */
  | "unknown-key";

export type OpenedNote =
  | {
      readonly kind: "opened";
      /** What was signed, with its last newline. */
      readonly text: string;
      /** The known keys that signed, each once, in the order of their first signatures; never empty. */
      readonly by: readonly VerifierKey[];
    }
  | { readonly kind: "refused"; readonly because: NoteRefusal };

const MAX_BYTES = 256 * 1024;
const MAX_SIGNATURES = 32;
const SIGNATURE_LINE = /^— ([^ ]+) ([A-Za-z0-9+/]+={0,2})$/;
const ID_BYTES = 4;

/**
 * Signs a text. One key after the other signs the same text, so a note may carry an old and a new key (rotation). Throws a RangeError when the text is not valid in a note:
 * it must end with a newline, and hold no other control character.
 */
export function signNote(text: string, keys: readonly SigningKey[]): string {
  if (!text.endsWith("\n") || !text.isWellFormed() || hasControl(text)) throw new RangeError("this text cannot be signed as a note");
  const bytes = Buffer.from(text);
  const lines = keys.map(({ verifier, privateKey }) => {
    const signature = Buffer.concat([Buffer.from(verifier.id, "hex"), sign(null, bytes, privateKey)]);
    return `— ${verifier.name} ${signature.toString("base64")}\n`;
  });
  return `${text}\n${lines.join("")}`;
}

/**
 * Reads a note and verifies it: every signature by a known key must be good, and there must be one. Signatures by others are not looked at, even when name or id alone is a
 * known key's. Strict: base64 must be as it would be written, so that nobody can make another note of the same text and signatures.
 */
export function openNote(note: Uint8Array, known: readonly VerifierKey[]): OpenedNote {
  if (note.length > MAX_BYTES) return refused("note-too-long");
  const whole = decodeUtf8(note);
  if (whole === null) return refused("not-utf8");
  if (hasControl(whole)) return refused("control-character");
  // the text may hold blank lines, so the last one parts it from the signatures
  const end = whole.lastIndexOf("\n\n");
  if (end === -1 || end + 2 === whole.length) return refused("no-signature");
  const text = whole.slice(0, end + 1);
  const lines = whole.slice(end + 2).split("\n");
  if (lines.pop() !== "") return refused("signature-line");
  if (lines.length > MAX_SIGNATURES) return refused("too-many-signatures");

  const bytes = Buffer.from(text);
  const by = new Set<VerifierKey>();
  for (const line of lines) {
    const signature = readSignature(line);
    if (signature === null) return refused("signature-line");
    const [key, another] = known.filter(({ name, id }) => name === signature.name && id === signature.id);
    if (key === undefined) continue;
    if (another !== undefined && another.text !== key.text) return refused("ambiguous-key");
    if (!verify(null, bytes, key.publicKey, signature.made)) return refused("false-signature");
    by.add(key);
  }
  return by.size === 0 ? refused("unknown-key") : { kind: "opened", text, by: [...by] };
}

const refused = (because: NoteRefusal): OpenedNote => ({ kind: "refused", because });

function readSignature(line: string): { readonly name: string; readonly id: string; readonly made: Buffer } | null {
  const [, name, base64] = SIGNATURE_LINE.exec(line) ?? [];
  if (name === undefined || base64 === undefined || !isKeyName(name)) return null;
  const bytes = Buffer.from(base64, "base64");
  if (bytes.toString("base64") !== base64 || bytes.length <= ID_BYTES) return null;
  return { name, id: bytes.subarray(0, ID_BYTES).toString("hex"), made: bytes.subarray(ID_BYTES) };
}

/** Null when the bytes are no UTF-8. A byte order mark is a character like any other. */
function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** C2SP signed-note, "Format": no character below U+0020 but newline. */
function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code < 0x20 && code !== 0x0a) return true;
  }
  return false;
}
