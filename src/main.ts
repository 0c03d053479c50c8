import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { isClaimed } from "./access/access.store.ts";
import { createOidc } from "./access/oidc.fetch.ts";
import { accessSecret } from "./access/secret.file.ts";
import type { ApiDeps } from "./api/deps.ts";
import { createApi } from "./api/server.http.ts";
import { readHeldBack } from "./audit/settings.store.ts";
import type { Signing } from "./audit/sign-on.ts";
import { commitGroup, findGroup } from "./commit/commit.store.ts";
import { applicationName, releaseLease, renewLease, takeShard } from "./commit/lease.store.ts";
import { beat, databaseNow, ensurePartitions, listBranches, listShards, readBacklog, readDue, readHead, silentFor } from "./commit/shard.store.ts";
import { isAskedOf } from "./db/asking.ts";
import { type DatabaseOptions, type Db, openDatabase } from "./db/database.ts";
import { failure } from "./db/failure.ts";
import { assertDurable, assertRuntimeRole } from "./db/fit.store.ts";
import { assertMigrated, migrate } from "./db/migrate.store.ts";
import { noDefinitions } from "./decide/definitions.store.ts";
import { createMachines } from "./decide/machines.ts";
import { CODES } from "./decide/verdict.ts";
import { readWorld } from "./decide/world.store.ts";
import { decode } from "./decode/decode.ts";
import { provenanceOf } from "./decode/provenance.ts";
import { branchTopic, parseTopic } from "./decode/topic.ts";
import type { DriveStages } from "./drive.ts";
import { type EmbeddedBroker, startBroker } from "./embedded/broker.process.ts";
import { claimDataDir } from "./embedded/data-dir.file.ts";
import { startPostgres } from "./embedded/postgres.process.ts";
import { certificateEnds } from "./ops/certificate.ts";
import { databaseClock } from "./ops/clock.ts";
import type { Config } from "./ops/config.file.ts";
import type { Log } from "./ops/log.ts";
import { isLoopback } from "./ops/loopback.ts";
import { createMetrics, type Metrics } from "./ops/metrics.ts";
import { ownTime } from "./ops/time.ts";
import { tableUsers } from "./parties/broker-table.ts";
import { type PartyWatch, watchParties } from "./party-watch.ts";
import { createPublisher, type Publisher } from "./publish/publisher.mqtt.ts";
import { relayStore } from "./publish/relay.store.ts";
import { watchBroker } from "./receive/broker-watch.mqtt.ts";
import { MAX_EVENT_BYTES } from "./receive/delivery.ts";
import { createSubscriber } from "./receive/session.mqtt.ts";
import { seedStateMachines } from "./registry/registry.store.ts";
import { shippedStateMachines } from "./registry/state-machines.file.ts";
import { Shard, type ShardCondition } from "./shard.ts";
import { createSigners, type Signers } from "./signers.ts";
import { watchStations } from "./station-watch.ts";
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
  /** Whether somebody administered it when it started. */
  readonly claimed: boolean;
  /** Stops the flow forwards: no more deliveries, what is in hand settled, outcomes published, then the rest. May be called twice. */
  stop(): Promise<void>;
  /** Resolves when the service has stopped by itself or by request. */
  readonly done: Promise<"stopped" | "failed">;
}

const GAUGE_MS = 2_000;
const SITES_MS = 2_000;
const DAY_MS = 86_400_000;
/** A lease that cannot be renewed in this time is asked for again on another connection. */
const LEASE_ANSWER_MS = 2_500;

/** The name of this process among those that may own a shard: told to people, to the database as its connections' name, and never given twice. */
const ownName = (): string =>
  `${hostname()
    .replace(/[^A-Za-z0-9-]/g, "-")
    .slice(0, 24)}.${process.pid}.${randomBytes(4).toString("hex")}`;

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
  const metrics = await createMetrics({ version, codes: Object.keys(CODES), exportSpans: config.otel.exportSpans });
  stops.push(() => metrics.stop());
  for (const [name, pem] of [
    ["http", config.httpTls?.cert],
    ["broker", config.mqttCert],
  ] as const) {
    const ends = pem == null ? null : certificateEnds(pem);
    if (ends !== null) metrics.certificate(name, ends);
  }

  const { runtimeUrl, ownerUrl } = await postgres(config, log, stops);
  if (ownerUrl !== null) await migrate(ownerUrl, { onApplied: (name) => log.info({ migration: name }, "migration applied") });
  const owner = ownName();
  const pool = (max: number, more: Pick<DatabaseOptions, "answerMs" | "forOthers" | "plansOnce"> = {}): Db => {
    const { db, close } = openDatabase(runtimeUrl, {
      max,
      applicationName: applicationName(owner),
      onLost: (error) => log.debug({ err: error }, "a database connection was lost"),
      ...more,
    });
    stops.push(close);
    return db;
  };
  const db = pool(10, { plansOnce: true });
  // apart from the others: who takes every connection there is must cost neither the lease nor, with what is asked over REST, the route
  const leases = pool(2, { answerMs: LEASE_ANSWER_MS });
  const readers = pool(8, { forOthers: true });
  const interfaces = pool(4);
  await assertMigrated(db);
  await assertRuntimeRole(db);
  await assertDurable(db);
  await seedStateMachines(db, await shippedStateMachines());
  for (const { site } of await listShards(db)) await ensurePartitions(db, (await readHead(db, site)).position);
  await ensurePartitions(db, 0);

  const { url: mqttUrl, embedded, username, password } = await broker(config, stops);
  const parties = watchParties({
    db: interfaces,
    time: ownTime,
    log,
    meter: metrics,
    prefix: config.topicPrefix,
    sites: config.sites,
    aclFile: config.mqttAclFile,
    onChanged: async (inForce, governed) => {
      await embedded?.enforce(tableUsers(governed, inForce, config.topicPrefix));
    },
  });
  stops.push(() => parties.stop());
  await parties.begun;
  const stations = watchStations({ db: interfaces, time: ownTime, log, sites: config.sites });
  stops.push(() => stations.stop());
  const access = {
    url: mqttUrl,
    username,
    password,
    ca: config.mqttCa,
    cert: config.mqttCert,
    key: config.mqttKey,
  };
  const brokerWatch = watchBroker({
    ...access,
    clientId: `signalbox-${owner}-watch`,
    onSays: (says) => metrics.broker(says),
  });
  stops.push(() => brokerWatch.stop());
  const shards = new Map<string, Shard>();
  const listeners = new Set<() => void>();
  const tellListeners = (): void => {
    for (const listener of listeners) listener();
  };
  let stopping: Promise<void> | null = null;
  let finish: (how: "stopped" | "failed") => void = () => {};
  const done = new Promise<"stopped" | "failed">((resolve) => {
    finish = resolve;
  });

  const signers = openSigners(config, db, log, stops, (site) => {
    shards.get(site)?.signed();
    tellListeners();
  });

  const definitions = noDefinitions();
  const machines = createMachines((name) => definitions.machines.get(name));
  const opening = new Map<string, Promise<Shard>>();
  const makeAhead = (position: number): void =>
    void ensurePartitions(db, position).catch((error: unknown) => log.error({ err: error }, "partitions could not be made ahead"));
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
    const at = { site, shard, prefix: config.topicPrefix, maxBytes: MAX_EVENT_BYTES };
    let reached = 0;
    const opened = new Shard({
      site,
      shard,
      prefix: config.topicPrefix,
      verdicts: config.publishVerdicts,
      quota: config.quota,
      time: ownTime,
      log,
      meter: metrics,
      withSpan: metrics.withSpan,
      lease: {
        owner,
        async take() {
          const held = signers?.heldBack(site);
          if (held != null) throw new Error(`nothing is decided: ${held}`);
          const taken = await takeShard(leases, shard, owner);
          // whoever stands by hears of no commit: those who follow the outcomes here are served all the same
          if (taken.kind === "held") tellListeners();
          return taken;
        },
        renew: async (term) => signers?.heldBack(site) == null && renewLease(leases, shard, owner, term),
        release: (term) => releaseLease(leases, shard, owner, term),
      },
      async stages(term, session) {
        const clock = await databaseClock(() => databaseNow(db));
        const own: DriveStages = {
          ...session,
          branches: async () => (await listBranches(db, site)).map((branch) => branchTopic(config.topicPrefix, branch)),
          machines,
          maxBytes: MAX_EVENT_BYTES,
          provenance: (delivery) => {
            const at = parseTopic(delivery.topic, config.topicPrefix);
            const party = at?.domain === "event" && at.site === site ? parties.partyOn(site, at.line, at.equipment) : null;
            return provenanceOf(delivery, config.mqttStamp, party);
          },
          decode: (delivery) => decode(delivery, { prefix: config.topicPrefix, maxBytes: MAX_EVENT_BYTES }),
          read: async (request) => {
            const world = await readWorld(db, at, request, definitions);
            clock.set(world.now);
            return world;
          },
          commit: (group, document) => commitGroup(db, { site, shard, term }, group, document),
          find: (group) => findGroup(db, group),
          failure,
          now: () => clock.now(),
          silentFor: () => silentFor(db, shard),
          beat: () => beat(db, shard, term),
          due: (limit) => readDue(db, { site, shard }, limit),
        };
        return replaced.stages?.(own, shard) ?? own;
      },
      relayStore: (term) => relayStore(db, { site, shard, term }),
      createSubscriber: (wishes) => createSubscriber({ ...access, protocol: config.mqttProtocol, ...wishes }),
      createPublisher(wishes) {
        const publisher = createPublisher({ ...access, protocol: config.mqttProtocol, ...wishes });
        return replaced.publisher?.(publisher, shard) ?? publisher;
      },
      onCommitted({ rows }, { position }) {
        tellListeners();
        parties.observed(site, rows.verdicts);
        // partitions are made half a million positions ahead of need
        if (Math.floor(position / 500_000) > Math.floor(reached / 500_000)) makeAhead(position);
        reached = position;
      },
      onHalted() {
        if ([...shards.values()].every(({ condition }) => condition.state === "halted")) finish("failed");
      },
    });
    shards.set(site, opened);
    await signers?.open(site);
    await opened.start();
    return opened;
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
  // those of months are made three ahead, however little is decided
  const months = setInterval(() => makeAhead(0), DAY_MS);
  const gauge = setInterval(() => void gauges(db, shards, metrics), GAUGE_MS);
  stops.push(async () => {
    clearInterval(lookForSites);
    clearInterval(months);
    clearInterval(gauge);
    await Promise.allSettled(opening.values());
    await Promise.all([...shards.values()].map((shard) => shard.stop()));
  });

  // on the network nobody is nobody: who listens there without an administrator answers only how to make one
  const openUntilClaimed = isLoopback(config.httpHost) || config.allowUnauthenticatedNetwork;
  const deps: ApiDeps = {
    db: readers,
    own: interfaces,
    access: {
      db: interfaces,
      secret: accessSecret(config.accessSecret, config.dataDir),
      oidc: config.oidc === null ? null : createOidc(config.oidc),
      openUntilClaimed,
    },
    log,
    definitions,
    machines,
    prefix: config.topicPrefix,
    version,
    maxBytes: MAX_EVENT_BYTES,
    shard: (site) => (isAskedOf(site) ? shards.get(site) : undefined),
    siteRegistered: async (site) => {
      if ((await wanted()).includes(site)) await open(site);
    },
    health: () => health(db, shards, signers, parties),
    metrics: () => metrics.render(),
    onCommitted: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const api = await createApi(deps, config.httpTls, config.httpRateLimit);
  stops.push(async () => {
    await api.close();
  });
  const url = await api.listen({ host: config.httpHost, port: config.httpPort });
  return {
    url,
    mqttUrl,
    embedded: { postgres: config.databaseUrl === null, broker: config.mqttUrl === null },
    claimed: await isClaimed(interfaces),
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

/** A signer's state has one living owner at a time, as a data directory has. */
function openSigners({ audit }: Config, db: Db, log: Log, stops: (() => Promise<void>)[], onSigned: (site: string) => void): Signers | null {
  if (audit === null) return null;
  const claim = claimDataDir(audit.directory);
  stops.push(async () => claim.release());
  const signers = createSigners({ db, time: ownTime, log, ...audit, onSigned });
  stops.push(() => signers.stop());
  return signers;
}

interface BrokerInUse {
  readonly url: string;
  readonly embedded: EmbeddedBroker | null;
  readonly username: string | null;
  readonly password: string | null;
}

async function broker(config: Config, stops: (() => Promise<void>)[]): Promise<BrokerInUse> {
  if (config.mqttUrl !== null) return { url: config.mqttUrl, embedded: null, username: config.mqttUsername, password: config.mqttPassword };
  // closed until it is known who may do what
  const embedded = await startBroker({ host: "127.0.0.1", port: config.mqttPort, prefix: config.topicPrefix, users: [] });
  stops.push(() => embedded.stop());
  return { url: embedded.url, embedded, username: embedded.username, password: embedded.password };
}

/** A site that shows only what is signed, and whose signer is so far behind, is not well: what it decides reaches nobody. */
const UNSIGNED_ILL_S = 30;

/** Readiness from real facts: the database answers; every shard is owned here, connected and not behind, or owned by another that is known. */
async function health(
  db: Db,
  shards: ReadonlyMap<string, Shard>,
  signers: Signers | null,
  parties: PartyWatch,
): Promise<{ ready: boolean; checks: { check: string; ok: boolean; detail: string }[] }> {
  const checks: { check: string; ok: boolean; detail: string }[] = [];
  await databaseNow(db).then(
    () => checks.push({ check: "database", ok: true, detail: "answers" }),
    () => checks.push({ check: "database", ok: false, detail: "does not answer; nothing is acknowledged until it does" }),
  );
  for (const shard of shards.values()) {
    const { state, holder, drive, connected } = shard.condition;
    checks.push({ check: `shard ${shard.site}`, ok: holder !== null && state !== "halted", detail: ownershipInWords(shard.condition) });
    if (drive === null) continue;
    checks.push({ check: `broker ${shard.site}`, ok: connected, detail: connected ? "connected and subscribed" : "not connected" });
    checks.push({
      check: `settling ${shard.site}`,
      ok: drive.outageSince === null && drive.oldestQueuedMs < 30_000,
      detail: drive.outageSince === null ? `${drive.queued} waiting` : "waits for the database",
    });
    const held = await readHeldBack(db, shard.site).catch(() => null);
    if (held !== null)
      checks.push({
        check: `publishing ${shard.site}`,
        ok: held.seconds < UNSIGNED_ILL_S,
        detail: `${held.positions} positions are not shown before they are signed, the oldest for ${Math.round(held.seconds)} s`,
      });
  }
  for (const [site, signing] of signers?.conditions ?? []) {
    checks.push({ check: `audit ${site}`, ...signingInWords(signing) });
  }
  if (parties.condition !== null) checks.push({ check: "broker acl", ...parties.condition });
  return { ready: checks.every(({ ok }) => ok), checks };
}

function signingInWords(signing: Signing): { readonly ok: boolean; readonly detail: string } {
  if (signing.kind === "refused") return { ok: false, detail: signing.refusal.detail };
  if (signing.kind === "hindered") return { ok: false, detail: `nothing can be signed: ${signing.trouble}` };
  return { ok: true, detail: signing.position === null ? "nothing is signed yet" : `signed up to position ${signing.position}` };
}

function ownershipInWords({ state, holder }: ShardCondition): string {
  if (state === "halted") return "stopped: deployment";
  if (state === "owner") return `owned under term ${holder?.term}`;
  return holder === null ? `${state}; nobody is known to own it` : `${state}; owned by ${holder.owner} under term ${holder.term}`;
}

async function gauges(db: Db, shards: ReadonlyMap<string, Shard>, metrics: Metrics): Promise<void> {
  for (const shard of shards.values()) {
    const { drive } = shard.condition;
    metrics.queue(shard.site, drive?.queued ?? 0, (drive?.oldestQueuedMs ?? 0) / 1000);
    metrics.sources(shard.site, shard.watched(Date.now()));
    await readBacklog(db, { site: shard.site, shard: shard.site }).then(
      (backlog) => metrics.backlog(shard.site, backlog),
      () => undefined,
    );
  }
}
