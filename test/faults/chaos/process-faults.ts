// What befalls the processes of the service: killed at a named point or anywhere, paused and woken, with a clock that jumps, or two at once.
import { between, type Fault, type Scene, sleep } from "./fault.ts";
import type { Replica } from "./replica.ts";

const POINTS = ["C0", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11"] as const;
const REACH_MS = 10_000;

export const PROCESS_FAULTS: readonly Fault[] = [
  ...POINTS.map(
    (point): Fault => ({
      name: `kill -9 at ${point}`,
      to: "process",
      weight: 1,
      inject: async (scene) => {
        const owner = await ownerOf(scene);
        if (owner === null) return false;
        const term = await scene.takeOvers.term();
        owner.arm(point, 1 + between(scene.random, 0, 3));
        const died = await Promise.race([owner.dead, sleep(REACH_MS).then(() => "not reached")]);
        if (died === "not reached") owner.disarm();
        if (died !== point) return false;
        if (term !== null) await scene.takeOvers.measure(Date.now(), term);
        return true;
      },
    }),
  ),
  {
    name: "kill -9 anywhere",
    to: "process",
    weight: 2,
    inject: async (scene) => {
      const owner = await ownerOf(scene);
      const term = await scene.takeOvers.term();
      if (owner === null || term === null) return false;
      owner.kill();
      const struck = Date.now();
      await owner.dead;
      await scene.takeOvers.measure(struck, term);
      return true;
    },
  },
  {
    name: "paused 1 to 15 s, then woken",
    to: "process",
    weight: 3,
    inject: async (scene) => {
      const owner = await ownerOf(scene);
      const term = await scene.takeOvers.term();
      if (owner === null || term === null) return false;
      owner.pause();
      const struck = Date.now();
      const woken = sleep(between(scene.random, 1_000, 15_000)).then(() => owner.resume());
      // where nobody stands by, a supervisor that finds it silent starts another
      if (!scene.rig.fleet.running.some((replica) => replica !== owner)) scene.rig.fleet.startAnother();
      await Promise.race([scene.takeOvers.measure(struck, term), woken.then(() => sleep(2_000))]);
      await woken;
      return true;
    },
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
      const another = scene.rig.fleet.startAnother() ?? scene.rig.fleet.running.find((replica) => replica.url === null);
      if (another === undefined) return false;
      return await another.ready;
    },
  },
];

async function ownerOf({ rig, takeOvers }: Scene): Promise<Replica | null> {
  const pid = await takeOvers.owner();
  return rig.fleet.serving().find((replica) => replica.pid === pid) ?? null;
}
