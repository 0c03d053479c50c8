// Whatever the database refuses as the last word is answered as the service would have answered, by the name of what refuses: none of these names is forgotten, and each code is one that is served.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { REQUEST_CODES } from "../../../src/api/codes.ts";
import { LAST_WORDS, lastWord } from "../../../src/api/last-word.ts";
import { CODES } from "../../../src/decide/verdict.ts";

const refusedBy = (constraint: string): Error => Object.assign(new Error("the insides of it"), { code: "23514", constraint });

test("every refusal that migrations 0026 to 0028, 0031 and 0032 name is answered with a code that is served, and without the database's insides", () => {
  const names = readdirSync("migrations")
    .filter((file) => /^00(26|27|28|31|32)_/.test(file))
    .flatMap((file) => [...readFileSync(`migrations/${file}`, "utf8").matchAll(/errcode = '23514', constraint = '(\w+)'/g)].map(([, name]) => name ?? ""));
  expect(new Set(names).size).toBeGreaterThan(9);
  expect(Object.keys(LAST_WORDS)).toEqual(expect.arrayContaining(names));
  for (const name of Object.keys(LAST_WORDS)) {
    const { document } = lastWord(refusedBy(name)) ?? {};
    expect({ ...REQUEST_CODES, ...CODES }, name).toHaveProperty(document?.code ?? "");
    expect(document?.detail, name).not.toContain("insides");
  }
  expect(lastWord(refusedBy("answers_for_every_site"))?.document).toMatchObject({
    status: 409,
    code: "PARTY_CONFLICT",
    conflicts: [{ code: "SHARED_SERVICE" }],
  });
});

test("what nobody foresaw stays the service's own failure", () => {
  for (const error of [refusedBy("challenge_once"), refusedBy("toString"), new Error("no constraint"), null, { constraint: "reviewed_by_others" }])
    expect(lastWord(error)).toBeNull();
});
