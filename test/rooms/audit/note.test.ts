import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type OpenedNote, openNote, signNote } from "../../../src/audit/note.ts";
import { parseVerifierKey, type VerifierKey, verifierKey } from "../../../src/audit/note-key.ts";
import { keyOf, testKey } from "../../support/keys.ts";

// Promise: a note is opened only if a known key signed exactly its text, and every known key that is named did.
// Attack: the known answers of C2SP and of Go; every way to write a note that is not one; every bit of a note turned.

function known(text: string): VerifierKey {
  const key = parseVerifierKey(text);
  if (typeof key === "string") throw new Error(key);
  return key;
}

const because = (opened: OpenedNote): string | null => (opened.kind === "refused" ? opened.because : null);
const open = (note: string, ...keys: readonly VerifierKey[]): OpenedNote => openNote(Buffer.from(note), keys);

// C2SP signed-note at 5ba5ee8, "Verifier keys", "Example" (CC BY 4.0)
const FOO = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const FOO_NOTE =
  "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

// golang.org/x/mod, sumdb/note, note_test.go (The Go Authors, BSD-3-Clause)
const PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const BY_PETER = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const BY_ENOCH = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

describe("the known answers", () => {
  test("of C2SP: its example key verifies its example note", () => {
    expect(open(FOO_NOTE, known(FOO))).toEqual({ kind: "opened", text: "This is an example message.\n", by: [known(FOO)] });
    expect(because(open(FOO_NOTE.replace("message", "massage"), known(FOO)))).toBe("false-signature");
  });

  test("of Go: notes by one key and by two", () => {
    expect(open(`${TEXT}\n${BY_PETER}`, known(PETER))).toEqual({ kind: "opened", text: TEXT, by: [known(PETER)] });
    expect(open(`${TEXT}\n${BY_PETER}${BY_ENOCH}`, known(ENOCH), known(PETER))).toEqual({ kind: "opened", text: TEXT, by: [known(PETER), known(ENOCH)] });
  });

  test("of Go: the same key signs the same text as the same note", () => {
    const peter = keyOf("PeterNeumann", Buffer.from("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz", "base64").subarray(1));
    expect(peter.verifier.text).toBe(PETER);
    expect(signNote(TEXT, [peter])).toBe(`${TEXT}\n${BY_PETER}`);
  });

  test("of Go: no part of a verifier key is one, nor is it with any character changed", () => {
    for (let from = 0; from < PETER.length; from += 1)
      for (let to = from + 1; to <= PETER.length; to += 1)
        if (to - from < PETER.length) expect(typeof parseVerifierKey(PETER.slice(from, to)), PETER.slice(from, to)).toBe("string");
    for (let at = 0; at < PETER.length; at += 1) {
      const next = String.fromCharCode(PETER.charCodeAt(at) + 1);
      expect(typeof parseVerifierKey(PETER.slice(0, at) + next + PETER.slice(at + 1))).toBe("string");
    }
  });
});

describe("a verifier key", () => {
  test.each([
    ["PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==", "not-a-verifier-key"],
    ["PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "not-ed25519"],
    [`${PETER}AAAA`, "not-ed25519"],
    [PETER.replace("c74f20a3", "c74f20a4"), "another-key-id"],
    [PETER.replace("c74f20a3", "C74F20A3"), "not-a-verifier-key"],
    [PETER.replace("PeterNeumann", "PeterNeuman"), "another-key-id"],
    [PETER.replace("PeterNeumann", "Peter Neumann"), "not-a-verifier-key"],
    [PETER.replace("PeterNeumann", ""), "not-a-verifier-key"],
    [`${PETER}\n`, "not-a-verifier-key"],
    ["", "not-a-verifier-key"],
  ])("%s is refused: %s", (text, refusal) => expect(parseVerifierKey(text)).toBe(refusal));

  test("is read back as it was written", () => {
    const { verifier } = testKey("signalbox/rtm1");
    expect(parseVerifierKey(verifier.text)).toMatchObject({ name: "signalbox/rtm1", id: verifier.id, text: verifier.text });
  });

  test.each(["", "two words", "a+b", "no\u2003wide", "bell\u0007", "next\u0085line", "half \ud800"])("is not made under the name %j", (name) => {
    expect(() => testKey(name)).toThrow(RangeError);
  });

  test("is not made of another kind of key", () => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    expect(() => verifierKey("signalbox/rtm1", publicKey)).toThrow(RangeError);
    const x25519 = createPublicKey(generateKeyPairSync("x25519").publicKey.export({ format: "pem", type: "spki" }));
    expect(() => verifierKey("signalbox/rtm1", x25519)).toThrow(RangeError);
  });
});

describe("who signed", () => {
  const whole = `${TEXT}\n${BY_PETER}${BY_ENOCH}`;
  const peter = known(PETER);
  const enoch = known(ENOCH);

  test("is not asked of a key that nobody knows", () => {
    expect(open(whole, peter)).toMatchObject({ kind: "opened", by: [peter] });
    expect(open(`${TEXT}\n${BY_PETER}— EnochRoot AAAAAAAA\n`, peter)).toMatchObject({ kind: "opened", by: [peter] });
    expect(because(open(whole, known(FOO)))).toBe("unknown-key");
    expect(because(open(whole))).toBe("unknown-key");
  });

  test("is not a known key when name or id alone is a known key's", () => {
    const namesake = testKey("PeterNeumann").verifier;
    expect(because(open(`${TEXT}\n${BY_PETER}`, namesake))).toBe("unknown-key");
    expect(because(open(`${TEXT}\n${BY_PETER.replace("PeterNeumann", "PeterOldmann")}`, peter))).toBe("unknown-key");
  });

  test("is refused when a known key did not make what bears its name, whoever else signed", () => {
    const falsely = BY_ENOCH.replace("5n2tiOHp", "5n2tiOHq");
    expect(because(open(`${TEXT}\n${BY_PETER}${falsely}`, peter, enoch))).toBe("false-signature");
    expect(open(`${TEXT}\n${BY_PETER}${falsely}`, peter).kind).toBe("opened");
    expect(because(open(`${TEXT}\n${BY_PETER}${BY_PETER.replace("x08go/ZJ", "x08go/ZK")}`, peter))).toBe("false-signature");
    expect(because(open(`${TEXT}\n— PeterNeumann x08go/Y=\n`, peter))).toBe("false-signature");
  });

  test("is told once for each key", () => {
    expect(open(`${TEXT}\n${BY_PETER}${BY_PETER}`, peter, peter)).toMatchObject({ by: [peter] });
  });

  test("is not guessed between two keys of one name and id", () => {
    const other: VerifierKey = { ...testKey("PeterNeumann").verifier, id: peter.id };
    expect(because(open(`${TEXT}\n${BY_PETER}`, peter, other))).toBe("ambiguous-key");
    expect(open(`${TEXT}\n${BY_ENOCH}`, enoch, peter, other).kind).toBe("opened");
  });
});

describe("what is no note", () => {
  const peter = known(PETER);
  const signature = BY_PETER.split(" ")[2]?.trimEnd() ?? "";

  test.each([
    ["without signatures", TEXT, "no-signature"],
    ["with a blank line and nothing behind it", `${TEXT}\n`, "no-signature"],
    ["whose last line is not ended", `${TEXT}\n${BY_PETER.trimEnd()}`, "signature-line"],
    ["with a control character", `\u0001${TEXT}\n${BY_PETER}`, "control-character"],
    ["with a tab", `${TEXT}\t\n\n${BY_PETER}`, "control-character"],
    ["with a carriage return", `${TEXT}\n${BY_PETER}`.replaceAll("\n", "\r\n"), "control-character"],
    ["with a name of two words", `${TEXT}\n— Bad Name ${signature}\n`, "signature-line"],
    ["with a name with a plus", `${TEXT}\n— Bad+Name ${signature}\n`, "signature-line"],
    ["with a name with a wide space", `${TEXT}\n— Bad\u2003Name ${signature}\n`, "signature-line"],
    ["with a hyphen for the dash", `${TEXT}\n${BY_PETER.replace("—", "-")}`, "signature-line"],
    ["with a line that is no signature", `${TEXT}\n${BY_PETER}Unexpected line.\n`, "signature-line"],
    ["with a space behind a signature", `${TEXT}\n${BY_PETER.trimEnd()} \n`, "signature-line"],
    ["with base64 without its padding", `${TEXT}\n${BY_PETER.replace("=", "")}`, "signature-line"],
    ["with base64 whose unused bits are set", `${TEXT}\n${BY_PETER.replace("nAM=", "nAN=")}`, "signature-line"],
    ["with a key id and no signature", `${TEXT}\n— PeterNeumann x08gow==\n`, "signature-line"],
    ["with a signature that is empty", `${TEXT}\n— PeterNeumann \n`, "signature-line"],
    ["with 33 signatures", `${TEXT}\n${BY_PETER.repeat(33)}`, "too-many-signatures"],
    ["of more than 256 KiB", `${"x".repeat(256 * 1024)}\n\n${BY_PETER}`, "note-too-long"],
    ["that is empty", "", "no-signature"],
  ])("is refused: a note %s", (_, note, refusal) => expect(because(open(note, peter))).toBe(refusal));

  test("is refused: a note that is no UTF-8", () => {
    expect(because(openNote(Buffer.concat([Buffer.of(0xff), Buffer.from(`${TEXT}\n${BY_PETER}`)]), [peter]))).toBe("not-utf8");
  });

  test("is opened: a note with 32 signatures, with blank lines in its text, of 256 KiB", () => {
    expect(open(`${TEXT}\n${BY_PETER.repeat(32)}`, peter).kind).toBe("opened");
    const key = testKey("signalbox/rtm1");
    for (const text of ["one\n\ntwo\n", "\n", "\u007fdelete and \ufeffmark\n", `${"x".repeat(256 * 1024 - signNote("\n", [key]).length - 2)}\n`])
      expect(open(signNote(text, [key]), key.verifier)).toEqual({ kind: "opened", text, by: [key.verifier] });
  });

  test.each(["", "no newline", "tab\t\n", "half \ud800\n"])("is not signed: the text %j", (text) => {
    expect(() => signNote(text, [testKey("signalbox/rtm1")])).toThrow(RangeError);
  });
});

test("with any single bit turned, no note is opened", () => {
  const key = testKey("signalbox/rtm1");
  const note = Buffer.from(signNote("signalbox/rtm1/1\n12\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n", [key]));
  expect(openNote(note, [key.verifier]).kind).toBe("opened");
  for (let bit = 0; bit < note.length * 8; bit += 1) {
    const turned = Buffer.from(note);
    turned.writeUInt8(turned.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    expect(openNote(turned, [key.verifier]).kind, `bit ${bit}`).toBe("refused");
  }
});
