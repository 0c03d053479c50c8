import { expect, test } from "vitest";
import { byAge } from "../../../src/sequence/age.ts";

test("older is the lower of the given positions, then what this group has yet to be given, in its order", () => {
  const oldestFirst = [3, 7, 12, -1, -2, -15];
  for (const [i, a] of oldestFirst.entries())
    for (const [j, b] of oldestFirst.entries()) expect(Math.sign(byAge(a, b)), `${a} against ${b}`).toBe(Math.sign(i - j));
});
