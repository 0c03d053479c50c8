// What a fault is to the schedule: a name that is counted, what it is done to, and how it is done and undone.
import type { Rig } from "./rig.ts";
import type { TakeOvers } from "./take-over.ts";

export interface Scene {
  readonly rig: Rig;
  readonly random: () => number;
  readonly takeOvers: TakeOvers;
  /** What no service can survive without loss happened now. */
  forgot(): void;
}

export interface Fault {
  readonly name: string;
  /** Only one fault at a time is done to the same thing. */
  readonly to: string;
  readonly weight: number;
  /** Nothing else is wrong meanwhile, so that what is measured is its own. */
  readonly alone?: true;
  /** Does it and heals it; whether it hit. */
  inject(scene: Scene): Promise<boolean>;
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
export const between = (random: () => number, low: number, high: number): number => low + Math.floor(random() * (high - low));
