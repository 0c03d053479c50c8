// Everything of one run that is real: Postgres, mosquitto, the processes of the service, and a proxy between every two that talk.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Mosquitto, startMosquitto } from "../../support/mosquitto.ts";
import { freshDatabase, type TestDatabase } from "../../support/postgres.ts";
import { type DurabilityWatch, watchDurability } from "./durable.ts";
import { createFleet, type Fleet } from "./fleet.ts";
import { type FaultProxy, startProxy } from "./proxy.ts";
import { startReplica } from "./replica.ts";

export interface Rig {
  readonly site: string;
  readonly database: TestDatabase;
  readonly broker: Mosquitto;
  /** Devices and broker: label `device`. */
  readonly devices: FaultProxy;
  /** One for each place where a process of the service may run: labels `sub`, `pub`, `watch` at the broker, `postgres` at the database. */
  readonly slots: readonly { readonly mqtt: FaultProxy; readonly postgres: FaultProxy }[];
  readonly fleet: Fleet;
  readonly durability: DurabilityWatch;
  /** A small file system of its own for Postgres' files; null where none may be mounted. */
  readonly smallDisk: string | null;
  close(): Promise<void>;
}

export interface RigOptions {
  readonly site: string;
  readonly directory: string;
  readonly replicas: number;
  readonly diskMegabytes: number;
  readonly random: () => number;
  /** A process was started. */
  born(): void;
}

export async function startRig(options: RigOptions): Promise<Rig> {
  const stops: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const stop of stops.splice(0).reverse()) {
      try {
        await stop();
      } catch (error) {
        console.error("a part of the rig did not stop:", error);
      }
    }
  };
  try {
    const smallDisk = mountSmallDisk(options.diskMegabytes);
    if (smallDisk !== null) stops.push(() => unmount(smallDisk));
    const database = await freshDatabase({
      migrated: false,
      ...(smallDisk === null ? {} : { below: smallDisk }),
      settings: ["max_wal_size=96MB", "min_wal_size=32MB", "track_commit_timestamp=on"],
    });
    stops.push(() => database.drop());
    const broker = await startMosquitto();
    stops.push(() => broker.remove());
    const durability = watchDurability(database.superUrl);
    const { random } = options;
    const devices = await startProxy({ targetPort: broker.port, random, label: () => "device" });
    stops.push(() => devices.close());
    const slots: { readonly mqtt: FaultProxy; readonly postgres: FaultProxy }[] = [];
    for (let slot = 0; slot < 2; slot += 1) {
      const mqtt = await startProxy({
        targetPort: broker.port,
        random,
        label: (clientId) => clientId.split("-").at(-1) ?? "",
        acknowledging: durability.acknowledging,
      });
      stops.push(() => mqtt.close());
      const postgres = await startProxy({ targetPort: Number(new URL(database.superUrl).port), random, label: "postgres" });
      stops.push(() => postgres.close());
      slots.push({ mqtt, postgres });
    }
    stops.push(() => durability.close());
    const through = (url: string, port: number | undefined): string => {
      const other = new URL(url);
      other.port = String(port);
      return other.href;
    };
    const fleet = createFleet({
      wanted: options.replicas,
      random,
      born: options.born,
      start: (slot) =>
        startReplica({
          slot,
          directory: options.directory,
          databaseUrl: through(database.runtimeUrl, slots[slot]?.postgres.port),
          databaseOwnerUrl: through(database.ownerUrl, slots[slot]?.postgres.port),
          mqttUrl: `mqtt://127.0.0.1:${slots[slot]?.mqtt.port}`,
        }),
    });
    stops.push(() => fleet.close());
    return { site: options.site, database, broker, devices, slots, fleet, durability, smallDisk, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A file system that can be filled without harm to anybody else. */
function mountSmallDisk(megabytes: number): string | null {
  const at = mkdtempSync(join(tmpdir(), "signalbox-disk-"));
  // whoever Postgres runs as must come through
  chmodSync(at, 0o711);
  const below = join(at, "disk");
  mkdirSync(below);
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m,mode=0755`, "tmpfs", below], { stdio: "ignore" });
  if (mounted.status === 0) return below;
  rmSync(at, { recursive: true, force: true });
  return null;
}

function unmount(below: string): void {
  spawnSync("umount", ["-l", below], { stdio: "ignore" });
  rmSync(join(below, ".."), { recursive: true, force: true });
}
