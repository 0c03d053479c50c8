import { expect, test } from "vitest";
import { signOn } from "../../../src/audit/sign-on.ts";
import type { Step } from "../../../src/audit/signer-options.ts";
import { ownTime, type Time } from "../../../src/ops/time.ts";

// Promise: a signer that is behind catches up without waiting as it does between two checkpoints, and waits again once it has.
// Attack: steps that leave entries behind, one that does not, and one that finds nothing, with a clock that only notes for how long it was to wait.

const signed = (position: number, last: number): Step => ({ kind: "signed", position, last, log: 1, size: position, root: Buffer.alloc(32), note: "" });

async function waitsAfter(steps: readonly Step[]): Promise<readonly number[]> {
  const waits: number[] = [];
  const left = [...steps];
  let enough: () => void = () => {};
  const all = new Promise<void>((resolve) => {
    enough = resolve;
  });
  const time: Time = {
    ...ownTime,
    after(ms, run) {
      waits.push(ms);
      if (waits.length === steps.length) enough();
      else ownTime.soon(run);
      return () => {};
    },
  };
  const loop = signOn({ step: async () => left.shift() ?? { kind: "idle", checkpoint: null, position: 0 } }, time, {
    onSigned: () => {},
    onRefused: () => {},
    onTrouble: () => {},
  });
  await all;
  await loop.stop();
  return waits;
}

test("what is left behind is signed soon, and the next checkpoint waits its time", async () => {
  const waits = await waitsAfter([signed(4_096, 9_000), signed(8_192, 9_000), signed(9_000, 9_000), { kind: "idle", checkpoint: null, position: 9_000 }]);
  expect(waits).toEqual([50, 50, 500, 500]);
});
