// What befalls the processes of the service: killed at a named point or anywhere, paused and woken, with a clock that jumps, or two at once.
import { between, type Fault, type Scene, sleep } from "./fault.ts";
import type { Replica } from "./replica.ts";

const POINTS = ["C0", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11"] as const;
const REACH_MS = 10_000;
const STANDBY_MS = 20_000;

export const PROCESS_FAULTS: readonly Fault[] = [
  ...POINTS.map(
    (point): Fault => ({
      name: `kill -9 at ${point}`,
      to: "process",
      weight: 1,
      inject: async (scene) => {
        const owner = await ownerOf(scene);
        if (owner === null) return false;
        owner.arm(point, 1 + between(scene.random, 0, 3));
        const died = await Promise.race([owner.dead, sleep(REACH_MS).then(() => "not reached")]);
        if (died === "not reached") owner.disarm();
        return died === point;
      },
    }),
  ),
  {
    name: "kill -9 anywhere",
    to: "process",
    weight: 2,
    inject: async (scene) => {
      const owner = await ownerOf(scene);
      owner?.kill();
      await owner?.dead;
      return owner !== null;
    },
  },
  {
    name: "paused 1 to 15 s, then woken",
    to: "process",
    weight: 3,
    inject: async (scene) => {
      const owner = await ownerOf(scene);
      if (owner === null) return false;
      await pauseFor(scene, owner, between(scene.random, 1_000, 15_000));
      return true;
    },
  },
  {
    name: "the owner killed, nothing else wrong: a take-over",
    to: "process",
    weight: 2,
    alone: true,
    inject: (scene) =>
      takenOver(scene, async (owner) => {
        owner.kill();
        await owner.dead;
      }),
  },
  {
    name: "the owner paused, nothing else wrong: a take-over",
    to: "process",
    weight: 2,
    alone: true,
    inject: (scene) => takenOver(scene, (owner) => pauseFor(scene, owner, between(scene.random, 8_000, 15_000))),
  },
  {
    name: "wall clock jumps by an hour",
    to: "process",
    weight: 2,
    inject: async (scene) => {
      const owner = await ownerOf(scene);
      if (owner === null) return false;
      owner.jumpClock((scene.random() < 0.5 ? -1 : 1) * 3_600_000);
      await sleep(between(scene.random, 1_000, 3_000));
      owner.jumpClock(0);
      return true;
    },
  },
  {
    name: "two owners of one shard",
    to: "process",
    weight: 2,
    inject: async (scene) => {
      const another = scene.rig.fleet.startAnother();
      if (another !== null) return await another.ready;
      // both run: the owner is cut off from Postgres alone, the other takes over, and what the first had asked for arrives after all
      const owner = await ownerOf(scene);
      const term = await scene.takeOvers.term();
      const release = owner === null ? null : scene.rig.slots[owner.slot]?.postgres.add({ label: "*", direction: "both", hold: true });
      await sleep(between(scene.random, 4_000, 9_000));
      release?.();
      return release != null && term !== (await scene.takeOvers.term());
    },
  },
];

/** A process that is paused knows nothing of it, and goes on when it is woken as if no time had passed. */
async function pauseFor(scene: Scene, owner: Replica, ms: number): Promise<void> {
  owner.pause();
  // where nobody stands by, a supervisor that finds it silent starts another
  if (!scene.rig.fleet.running.some((replica) => replica !== owner)) scene.rig.fleet.startAnother();
  await sleep(ms);
  owner.resume();
}

async function takenOver(scene: Scene, strike: (owner: Replica) => Promise<void>): Promise<boolean> {
  // where several run, one of them stands by; it may have been struck itself a moment ago
  const { fleet } = scene.rig;
  for (let n = 0; n < STANDBY_MS / 100 && (fleet.serving().length < fleet.wanted || (await ownerOf(scene)) === null); n += 1) await sleep(100);
  const owner = await ownerOf(scene);
  const term = await scene.takeOvers.term();
  if (owner === null || term === null || fleet.serving().length < fleet.wanted) return false;
  const struckAt = Date.now();
  await Promise.all([strike(owner), scene.takeOvers.measure(struckAt, term)]);
  return true;
}

async function ownerOf({ rig, takeOvers }: Scene): Promise<Replica | null> {
  const pid = await takeOvers.owner();
  return rig.fleet.serving().find((replica) => replica.pid === pid) ?? null;
}
