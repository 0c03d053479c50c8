import { ERRORS } from "./database.ts";
import type { LinkFault } from "./link.ts";
import type { Plant } from "./plant.ts";
import { type Armed, POINTS } from "./points.ts";

/** One thing that goes wrong: when, for how long (milliseconds, where it has a length), and a number out of which it takes its particulars. */
export interface Fault {
  readonly at: number;
  readonly kind: FaultKind;
  readonly ms: number;
  readonly n: number;
}

interface Kind {
  readonly shortest: number;
  readonly longest: number;
  /** Lets it go wrong; returns what ends it. */
  begin(plant: Plant, n: number, ms: number): (() => void) | null;
}

/** Does something at once; nothing ends it. */
const once = (run: (plant: Plant, n: number) => void): Kind => ({
  shortest: 0,
  longest: 0,
  begin(plant, n) {
    run(plant, n);
    return null;
  },
});

/** At which point, and which time there is the one: the first, second or third; where a process seldom comes (C11), the first. */
function where(n: number): Pick<Armed, "point" | "nth"> {
  const point = POINTS[n % POINTS.length] ?? "C0";
  return { point, nth: point === "C11" ? 1 : 1 + (Math.floor(n / POINTS.length) % 3) };
}

const role = (n: number): "sub" | "pub" => (n % 2 === 0 ? "sub" : "pub");

const silence = (which: LinkFault): Kind => once((plant, n) => plant.linkOf(role(n))?.silence(which));

/** Every kind of fault, with the crash point of the programme that it stands for where it is one. C0 to C11 are points within the process: `point` and `point_stop`. */
export const FAULTS = {
  kill: once((plant, n) => plant.replicas[n % plant.replicas.length]?.process.kill()),
  point: {
    shortest: 0,
    longest: 0,
    begin(plant, n) {
      plant.owner()?.points.arm({ ...where(n), deed: "kill", ms: 0 });
      return null;
    },
  },
  point_stop: {
    shortest: 4_000,
    longest: 9_000,
    begin(plant, n, ms) {
      plant.owner()?.points.arm({ ...where(n), deed: "stop", ms });
      return null;
    },
  },
  /** C12: an owner that is stopped beyond its lease, and wakes. */
  stop: {
    shortest: 300,
    longest: 9_000,
    begin(plant, n) {
      const replica = plant.owner() ?? plant.replicas[n % plant.replicas.length];
      const before = plant.database.holder;
      replica?.process.stop();
      return () => {
        const { holder } = plant.database;
        if (before?.owner === replica?.process.name && holder !== null && holder.owner !== before?.owner) plant.hit("C12");
        replica?.process.goOn();
      };
    },
  },
  /** C13 */
  two_owners: once((plant) => plant.database.forgetLease()),
  /** C14 */
  database_crash: {
    shortest: 100,
    longest: 4_000,
    begin(plant, _n, ms) {
      plant.database.crashAtCommit({ point: "C14", ms });
      return null;
    },
  },
  /** C15: the synchronous standby takes over. What was acknowledged is there; every connection is gone. */
  failover: {
    shortest: 2_000,
    longest: 8_000,
    begin(plant, _n, ms) {
      plant.database.crashAtCommit({ point: "C15", ms });
      return null;
    },
  },
  backends_terminated: once((plant) => plant.database.terminate(plant.owner()?.process ?? null, ERRORS.terminated)),
  replies_lost: once((plant, n) => {
    plant.database.troubles.replies += 1 + (n % 3);
  }),
  commit_stalls: once((plant) => {
    plant.database.troubles.stalls += 1;
  }),
  commit_overtaken: once((plant) => {
    plant.database.troubles.nameless += 1;
  }),
  database_slow: {
    shortest: 500,
    longest: 4_000,
    begin(plant) {
      plant.database.troubles.slow = 400;
      return () => {
        plant.database.troubles.slow = 0;
      };
    },
  },
  /** C17 */
  disk_full: {
    shortest: 300,
    longest: 4_000,
    begin(plant) {
      plant.database.troubles.diskFull = true;
      return () => {
        plant.database.troubles.diskFull = false;
      };
    },
  },
  /** C18 */
  schema_locked: {
    shortest: 200,
    longest: 2_000,
    begin(plant) {
      plant.database.troubles.locked = true;
      return () => {
        plant.database.troubles.locked = false;
      };
    },
  },
  broker_crash: {
    shortest: 100,
    longest: 3_000,
    begin(plant) {
      plant.broker.crash(true);
      return () => plant.broker.start();
    },
  },
  /** C16 */
  broker_forgets: {
    shortest: 100,
    longest: 3_000,
    begin(plant) {
      plant.brokerForgets();
      return () => plant.broker.start();
    },
  },
  link_reset: once((plant, n) => plant.linkOf(role(n))?.end("reset")),
  link_half_open: silence("both"),
  link_deaf: silence("to_client"),
  link_mute: silence("to_server"),
  network_slow: {
    shortest: 500,
    longest: 4_000,
    begin(plant) {
      plant.network.slow = 300;
      return () => {
        plant.network.slow = 0;
      };
    },
  },
  device_cut_off: once((plant, n) => plant.cutDevice(n)),
  /** C19 */
  signer_killed: once((plant, n) => plant.signer?.dieWriting(n)),
  /** Forward or back by half a minute: as when a machine's clock is set. */
  database_clock_step: once((plant, n) => plant.database.stepClock(n % 2 === 0 ? 30_000 : -30_000)),
  clock_step: {
    shortest: 0,
    longest: 0,
    begin(plant, n) {
      for (const { process } of plant.replicas) process.stepClock(n % 2 === 0 ? 3_600_000 : -3_600_000);
      return null;
    },
  },
} as const satisfies Readonly<Record<string, Kind>>;
export type FaultKind = keyof typeof FAULTS;
