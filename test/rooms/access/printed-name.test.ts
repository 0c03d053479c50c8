import { expect, test } from "vitest";
import { isPrintedName } from "../../../src/access/principal.ts";

// Promise: the name beside a signature shows who signed, and nothing else. Attack: a line break that adds a sentence, characters that turn the direction of what follows,
// names that show nothing or like another's.

test.each(["Ann Jansen", "O’Neill-Çelik, Dr. M.", "李小龍", "Zoë 2", "می\u200cخواهم", "क्\u200dष", "N’Golo"])("%j is a name", (name) => {
  expect(isPrintedName(name)).toBe(true);
});

test.each([
  "",
  " ",
  "—",
  "Ann\nApproved by QA",
  "Ann\u2028Approved",
  "A\u202enna",
  "Ann\u2066x\u2069",
  "\u200b",
  "Ann\u200b",
  "Ann\u00ad",
  "Ann\u0007",
  "\ud800Ann",
  " Ann",
  "Ann\u00a0",
  "A".repeat(129),
])("%j is none", (name) => {
  expect(isPrintedName(name)).toBe(false);
});
