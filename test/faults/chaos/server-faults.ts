// What befalls Postgres and the broker.
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { between, type Fault, type Scene, sleep } from "./fault.ts";

export const SERVER_FAULTS: readonly Fault[] = [
  {
    name: "Postgres stopped immediately, then started",
    to: "postgres",
    weight: 3,
    inject: async ({ rig, random }) => {
      await rig.database.cluster.stop("immediate");
      await sleep(between(random, 200, 4_000));
      await rig.database.cluster.start();
      return true;
    },
  },
  {
    name: "Postgres backends terminated",
    to: "postgres",
    weight: 3,
    inject: async ({ rig }) => {
      const rows = await rig.database.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'signalbox%'");
      return rows.length > 0;
    },
  },
  {
    name: "a Postgres backend paused",
    to: "postgres",
    weight: 2,
    inject: async ({ rig, random }) => {
      const rows = await rig.database.query("select pid from pg_stat_activity where application_name like 'signalbox%' order by state_change desc limit 1");
      const pid = Number(rows[0]?.["pid"] ?? 0);
      if (pid === 0) return false;
      process.kill(pid, "SIGSTOP");
      await sleep(between(random, 500, 4_000));
      process.kill(pid, "SIGCONT");
      return true;
    },
  },
  ...(["shards where shard", "sites where site", "sources where site"] as const).map(
    (rows): Fault => ({
      name: `another session locks rows of ${rows.split(" ")[0]}`,
      to: "postgres",
      weight: 1,
      inject: async ({ rig, random }) =>
        asSuperuser(rig.database.superUrl, async (client) => {
          await client.query("begin");
          await client.query(`select from ${rows} = $1 for update`, [rig.site]);
          await sleep(between(random, 500, 12_000));
          await client.query("rollback");
        }),
    }),
  ),
  {
    name: "all connections of Postgres used up",
    to: "postgres",
    weight: 1,
    inject: async ({ rig, random }) => {
      const clients: pg.Client[] = [];
      for (let n = 0; n < 110; n += 1) {
        const client = new pg.Client({ connectionString: rig.database.runtimeUrl, connectionTimeoutMillis: 2_000 });
        client.on("error", () => {});
        try {
          await client.connect();
        } catch {
          break;
        }
        clients.push(client);
      }
      await rig.database.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'signalbox%'");
      await sleep(between(random, 500, 3_000));
      await Promise.allSettled(clients.map((client) => client.end()));
      return clients.length < 110;
    },
  },
  {
    name: "disk full",
    to: "postgres",
    weight: 2,
    inject: fillDisk,
  },
  {
    name: "broker restarted, with its persistence",
    to: "broker",
    weight: 3,
    inject: async ({ rig, random }) => {
      await rig.broker.stop();
      await sleep(between(random, 100, 2_000));
      await rig.broker.start();
      return true;
    },
  },
  {
    // what it had acknowledged is saved: nothing reaches it between the saving and the kill, and what it sent meanwhile reaches nobody
    name: "broker killed with -9 right after it saved",
    to: "broker",
    weight: 2,
    inject: async ({ rig, random }) => {
      const held = [rig.devices, ...rig.slots.map(({ mqtt }) => mqtt)].map((proxy) => proxy.add({ label: "*", direction: "both", hold: true }));
      await sleep(50);
      await rig.broker.save();
      await rig.broker.kill();
      await sleep(between(random, 100, 1_000));
      await rig.broker.start();
      for (const release of held) release();
      return true;
    },
  },
];

/** Only where devices resend: what the broker had acknowledged to them and not delivered is gone with it. */
export const FORGETTING_FAULTS: readonly Fault[] = [
  {
    name: "broker restarted, without its persistence",
    to: "broker",
    weight: 3,
    inject: async (scene) => {
      await scene.rig.broker.restart({ keep: false });
      scene.forgot();
      return true;
    },
  },
  {
    name: "broker killed with -9, up to 10 s after it saved",
    to: "broker",
    weight: 2,
    inject: async (scene) => {
      await scene.rig.broker.kill();
      await sleep(between(scene.random, 100, 1_000));
      await scene.rig.broker.start();
      scene.forgot();
      return true;
    },
  },
];

async function asSuperuser(url: string, use: (client: pg.Client) => Promise<void>): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  try {
    await client.connect();
    await use(client);
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

async function fillDisk({ rig, random }: Scene): Promise<boolean> {
  if (rig.smallDisk === null) return false;
  const file = join(rig.smallDisk, "filler");
  const zeros = Buffer.alloc(1024 * 1024);
  const handle = openSync(file, "w");
  let full = false;
  try {
    for (let size = zeros.length; size >= 4_096; ) {
      try {
        if (writeSync(handle, zeros, 0, size) < size) size /= 2;
      } catch {
        full = true;
        size /= 2;
      }
    }
  } finally {
    closeSync(handle);
  }
  await sleep(between(random, 1_000, 4_000));
  rmSync(file, { force: true });
  // one that could not write its log has ended, as it must
  await sleep(500);
  if (!rig.database.cluster.running()) await rig.database.cluster.start();
  return full;
}
