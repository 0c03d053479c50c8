import { randomUUID } from "node:crypto";
import type { ApiDeps } from "./api/deps.ts";
import { createApi } from "./api/server.http.ts";
import { commitGroup, findGroup } from "./commit/commit.store.ts";
import { beat, databaseNow, ensurePartitions, listShards, readBacklog, readDue, readHead, silentFor, takeShard } from "./commit/shard.store.ts";
import type { Db } from "./db/database.ts";
import { openDatabase } from "./db/database.ts";
import { failure } from "./db/failure.ts";
import { assertDurable, assertRuntimeRole } from "./db/fit.store.ts";
import { assertMigrated, migrate } from "./db/migrate.store.ts";
import { noDefinitions } from "./decide/definitions.store.ts";
import { createMachines } from "./decide/machines.ts";
import { CODES } from "./decide/verdict.ts";
import { readWorld } from "./decide/world.store.ts";
import { decode } from "./decode/decode.ts";
import { Drive, type DriveStages } from "./drive.ts";
import { startBroker } from "./embedded/broker.process.ts";
import { claimDataDir } from "./embedded/data-dir.file.ts";
import { startPostgres } from "./embedded/postgres.process.ts";
import { databaseClock } from "./ops/clock.ts";
import type { Config } from "./ops/config.file.ts";
import type { Log } from "./ops/log.ts";
import { createMetrics, type Metrics } from "./ops/metrics.ts";
import { type SourceWatch, sourceWatch } from "./ops/source-watch.ts";
import { ownTime } from "./ops/time.ts";
import { createPublisher, type Publisher } from "./publish/publisher.mqtt.ts";
import { relayStore } from "./publish/relay.store.ts";
import { createRelay, type Relay } from "./publish/relay.ts";
import { watchBroker } from "./receive/broker-watch.mqtt.ts";
import { createSubscriber, type Subscriber } from "./receive/session.mqtt.ts";
import { seedStateMachines } from "./registry/registry.store.ts";
import { shippedStateMachines } from "./registry/state-machines.file.ts";
import { version } from "./version.ts";

/** A stage of the route that a test replaces whole, to let it fail. Nothing that is shipped passes any. */
export interface Replaced {
  stages?(stages: DriveStages, shard: string): DriveStages;
  publisher?(publisher: Publisher, shard: string): Publisher;
}

export interface Service {
  readonly url: string;
  readonly mqttUrl: string;
  readonly embedded: { readonly postgres: boolean; readonly broker: boolean };
  /** Stops the flow forwards: no more deliveries, what is in hand settled, outcomes published, then the rest. May be called twice. */
  stop(): Promise<void>;
  /** Resolves when the service has stopped by itself or by request. */
  readonly done: Promise<"stopped" | "failed">;
}

interface Shard {
  readonly site: string;
  readonly drive: Drive;
  readonly relay: Relay;
  readonly subscriber: Subscriber;
  readonly term: number;
  readonly watch: SourceWatch;
  halted: string | null;
  stop(): Promise<void>;
}

/** Payloads beyond this are refused, their head and hash kept. */
export const MAX_EVENT_BYTES = 256 * 1024;

const GAUGE_MS = 2_000;
const SITES_MS = 2_000;

/** Starts everything in order; what has started is stopped again, in reverse, when a later part cannot start. */
export async function startService(config: Config, log: Log, replaced: Replaced = {}): Promise<Service> {
  const stops: (() => Promise<void>)[] = [];
  const stopAll = async (): Promise<void> => {
    for (const stop of stops.splice(0).reverse()) await stop().catch((error: unknown) => log.error({ err: error }, "a part did not stop cleanly"));
  };
  try {
    return await start(config, log, replaced, stops, stopAll);
  } catch (error) {
    await stopAll();
    throw error;
  }
}

async function start(config: Config, log: Log, replaced: Replaced, stops: (() => Promise<void>)[], stopAll: () => Promise<void>): Promise<Service> {
  if (config.databaseUrl === null || config.mqttUrl === null) {
    const claim = claimDataDir(config.dataDir);
    stops.push(async () => claim.release());
  }
  const metrics = createMetrics({ version, codes: Object.keys(CODES), exportSpans: config.otel.exportSpans });
  stops.push(() => metrics.stop());

  const { runtimeUrl, ownerUrl } = await postgres(config, log, stops);
  if (ownerUrl !== null) await migrate(ownerUrl, { onApplied: (name) => log.info({ migration: name }, "migration applied") });
  const { db, close } = openDatabase(runtimeUrl, {
    max: 10,
    applicationName: "signalbox",
    onLost: (error) => log.debug({ err: error }, "a database connection was lost"),
  });
  stops.push(close);
  await assertMigrated(db);
  await assertRuntimeRole(db);
  await assertDurable(db);
  await seedStateMachines(db, await shippedStateMachines());
  for (const { site } of await listShards(db)) await ensurePartitions(db, (await readHead(db, site)).position);
  await ensurePartitions(db, 0);

  const mqttUrl = await broker(config, stops);
  const brokerWatch = watchBroker({
    url: mqttUrl,
    clientId: `signalbox-${process.pid}-watch`,
    username: config.mqttUsername,
    password: config.mqttPassword,
    ca: config.mqttCa,
    cert: config.mqttCert,
    key: config.mqttKey,
    onSays: (says) => metrics.broker(says),
  });
  stops.push(() => brokerWatch.stop());
  const shards = new Map<string, Shard>();
  const listeners = new Set<() => void>();
  let stopping: Promise<void> | null = null;
  let finish: (how: "stopped" | "failed") => void = () => {};
  const done = new Promise<"stopped" | "failed">((resolve) => {
    finish = resolve;
  });

  const definitions = noDefinitions();
  const machines = createMachines((name) => definitions.machines.get(name));
  const opening = new Map<string, Promise<Shard>>();
  const open = (site: string): Promise<Shard> => {
    const begun = opening.get(site);
    if (begun !== undefined) return begun;
    const opened = openShard(site).catch((error: unknown) => {
      opening.delete(site);
      throw error;
    });
    opening.set(site, opened);
    return opened;
  };

  async function openShard(site: string): Promise<Shard> {
    const shard = site;
    const term = await takeShard(db, shard, `${process.pid}.${randomUUID()}`);
    metrics.shardTerm(site, term);
    const clock = await databaseClock(() => databaseNow(db));
    const owner = { site, shard, term };
    let subscriber: Subscriber | null = null;
    const own: DriveStages = {
      machines,
      maxBytes: MAX_EVENT_BYTES,
      decode: (delivery) => decode(delivery, { prefix: config.topicPrefix, maxBytes: MAX_EVENT_BYTES }),
      read: async (request) => {
        const world = await readWorld(db, { site, shard, prefix: config.topicPrefix, maxBytes: MAX_EVENT_BYTES }, request, definitions);
        clock.set(world.now);
        return world;
      },
      commit: (group, document) => commitGroup(db, owner, group, document),
      find: (group) => findGroup(db, group),
      failure,
      acknowledge: (slots) => subscriber?.acknowledge(slots),
      now: () => clock.now(),
      silentFor: () => silentFor(db, shard),
      beat: () => beat(db, shard),
      due: (limit) => readDue(db, { site, shard }, limit),
      receiving: () => subscriber?.connected ?? false,
      unacknowledged: () => subscriber?.unacknowledged ?? 0,
    };
    const stages = replaced.stages?.(own, shard) ?? own;
    const connection = {
      url: mqttUrl,
      username: config.mqttUsername,
      password: config.mqttPassword,
      ca: config.mqttCa,
      cert: config.mqttCert,
      key: config.mqttKey,
      protocol: config.mqttProtocol,
    };
    const ownPublisher = createPublisher({
      ...connection,
      clientId: `signalbox-${shard}-pub`,
      onConnected: () => {
        metrics.brokerConnected(site, "publisher", true);
        relay.reconnected();
      },
      onDisconnected: ({ reason }) => {
        metrics.brokerConnected(site, "publisher", false);
        log.warn({ site, reason }, "the publisher lost its broker");
      },
    });
    const publisher = replaced.publisher?.(ownPublisher, shard) ?? ownPublisher;
    const relay = createRelay({
      store: relayStore(db, { site, shard }),
      publisher,
      time: ownTime,
      site,
      prefix: config.topicPrefix,
      verdicts: config.publishVerdicts,
      onPublished: ({ outcomes }) => metrics.published(outcomes),
      withSpan: metrics.withSpan,
      onTrouble: (error) => log.debug({ err: error, site }, "publishing is tried again"),
    });
    let reached = 0;
    const watch = sourceWatch();
    const drive = new Drive({
      site,
      shard,
      prefix: config.topicPrefix,
      stages,
      time: ownTime,
      log,
      meter: metrics,
      watch,
      withSpan: metrics.withSpan,
      onCommitted: (settlement, head) => {
        relay.announce(settlement.touchedSources, settlement.touchedBatches);
        for (const listener of listeners) listener();
        // partitions are made half a million positions ahead of need
        if (Math.floor(head.position / 500_000) > Math.floor(reached / 500_000))
          void ensurePartitions(db, head.position).catch((error: unknown) => log.error({ err: error }, "partitions could not be made ahead"));
        reached = head.position;
      },
      onHalt: (why, error) => {
        self.halted = why;
        log.fatal(
          { err: error, site, why },
          why === "fenced" ? "another owner has taken the shard; this one stops" : "the deployment is at fault; the shard stops and refuses nothing",
        );
        void subscriber?.stop();
        // whoever has taken the shard publishes for it now, under the same client id
        if (why === "fenced") void relay.stop().then(() => publisher.stop());
        if ([...shards.values()].every(({ halted }) => halted !== null)) finish("failed");
      },
    });
    const topics = ["event", "diag"].map((kind) => `${config.topicPrefix}site/${site}/line/+/eq/+/${kind}`);
    subscriber = createSubscriber({
      ...connection,
      clientId: `signalbox-${shard}-sub`,
      topics,
      onDelivery: (delivery, slot) => {
        metrics.received(delivery.topic.endsWith("/diag") ? "diag" : "event", delivery.qos);
        drive.receive(delivery, slot);
      },
      onConnected: ({ sessionPresent, protocol }) => {
        metrics.brokerConnected(site, "subscriber", true);
        if (!sessionPresent) metrics.sessionLost();
        log.info({ site, sessionPresent, protocol }, sessionPresent ? "subscribed; the broker kept the session" : "subscribed; the broker had no session");
      },
      onDisconnected: ({ reason }) => {
        metrics.brokerConnected(site, "subscriber", false);
        log.warn({ site, reason }, "the subscriber lost its broker; it connects again by itself");
      },
    });
    const receiving = subscriber;
    const self: Shard = {
      site,
      drive,
      relay,
      subscriber: receiving,
      term,
      watch,
      halted: null,
      stop: async () => {
        receiving.pause();
        await drive.stop();
        await receiving.stop();
        await relay.stop();
        await publisher.stop();
      },
    };
    shards.set(site, self);
    await relay.start();
    drive.start();
    await publisher.start();
    await receiving.start();
    return self;
  }

  const wanted = async (): Promise<readonly string[]> =>
    (await listShards(db)).map(({ site }) => site).filter((site) => config.sites?.includes(site) !== false && (config.shard === null || site === config.shard));
  for (const site of await wanted()) await open(site);
  // sites that another process registered are taken up too
  const lookForSites = setInterval(() => {
    void wanted()
      .then((sites) => Promise.all(sites.map(open)))
      .catch((error: unknown) => log.debug({ err: error }, "the list of sites could not be read"));
  }, SITES_MS);
  const gauge = setInterval(() => void gauges(db, shards, metrics), GAUGE_MS);
  stops.push(async () => {
    clearInterval(lookForSites);
    clearInterval(gauge);
    await Promise.allSettled(opening.values());
    await Promise.all([...shards.values()].map((shard) => shard.stop()));
  });

  const deps: ApiDeps = {
    db,
    log,
    definitions,
    machines,
    prefix: config.topicPrefix,
    version,
    maxBytes: MAX_EVENT_BYTES,
    drive: (site) => shards.get(site)?.drive,
    siteRegistered: async (site) => {
      if ((await wanted()).includes(site)) await open(site);
    },
    health: () => health(db, shards),
    metrics: () => metrics.render(),
    onCommitted: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const api = await createApi(deps, config.httpTls);
  stops.push(async () => {
    await api.close();
  });
  const url = await api.listen({ host: config.httpHost, port: config.httpPort });
  return {
    url,
    mqttUrl,
    embedded: { postgres: config.databaseUrl === null, broker: config.mqttUrl === null },
    done,
    stop: () => {
      stopping ??= stopAll().then(() => finish("stopped"));
      return stopping;
    },
  };
}

async function postgres(config: Config, log: Log, stops: (() => Promise<void>)[]): Promise<{ runtimeUrl: string; ownerUrl: string | null }> {
  if (config.databaseUrl !== null) return { runtimeUrl: config.databaseUrl, ownerUrl: config.databaseOwnerUrl };
  const embedded = await startPostgres({ dataDir: config.dataDir, log: (line) => log.debug({ line }, "postgres") });
  stops.push(() => embedded.stop());
  return { runtimeUrl: embedded.runtimeUrl, ownerUrl: embedded.ownerUrl };
}

async function broker(config: Config, stops: (() => Promise<void>)[]): Promise<string> {
  if (config.mqttUrl !== null) return config.mqttUrl;
  const embedded = await startBroker({ host: "127.0.0.1", port: config.mqttPort });
  stops.push(() => embedded.stop());
  return embedded.url;
}

/** Readiness from real facts: the database answers, every shard is owned, connected and not behind. */
async function health(db: Db, shards: ReadonlyMap<string, Shard>): Promise<{ ready: boolean; checks: { check: string; ok: boolean; detail: string }[] }> {
  const checks: { check: string; ok: boolean; detail: string }[] = [];
  await databaseNow(db).then(
    () => checks.push({ check: "database", ok: true, detail: "answers" }),
    () => checks.push({ check: "database", ok: false, detail: "does not answer; nothing is acknowledged until it does" }),
  );
  for (const shard of shards.values()) {
    const { outageSince, oldestQueuedMs, queued } = shard.drive.condition;
    checks.push({
      check: `shard ${shard.site}`,
      ok: shard.halted === null,
      detail: shard.halted === null ? `owned under term ${shard.term}` : `stopped: ${shard.halted}`,
    });
    checks.push({
      check: `broker ${shard.site}`,
      ok: shard.subscriber.connected,
      detail: shard.subscriber.connected ? "connected and subscribed" : "not connected",
    });
    checks.push({
      check: `settling ${shard.site}`,
      ok: outageSince === null && oldestQueuedMs < 30_000,
      detail: outageSince === null ? `${queued} waiting` : "waits for the database",
    });
  }
  return { ready: checks.every(({ ok }) => ok), checks };
}

async function gauges(db: Db, shards: ReadonlyMap<string, Shard>, metrics: Metrics): Promise<void> {
  for (const shard of shards.values()) {
    metrics.queue(shard.site, shard.drive.condition.queued, shard.drive.condition.oldestQueuedMs / 1000);
    metrics.sources(shard.site, shard.watch.count(Date.now()));
    await readBacklog(db, { site: shard.site, shard: shard.site }).then(
      (backlog) => metrics.backlog(shard.site, backlog),
      () => undefined,
    );
  }
}
