// Promise: `signalbox verify` finds a record sound that nobody touched, and names what is wrong with one that somebody did; what it cannot know it says.
// Attack: the record of a day with everything in it, signed by a real signer; then single columns of every table of the record changed, rows added and taken away.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Copy, runVerify, SITE, type SignedRecord, signedRecord, type Verification } from "../../support/signed-record.ts";

let record: SignedRecord;

beforeAll(async () => {
  record = await signedRecord();
});
afterAll(async () => {
  await record?.drop();
});

const verify = (copy: Copy, ...args: string[]): Promise<Verification> => runVerify(["--key", record.vkey, ...args], { DATABASE_URL: copy.runtimeUrl });

test("a record that nobody touched is sound", async () => {
  const { exit, report } = await verify(await record.copy(), "--anchors", record.mirror);
  expect(report.findings).toEqual([]);
  expect(exit).toBe(0);
  expect(report).toMatchObject({
    site: SITE,
    result: "sound",
    positions: { from: 1, to: record.last },
    entries: record.last,
    unsigned: null,
    unanchored: null,
    first: null,
  });
  expect(report.checkpoints).toBeGreaterThan(3);
  expect(report.anchors).toBe(report.checkpoints);
});
