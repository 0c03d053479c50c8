import type { Disk } from "../../../src/audit/disk.file.ts";
import { readMirror } from "../../../src/audit/mirror.ts";
import type { SigningKey } from "../../../src/audit/note-key.ts";
import type { Log, Remembered } from "../../../src/audit/signer.ts";
import type { SignerOptions, Step } from "../../../src/audit/signer-options.ts";
import { signerFiles } from "../../../src/audit/signer-state.file.ts";
import { createSigner } from "../../../src/audit/signing.ts";
import { rootInTile, TILE_WIDTH, type Tile } from "../../../src/audit/tiles.ts";
import { testKey } from "../../support/keys.ts";
import { memoryDisk, Power, powered } from "../../support/power.ts";

// A signer with a database and a disk that are tables in memory.

export interface Database {
  logs: Log[];
  /** By position. */
  readonly entries: Map<number, Buffer>;
  readonly checkpoints: { readonly log: number; readonly size: number; readonly note: string }[];
  readonly tiles: Map<string, Tile>;
  /** Commits so many entries. */
  commit(count: number): void;
}

export const SITE = "signalbox/rtm1";

export function database(first = 1): Database {
  const entries = new Map<number, Buffer>();
  return {
    logs: [{ log: 1, origin: `${SITE}/1`, first }],
    entries,
    checkpoints: [],
    tiles: new Map(),
    commit(count) {
      const from = Math.max(first - 1, ...entries.keys()) + 1;
      for (let position = from; position < from + count; position += 1) entries.set(position, Buffer.from(`{"position":${position}}\n{}`));
    },
  };
}

export interface World {
  readonly db: Database;
  readonly disk: Disk;
  power: Power;
  /** Entries that a step sees at most. */
  readonly batch: number;
}

export const world = (change: Partial<World> = {}): World => ({ db: database(), disk: memoryDisk(), power: new Power(), batch: 1_000, ...change });

export const KEY: SigningKey = testKey(SITE);

export function signer(at: World, change: Partial<SignerOptions> = {}): { step(): Promise<Step> } {
  const { db } = at;
  return createSigner({
    files: signerFiles({ disk: powered(at.disk, at.power), state: "/state", mirror: "/mirror" }),
    keys: [KEY],
    adopt: false,
    async look({ log, after, again, disposed = 0 }) {
      const positions = [...db.entries.keys()].sort((one, other) => one - other);
      const entriesAt = (wanted: (position: number) => boolean): { position: number; bytes: Buffer }[] =>
        positions.filter(wanted).map((position) => ({ position, bytes: db.entries.get(position) ?? Buffer.alloc(0) }));
      const first = db.logs.find((one) => one.log === log)?.first ?? 1;
      const kept: Remembered[] = [];
      for (let position = (after ?? disposed) + 1; position <= disposed && !db.entries.has(position); position += 1) {
        const leaf = leafInTiles(db, log, position - first);
        if (leaf === null) break;
        kept.push({ position, leaf });
      }
      const behind = kept.at(-1)?.position ?? after;
      return {
        logs: db.logs,
        ...(kept.length === 0 ? {} : { kept }),
        last: positions.at(-1) ?? 0,
        again: entriesAt((position) => again.some(([from, to]) => position >= from && position <= to)),
        next: behind === null ? [] : entriesAt((position) => position > behind).slice(0, at.batch),
        handed: Math.max(0, ...db.checkpoints.filter((checkpoint) => checkpoint.log === log).map(({ size }) => size)),
      };
    },
    hand: ({ log, size, note }, tiles) =>
      at.power.during(async (left) => {
        if (left !== "all") return;
        db.checkpoints.push({ log, size, note });
        for (const tile of tiles) db.tiles.set(`${log}:${tile.level}:${tile.n}`, tile);
      }),
    ...change,
  });
}

function leafInTiles({ tiles }: Database, log: number | null, index: number): Buffer | null {
  const tile = tiles.get(`${log}:0:${Math.floor(index / TILE_WIDTH)}`);
  return tile === undefined ? null : rootInTile(tile.hashes, index % TILE_WIDTH, 1);
}

/** Steps until there is nothing more to do. */
export async function run({ step }: { step(): Promise<Step> }): Promise<readonly Step[]> {
  const steps: Step[] = [];
  for (;;) {
    const taken = await step();
    steps.push(taken);
    if (taken.kind === "idle" || taken.kind === "refused") return steps;
  }
}

/** The last thing that a fresh signer comes to. */
export const outcome = async (at: World, change: Partial<SignerOptions> = {}): Promise<Step | undefined> => (await run(signer(at, change))).at(-1);

export async function mirrorOf(at: World, log = 1): Promise<ReturnType<typeof readMirror>> {
  return readMirror((await at.disk.read(`/mirror/log-${log}.notes`, 0, 1_000_000)).toString());
}

/** The table of files behind a disk in memory. */
export function filesOf({ disk }: World): Map<string, Buffer> {
  if (!("files" in disk) || !(disk.files instanceof Map)) throw new Error("the disk is none in memory");
  return disk.files;
}
