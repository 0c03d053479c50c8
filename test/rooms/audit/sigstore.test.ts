import { verifyMerkleInclusion } from "@sigstore/verify/dist/tlog/merkle.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Frontier } from "../../../src/audit/frontier.ts";
import { type Hash, leafHash } from "../../../src/audit/hash.ts";
import { inclusionProof } from "../../../src/audit/tree.ts";
import { refuseInclusion } from "../../../src/audit/verify-proof.ts";
import { measured } from "../../support/measure.ts";
import { turn } from "./turn.ts";

// Promise: a proof of inclusion is one to a verifier of other makers too. `@sigstore/verify` shows its Merkle part to nobody, so it is imported past its front door; its version is exact.

const SIZES = 300;
const entries = Array.from({ length: SIZES }, (_, i) => Buffer.from(`entry ${i}`));
const told = new Map<string, Hash>();
const roots: Hash[] = [];
const growing = new Frontier();
for (const entry of entries) {
  roots.push(growing.root());
  growing.append(leafHash(entry), ({ level, index }, root) => told.set(`${level}:${index}`, root));
}
roots.push(growing.root());

test("@sigstore/verify agrees on 1,000 generated proofs of inclusion, and on what is none", () => {
  let proved = 0;
  let refused = 0;
  fc.assert(
    fc.property(fc.integer({ min: 1, max: SIZES }), fc.nat(), fc.nat({ max: 2 ** 20 }), (size, anywhere, turned) => {
      const index = anywhere % size;
      const hashes = [...inclusionProof(index, size, ({ level, index }) => told.get(`${level}:${index}`) ?? Buffer.alloc(0))];
      const logHash = roots[size] ?? Buffer.alloc(0);
      const theirs = (proof: readonly Buffer[]): boolean => {
        try {
          verifyMerkleInclusion(
            { canonicalizedBody: entries[index], inclusionProof: { logIndex: String(index), hashes: proof } } as never,
            { logSize: BigInt(size), logHash } as never,
          );
          return true;
        } catch {
          return false;
        }
      };
      const ours = (proof: readonly Buffer[]): boolean =>
        refuseInclusion({ index, size, leaf: leafHash(entries[index] ?? Buffer.alloc(0)), proof, root: logHash }) === null;
      expect([ours(hashes), theirs(hashes)]).toEqual([true, true]);
      proved += 1;
      const altered = size === 1 ? [logHash] : turn(hashes, turned);
      expect([ours(altered), theirs(altered)]).toEqual([false, false]);
      refused += 1;
    }),
    { numRuns: 1_000 },
  );
  expect({ proved, refused }).toEqual({ proved: 1_000, refused: 1_000 });
  measured("oracle", `agrees on ${proved} proofs, and on ${refused} that are none`);
});
