import { expect, test } from "vitest";
import { signCheckpoint } from "../../../src/audit/checkpoint.ts";
import { sha256 } from "../../../src/audit/hash.ts";
import { mirrored, readMirror } from "../../../src/audit/mirror.ts";
import { testKey } from "../../support/keys.ts";

// Promise: whatever a crash leaves in a mirror, each note that is whole in it is read, what is torn is told, and what comes after it is read too.

const keys = [testKey("signalbox/rtm1"), testKey("signalbox/rtm1", 2)];
const note = (size: number, ...by: typeof keys): string =>
  signCheckpoint({ origin: "signalbox/rtm1/1", size, root: sha256(Buffer.from(String(size))), extensions: [] }, by);
const first = note(1, ...keys.slice(0, 1));
const second = note(2, ...keys);
const third = note(3, ...keys.slice(1));

test("a mirror gives back the notes that were appended to it", () => {
  expect(readMirror("")).toEqual({ notes: [], fragments: 0, torn: false });
  expect(readMirror([first, second, third].map((each) => mirrored(each, false)).join(""))).toEqual({
    notes: [first, second, third],
    fragments: 0,
    torn: false,
  });
});

test("a note that was torn anywhere is a fragment, unless all that matters of it is there; the next one is read", () => {
  const whole = mirrored(second, false);
  const firstSigned = second.split("\n").slice(0, -2).join("\n");
  for (let cut = 1; cut <= whole.length; cut += 1) {
    const before = `${mirrored(first, false)}${whole.slice(0, cut)}`;
    const left = readMirror(before);
    // one signature is enough for somebody who knows its key
    const counts = cut >= second.length - 1 ? [second] : [firstSigned.length, firstSigned.length + 1].includes(cut) ? [`${firstSigned}\n`] : [];
    expect(left.notes, `cut at ${cut}`).toEqual([first, ...counts]);
    expect(left.torn || counts.length > 0 || left.fragments > 0).toBe(true);
    const after = readMirror(`${before}${mirrored(third, left.torn)}`);
    expect(after.notes, `cut at ${cut}`).toEqual([first, ...counts, third]);
    expect(after.torn).toBe(false);
    expect(after.fragments > 0, `cut at ${cut}`).toBe(counts.length === 0);
  }
});

test("what is no note at all is told as a fragment", () => {
  expect(readMirror(`${mirrored(first, false)}somebody wrote this\n\n${mirrored(second, false)}`)).toEqual({
    notes: [first, second],
    fragments: 1,
    torn: false,
  });
  expect(readMirror("somebody wrote this")).toEqual({ notes: [], fragments: 1, torn: true });
});
