import { describe, expect, test } from "vitest";
import { type Checkpoint, openCheckpoint, signCheckpoint } from "../../../src/audit/checkpoint.ts";
import { EMPTY_ROOT, leafHash } from "../../../src/audit/hash.ts";
import { acceptCheckpoint, currentKey, introductionOf, type KeyRing } from "../../../src/audit/key-ring.ts";
import { signNote } from "../../../src/audit/note.ts";
import { testKey } from "../../support/keys.ts";

// Promise: what a checkpoint says is what its log's key signed; a new key counts by the word of the old one and its own.

const key = testKey("signalbox/rtm1");
const checkpoint: Checkpoint = { origin: "signalbox/rtm1/1", size: 1207, root: leafHash(Buffer.from("anything")), extensions: [] };
const open = (note: string): ReturnType<typeof openCheckpoint> => openCheckpoint(Buffer.from(note), [key.verifier]);

describe("a checkpoint", () => {
  test.each([
    ["as it is", {}],
    ["of an empty log", { size: 0, root: EMPTY_ROOT }],
    ["of the largest log", { size: Number.MAX_SAFE_INTEGER }],
    ["with lines behind it", { extensions: ["one", "and another"] }],
  ])("is opened as it was signed: %s", (_, change) => {
    const signed = { ...checkpoint, ...change };
    expect(open(signCheckpoint(signed, [key]))).toEqual({ kind: "opened", checkpoint: signed, by: [key.verifier] });
  });

  test("has three lines, a blank one and a signature", () => {
    expect(signCheckpoint(checkpoint, [key])).toMatch(/^signalbox\/rtm1\/1\n1207\n[A-Za-z0-9+/]{43}=\n\n— signalbox\/rtm1 [A-Za-z0-9+/]{91}=\n$/);
  });

  const root = checkpoint.root.toString("base64");
  test.each([
    ["without a root", "o\n1\n", "checkpoint-lines"],
    ["without an origin", `\n1\n${root}\n`, "checkpoint-lines"],
    ["without a size", `o\n\n${root}\n`, "checkpoint-lines"],
    ["with an empty root", "o\n1\n\n", "checkpoint-lines"],
    ["with an empty line behind it", `o\n1\n${root}\n\n`, "checkpoint-lines"],
    ["with an empty line between", `o\n1\n${root}\n\nmore\n`, "checkpoint-lines"],
    ["with a leading zero", `o\n01\n${root}\n`, "checkpoint-size"],
    ["with a sign", `o\n+1\n${root}\n`, "checkpoint-size"],
    ["with a size below 0", `o\n-1\n${root}\n`, "checkpoint-size"],
    ["with a size in hexadecimal", `o\n0x10\n${root}\n`, "checkpoint-size"],
    ["with a size beyond 2^53 - 1", `o\n9007199254740992\n${root}\n`, "checkpoint-size"],
    ["with a size of 17 digits", `o\n10000000000000000\n${root}\n`, "checkpoint-size"],
    ["with a short root", `o\n1\n${checkpoint.root.subarray(1).toString("base64")}\n`, "checkpoint-root"],
    ["with a long root", `o\n1\n${Buffer.alloc(33).toString("base64")}\n`, "checkpoint-root"],
    ["with a root that is written otherwise", `o\n1\n${root.replace("=", "")}\n`, "checkpoint-root"],
  ])("is refused although signed: %s", (_, text, because) => {
    expect(open(signNote(text, [key]))).toEqual({ kind: "refused", because });
  });

  test("is refused when its note is", () => {
    expect(open(signCheckpoint(checkpoint, [testKey("signalbox/rtm1", 2)]))).toEqual({ kind: "refused", because: "unknown-key" });
  });

  test.each([{ origin: "" }, { origin: "a\nb" }, { extensions: [""] }, { extensions: ["a\nb"] }])("is not signed with %j", (change) => {
    expect(() => signCheckpoint({ ...checkpoint, ...change }, [key])).toThrow(RangeError);
  });
});

describe("keys follow each other", () => {
  const second = testKey("signalbox/rtm1", 2);
  const third = testKey("signalbox/rtm1", 3);
  const ring: KeyRing = [key.verifier];
  const accept = (note: string, by: KeyRing): ReturnType<typeof acceptCheckpoint> => acceptCheckpoint(Buffer.from(note), by);
  const introducing = (line: string, ...by: readonly (typeof key)[]): string => signCheckpoint({ ...checkpoint, extensions: [line] }, by);

  test("by a note that the old one and the new one signed", () => {
    const accepted = accept(introducing(introductionOf(second.verifier), key, second), ring);
    expect(accepted).toMatchObject({ kind: "accepted", checkpoint: { size: 1207 }, ring: [{ text: key.verifier.text }, { text: second.verifier.text }] });
  });

  test.each([
    ["the new key did not sign", introducing(introductionOf(second.verifier), key)],
    ["another key signed", introducing(introductionOf(second.verifier), key, third)],
    ["what is introduced is no key", introducing(`${introductionOf(second.verifier)}x`, key, second)],
    [
      "two are introduced",
      signCheckpoint({ ...checkpoint, extensions: [introductionOf(second.verifier), introductionOf(third.verifier)] }, [key, second, third]),
    ],
    ["the line says something else", introducing(second.verifier.text, key, second)],
    ["it signs already", introducing(introductionOf(key.verifier), key)],
    ["nothing is introduced", signCheckpoint(checkpoint, [key, second])],
  ])("and the checkpoint counts but no key follows when %s", (_, note) => {
    expect(accept(note, ring)).toEqual({ kind: "accepted", checkpoint: expect.objectContaining({ size: 1207 }), ring });
  });

  test("and an earlier key's word alone counts no more", () => {
    const both: KeyRing = [key.verifier, second.verifier];
    expect(currentKey(both)).toBe(second.verifier);
    expect(accept(signCheckpoint(checkpoint, [key]), both)).toEqual({ kind: "refused", because: "retired-key" });
    expect(accept(signCheckpoint(checkpoint, [second]), both)).toMatchObject({ kind: "accepted", ring: both });
    expect(accept(introducing(introductionOf(third.verifier), key, third), both)).toEqual({ kind: "refused", because: "retired-key" });
  });

  test("and a stranger's word counts never", () => {
    expect(accept(introducing(introductionOf(second.verifier), second), ring)).toEqual({ kind: "refused", because: "unknown-key" });
  });
});
