import type { Time } from "../ops/time.ts";
import type { Refused } from "./signer.ts";
import type { Step } from "./signer-options.ts";

/** How a site's signing goes. */
export type Signing =
  /** Nothing was looked at yet, or a log has ended and the next comes; null: nothing is signed yet. */
  | { readonly kind: "waiting"; readonly position: number | null }
  /** Files or database cannot be reached, read or written; it is tried again. */
  | { readonly kind: "hindered"; readonly position: number | null; readonly trouble: string }
  /** Everything up to this position is signed. */
  | { readonly kind: "signing"; readonly position: number }
  /** Nothing is signed until what it names is mended. */
  | { readonly kind: "refused"; readonly position: number | null; readonly refusal: Refused };

export interface SigningLoop {
  readonly condition: Signing;
  /** Resolves when the signer has looked once, whatever it saw. */
  readonly begun: Promise<void>;
  stop(): Promise<void>;
}

/** Between two checkpoints: the time for which what was committed is not covered. */
const SIGN_MS = 500;
/** The same while more is there than one step takes, as after a signer was away; the route goes on beside it. */
const BEHIND_MS = 50;
const REFUSED_MS = 5_000;
const RETRY_MS = 1_000;

/** Lets a signer step for as long as it is not stopped. `onRefused` is told of each refusal once, `onTrouble` of what files or database threw, once until a step succeeds. */
export function signOn(
  signer: { step(): Promise<Step> },
  time: Time,
  told: { onSigned(position: number): void; onRefused(refusal: Refused): void; onTrouble(error: unknown): void },
): SigningLoop {
  let condition: Signing = { kind: "waiting", position: null };
  let stopping = false;
  let wake: () => void = () => {};
  let begin: () => void = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });

  const idle = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const callOff = time.after(ms, resolve);
      wake = () => {
        callOff();
        resolve();
      };
    });

  /** Does one step; gives for how long nothing more is to be done. */
  async function step(): Promise<number> {
    const done = await signer.step();
    const before = condition.position;
    switch (done.kind) {
      case "refused":
        if (condition.kind !== "refused" || condition.refusal.detail !== done.detail) told.onRefused(done);
        condition = { kind: "refused", position: before, refusal: done };
        return REFUSED_MS;
      case "signed":
        condition = { kind: "signing", position: done.position };
        told.onSigned(done.position);
        return done.position < done.last ? BEHIND_MS : SIGN_MS;
      case "idle":
        condition = { kind: "signing", position: done.position };
        return SIGN_MS;
      case "following":
      case "ended":
        condition = { kind: "waiting", position: before };
        return 0;
    }
  }

  async function run(): Promise<void> {
    while (!stopping) {
      let pause: number;
      try {
        pause = await step();
      } catch (error) {
        if (condition.kind !== "hindered") told.onTrouble(error);
        condition = { kind: "hindered", position: condition.position, trouble: error instanceof Error ? error.message : String(error) };
        pause = RETRY_MS;
      }
      begin();
      if (pause > 0 && !stopping) await idle(pause);
    }
  }

  const running = run();
  return {
    get condition() {
      return condition;
    },
    begun,
    async stop() {
      stopping = true;
      wake();
      await running;
    },
  };
}
