import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { refuseConsistency, refuseInclusion } from "../../../src/audit/verify-proof.ts";
import { measured } from "../../support/measure.ts";
import { repository } from "../../support/repository.ts";

// Promise: what the public vectors of transparency-dev/merkle call a proof is one, and none of the altered ones is (test/data/merkle-vectors).

const vectors = join(repository(), "test/data/merkle-vectors");
const bytes = z
  .string()
  .nullable()
  .transform((text) => Buffer.from(text ?? "", "base64"));
const proof = z
  .array(bytes)
  .nullable()
  .transform((hashes) => hashes ?? []);

const inclusion = z.object({ leafIdx: z.number(), treeSize: z.number(), root: bytes, leafHash: bytes, proof, wantErr: z.boolean() });
const consistency = z.object({ size1: z.number(), size2: z.number(), root1: bytes, root2: bytes, proof, wantErr: z.boolean() });

function files<T>(kind: string, shape: z.ZodType<T>): readonly (readonly [string, T])[] {
  return readdirSync(join(vectors, kind), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".json"))
    .sort()
    .map((name) => [`${kind}/${name}`, shape.parse(JSON.parse(readFileSync(join(vectors, kind, name), "utf8")))] as const);
}

const count = (answers: readonly (string | null)[]): Record<string, number> => {
  const counted: Record<string, number> = {};
  for (const answer of answers) counted[answer ?? "proved"] = (counted[answer ?? "proved"] ?? 0) + 1;
  return counted;
};

describe("the public vectors of inclusion", () => {
  const given = files("inclusion", inclusion);
  const refuse = (v: z.infer<typeof inclusion>): string | null =>
    refuseInclusion({ index: v.leafIdx, size: v.treeSize, leaf: v.leafHash, proof: v.proof, root: v.root });

  test.each(given)("%s", (_, vector) => expect(refuse(vector) !== null).toBe(vector.wantErr));

  test("are all there, refused for these reasons", () => {
    expect(count(given.map(([, vector]) => refuse(vector)))).toEqual({
      proved: 6,
      "another-root": 31,
      "no-such-place": 17,
      "not-a-hash": 18,
      "proof-too-long": 15,
      "proof-too-short": 11,
    });
    measured("vectors.inclusion", `${given.length}`);
  });
});

describe("the public vectors of consistency", () => {
  const given = files("consistency", consistency);
  const refuse = (v: z.infer<typeof consistency>): string | null =>
    refuseConsistency({ first: v.size1, second: v.size2, firstRoot: v.root1, secondRoot: v.root2, proof: v.proof });

  test.each(given)("%s", (_, vector) => expect(refuse(vector) !== null).toBe(vector.wantErr));

  test("are all there, refused for these reasons", () => {
    expect(count(given.map(([, vector]) => refuse(vector)))).toEqual({
      proved: 6,
      "another-root": 15,
      "another-first-root": 8,
      "no-such-place": 4,
      "not-a-hash": 10,
      "proof-too-long": 27,
      "proof-too-short": 19,
      "size-zero": 9,
    });
    measured("vectors.consistency", `${given.length}`);
  });
});
