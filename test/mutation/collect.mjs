// What the pure tests import as `vitest` while mutants are tried: collects tests instead of running them, so that they are loaded once and run thousands of times.
import { format } from "node:util";

/** Tests of the file that is being loaded: full name and body. */
export const collected = [];
let path = [];

export let expect;
/** Says what `expect` is: vitest's own. */
export function expectWith(given) {
  expect = given;
}

export function describe(name, body) {
  path = [...path, name];
  try {
    body();
  } finally {
    path = path.slice(0, -1);
  }
}

export function test(name, body) {
  const full = [...path, name].join(" > ");
  // a test is known by its name; rows of a table may come out alike
  const alike = collected.filter((other) => other.name === full || other.name.startsWith(`${full} (`)).length;
  collected.push({ name: alike === 0 ? full : `${full} (${alike + 1})`, body });
}

const each = (one) => (rows) => (name, body) => {
  for (const row of rows) {
    const args = Array.isArray(row) ? row : [row];
    const places = name.match(/%[a-z]/g)?.length ?? 0;
    one(format(name, ...args.slice(0, places)), () => body(...args));
  }
};
test.each = each(test);
describe.each = each(describe);
