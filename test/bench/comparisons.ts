import pg from "pg";
import { startMosquitto } from "../support/mosquitto.ts";
import type { TestDatabase } from "../support/postgres.ts";
import { start } from "./answering.ts";
import { capacityOf, type Subject } from "./capacity.ts";
import { startDatabase } from "./database.ts";
import { Load, sleep, whole } from "./load.ts";
import { type Cost, cost, moment } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import { percentiles } from "./percentiles.ts";
import { SITE } from "./plan.ts";
import { prepareTables } from "./rows.ts";
import { begun, orderBatches, registerPlant, startService } from "./service.ts";

// What the service is held against, under the same load, with the same broker and the same database.

type Options = Pick<BenchOptions, "seed" | "seconds" | "warmUp">;
type Say = (text: string) => void;

/** Generator, broker, subscriber: what an event costs that goes through the broker once and nowhere else. */
export async function rawLoop(options: Options, say: Say): Promise<Cost> {
  const broker = await startMosquitto();
  const load = await Load.start(broker.port, whole(options.seed), "events");
  try {
    return await capacityOf(byMessages(load, { database: null, pids: [], others: () => ({ broker: broker.pid(), ...load.pids }) }), options, say);
  } finally {
    await load.end();
    await broker.remove();
  }
}

/** Something that publishes one message for each delivery, whatever it is. */
export async function between(file: string, options: Options, say: Say, more: readonly string[] = []): Promise<Cost> {
  const database = await sampled(say);
  const broker = await startMosquitto();
  const load = await Load.start(broker.port, whole(options.seed), "answers");
  const subject = await start(file, [database.superUrl, String(broker.port), ...more]);
  try {
    return await capacityOf(byMessages(load, { database, pids: [subject.pid], others: () => ({ broker: broker.pid(), ...load.pids }) }), options, say);
  } finally {
    await load.end();
    await subject.end();
    await broker.remove();
    await database.drop();
  }
}

export interface Transactions extends Cost {
  /** Half of the commits of one small row took less. */
  readonly bareCommitMs: number;
}

/** The transactions of the obvious consumer one after the other, without a broker. */
export async function transactions(options: Options, say: Say): Promise<Transactions> {
  const database = await sampled(say);
  const bareCommitMs = await bareCommit(database);
  const subject = await start("./obvious.js", [database.superUrl]);
  const measured = { database, pids: [subject.pid], others: () => ({}) };
  const done = async (): Promise<number> => (await subject.ask<{ readonly done: number }>("done")).done;
  try {
    await sleep(options.warmUp * 1_000);
    const [before, from] = [await moment(measured), await done()];
    await sleep(options.seconds * 1_000);
    const [after, to] = [await moment(measured), await done()];
    return { ...cost(measured, before, after, to - from), bareCommitMs };
  } finally {
    await subject.end();
    await database.drop();
  }
}

async function bareCommit(database: TestDatabase): Promise<number> {
  const client = new pg.Client({ connectionString: database.superUrl });
  await client.connect();
  await client.query("create table passing.bare (n integer)");
  const took: number[] = [];
  for (let n = 0; n < 500; n += 1) {
    const began = performance.now();
    await client.query({ name: "bare", text: "insert into passing.bare values ($1)", values: [n] });
    took.push(performance.now() - began);
  }
  await client.end();
  return percentiles(Float64Array.from(took)).p50;
}

function byMessages(load: Load, measured: Omit<Subject, "load" | "prepare" | "drained" | "mark" | "between">): Subject {
  return {
    ...measured,
    load,
    async prepare(count) {
      await load.prepare(count);
    },
    async drained() {
      const left = await load.drained();
      if (left.length > 0) throw new Error(`${left.length} deliveries were lost`);
    },
    mark: async () => ({ heard: await load.heard() }),
    between: async (from, to) => (to["heard"] ?? 0) - (from["heard"] ?? 0),
  };
}

/** So many deliveries of the plan have a measurement among them that is accepted. */
const ENOUGH = 1_000;

/** A database with the tables of those who decide nothing; what their rows say is what the service has written of an event. */
async function sampled(say: Say): Promise<TestDatabase> {
  const database = await startDatabase();
  const broker = await startMosquitto();
  const service = await startService(database, broker, {});
  const load = await Load.start(broker.port, whole(1), "answers");
  await registerPlant([service]);
  const planned = await load.prepare(ENOUGH);
  await orderBatches([service], begun(planned));
  await load.flood(() => true);
  await load.drained();
  await load.end();
  await service.stop();
  await broker.remove();
  const client = new pg.Client({ connectionString: database.superUrl });
  await client.connect();
  await prepareTables(client, SITE);
  await client.end();
  say("rows of an event are copied from the service");
  return database;
}
