import pg from "pg";
import { capacityOf } from "./capacity.ts";
import { startDatabase } from "./database.ts";
import type { Cost } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import { siteName } from "./plan.ts";
import { Stand } from "./stand.ts";

// The same plant as one site or shared among several, each of which is a shard, decided by one process or by one each; and how often the head of one site can move at most.

export interface Setting {
  readonly shards: number;
  /** Processes that own shards. */
  readonly processes: number;
  /** Processes that stand by for all of them. */
  readonly standingBy: number;
}

/** A site has one signer. */
const NO_SIGNER = { AUDIT_DIR: "", AUDIT_MIRROR_DIR: "" };

/** Turn about, the simplest first. */
const SETTINGS: readonly Setting[] = [
  { shards: 1, processes: 1, standingBy: 0 },
  { shards: 2, processes: 1, standingBy: 0 },
  { shards: 4, processes: 1, standingBy: 0 },
  { shards: 2, processes: 2, standingBy: 0 },
  { shards: 4, processes: 4, standingBy: 0 },
  { shards: 1, processes: 1, standingBy: 1 },
];

export interface OfShards {
  /** What each cost, in each round. */
  readonly settings: readonly (Setting & { readonly costs: readonly Cost[] })[];
  /** How often a second one row moves on durably, and does nothing else: by one connection, and by four that wait for each other. */
  readonly head: { readonly alone: number; readonly contended: number };
}

export async function shards(options: Pick<BenchOptions, "seed" | "seconds" | "warmUp" | "rounds">, say: (text: string) => void): Promise<OfShards> {
  const settings = SETTINGS.map((setting) => ({ ...setting, costs: [] as Cost[] }));
  for (let round = 1; round <= options.rounds; round += 1)
    for (const { costs, ...setting } of settings) {
      const { shards, processes, standingBy } = setting;
      say(`round ${round}: ${shards} shards, ${processes} processes, ${standingBy} standing by`);
      const cost = await ofSetting(setting, options, say);
      say(
        Object.entries(cost.processor)
          .map(([part, seconds]) => `${part} ${seconds.toFixed(3)}`)
          .join(", "),
      );
      costs.push(cost);
    }
  return { settings, head: await headMoves(options.seconds / 2) };
}

async function ofSetting(
  { shards, processes, standingBy }: Setting,
  options: Pick<BenchOptions, "seed" | "seconds" | "warmUp">,
  say: (text: string) => void,
): Promise<Cost> {
  const owners = Array.from({ length: processes }, (_, n) =>
    processes === 1 ? {} : { SITES: Array.from({ length: shards / processes }, (_, m) => siteName(n + m * processes, shards)).join(",") },
  );
  const stand = await Stand.start(
    { seed: options.seed, sending: { sites: shards }, processes: [...owners, ...Array.from({ length: standingBy }, () => NO_SIGNER)], owners: processes },
    say,
  );
  try {
    const cost = await capacityOf(stand, options, say);
    if (stand.unanswered > 0) throw new Error(`${stand.unanswered} events were not answered`);
    return cost;
  } finally {
    await stand.end();
  }
}

async function headMoves(seconds: number): Promise<OfShards["head"]> {
  const database = await startDatabase();
  const client = async (): Promise<pg.Client> => {
    const connected = new pg.Client({ connectionString: database.superUrl });
    await connected.connect();
    return connected;
  };
  const moves = async (connections: number): Promise<number> => {
    const clients = await Promise.all(Array.from({ length: connections }, client));
    const until = performance.now() + seconds * 1_000;
    let moved = 0;
    await Promise.all(
      clients.map(async (one) => {
        while (performance.now() < until) {
          await one.query({ name: "move", text: "update bare_head set position = position + 500 where site = 'bench'" });
          moved += 1;
        }
        await one.end();
      }),
    );
    return moved / seconds;
  };
  try {
    await database.query("create table bare_head (site text primary key, position bigint not null); insert into bare_head values ('bench', 0)");
    return { alone: await moves(1), contended: await moves(4) };
  } finally {
    await database.drop();
  }
}
