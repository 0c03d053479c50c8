// How the rows of the tables stand when everything on record has been decided again: what `verify` holds against the stored ones.
import { DIGEST_VERSION } from "../decode/digest.ts";
import { type Standing, standing } from "../verify/standing.ts";
import { instant } from "./instant.ts";
import type { RecordedSite } from "./recorded.ts";
import type { SiteRecord } from "./site-record.ts";

type Row = Readonly<Record<string, unknown>>;

/** Table by table; each is made when it is asked for. `told`: the sources whose keys an entry names. */
export function* standingOf(record: SiteRecord, { registered }: RecordedSite, told: Pick<ReadonlySet<string>, "has">): Generator<Standing> {
  const before = {
    equipment: new Set(registered.equipment.map(({ equipment }) => equipment)),
    sources: new Set(registered.sources.map(({ source }) => source)),
  };
  yield standing("equipment", equipment(record, before.equipment));
  yield standing("sources", sources(record, before.sources, told));
  yield standing("batches", batches(record));
  yield standing("steps", steps(record));
  yield standing("evidence", evidence(record));
  yield standing("context_locks", locks(record));
  yield standing("exceptions", exceptions(record));
  yield standing("quarantine", quarantine(record));
  yield standing("deferrals", deferrals(record));
  yield standing("deferral_waits", waits(record));
  yield standing("awaited", awaited(record));
  yield standing("waiting", waiting(record));
  yield standing("skipped_ranges", skipped(record));
  yield standing("event_conflicts", conflicts(record));
  yield ids(record);
  yield numbers(record);
  yield standing("streams", streams(record));
  yield standing("stations", stations(record));
  yield standing("station_devices", bindings(record));
  yield standing("station_sessions", sessions(record));
  yield standing("signing_branches", signing(record));
}

/** What cannot be told of them, in words. */
export function untoldOf({ registered: { equipment, sources }, logBegins }: RecordedSite): readonly string[] {
  if (logBegins === 1 && equipment.length + sources.length === 0) return [];
  const asRegistered = `${equipment.length} equipment and ${sources.length} sources that were registered before the log began: their registration is taken as it stands, and how often they changed cannot be told`;
  return logBegins === 1 ? [asRegistered] : [asRegistered, "under which keys commands were answered before the log began, and the commits of that time"];
}

function* equipment({ site, equipment: rows }: SiteRecord, before: ReadonlySet<string>): Generator<Row> {
  for (const { equipment: name, line, class: className, title, version, token, state, stateEpoch, stateSequence } of rows.values())
    yield {
      site,
      equipment: name,
      line,
      class: className,
      title,
      // changes from before the log began raised it too
      version: before.has(name) ? undefined : version,
      token,
      state,
      state_epoch: stateEpoch,
      state_sequence: stateSequence,
    };
}

function* sources({ site, sources: rows }: SiteRecord, before: ReadonlySet<string>, told: Pick<ReadonlySet<string>, "has">): Generator<Row> {
  for (const s of rows.values())
    yield {
      source_key: told.has(s.source) ? s.key : undefined,
      site,
      source: s.source,
      line: s.line,
      equipment: s.equipment,
      device: s.device,
      shard: site,
      numbering: s.numbering,
      revoked: s.revoked,
      version: before.has(s.source) ? undefined : s.version,
      incarnation: s.incarnation,
      epoch: s.epoch,
      through: s.through,
      highest: s.highest,
      gap_position: s.gapPosition,
      gap_since: s.gapSince,
      gap_due_at: maybe(s.gapDueAt),
      parked: s.parked,
      parked_position: s.parkedPosition,
      parked_at: s.parkedAt,
      reused: s.reused,
      waiting_count: s.waitingCount,
      waiting_bytes: s.waitingBytes,
      connection: s.connection,
      monotonic: s.monotonic,
    };
}

function* batches({ site, batches: rows }: SiteRecord): Generator<Row> {
  for (const b of rows.values()) {
    const at = b.recipeName.lastIndexOf("@");
    yield {
      site,
      batch: b.batch,
      shard: site,
      version: b.version,
      line: b.line,
      job_order: b.jobOrder,
      recipe: b.recipeName.slice(0, at),
      revision: b.recipeName.slice(at + 1),
      recipe_hash: b.recipeHash,
      batch_machine: b.batchMachine,
      batch_machine_hash: b.batchMachineHash,
      step_machine: b.stepMachine,
      step_machine_hash: b.stepMachineHash,
      quantity: b.quantity,
      unit: b.unit,
      parameters: b.parameters,
      roles: b.roles,
      execution: b.execution,
      disposition: b.disposition,
      disposition_stage: b.signed?.stage ?? null,
      disposition_before: b.signed?.before ?? null,
      opened_on: b.openedOn,
      facts: b.facts,
      created_at: b.createdAt,
      started_at: b.startedAt,
      ended_at: b.endedAt,
      closed_at: b.closedAt,
      asked: b.asked,
    };
  }
}

function* steps({ site, stepsOfBatch }: SiteRecord): Generator<Row> {
  for (const rows of stepsOfBatch.values())
    for (const { batch, step, attempt, ordinal, state, startedAt, startClock, endedAt } of rows)
      yield {
        site,
        batch,
        step,
        attempt,
        ordinal,
        state,
        started_at: startedAt,
        start_source: startClock?.sourceKey ?? null,
        start_epoch: startClock?.epoch ?? null,
        start_time: startClock?.time ?? null,
        ended_at: endedAt,
      };
}

function* evidence({ site, evidenceOfStep }: SiteRecord): Generator<Row> {
  for (const rows of evidenceOfStep.values())
    for (const { item, recordedAt, ...of } of rows) {
      const { eventId, ...rest } = item;
      yield { site, ...of, ...rest, event_id: eventId, recorded_at: recordedAt };
    }
}

function* locks({ site, locksByToken }: SiteRecord): Generator<Row> {
  for (const { takenAt, takenTime, freed, freedTime, ...rest } of locksByToken.values())
    yield { site, ...rest, taken_at: takenTime, taken_position: takenAt, freed_at: freedTime, freed_position: freed };
}

function* exceptions({ site, exceptions: rows }: SiteRecord): Generator<Row> {
  for (const { event, openedAt, resolved: _, resolvedAt, resolvedPosition, ...rest } of rows)
    yield { site, ...rest, event_position: event, opened_at: openedAt, resolved_at: resolvedAt, resolved_position: resolvedPosition };
}

function* quarantine({ site, quarantine: rows }: SiteRecord): Generator<Row> {
  for (const { judgedIn: _, resolvedAt, resolvedPosition, ...rest } of rows.values())
    yield { site, ...rest, resolved_at: resolvedAt, resolved_position: resolvedPosition };
}

function* deferrals({ site, deferrals: rows }: SiteRecord): Generator<Row> {
  for (const { sourceKey, dueAt, waits: _, ...rest } of rows.values()) yield { site, ...rest, shard: site, source_key: sourceKey, due_at: instant(dueAt) };
}

function* waits({ site, deferrals: rows }: SiteRecord): Generator<Row> {
  for (const { position, waits: keys } of rows.values()) for (const waits_for of keys) yield { site, position, waits_for };
}

function* awaited({ site, awaited: rows }: SiteRecord): Generator<Row> {
  for (const [name, version] of rows) yield { site, awaited: name, version };
}

function* waiting({ site, waiting: rows }: SiteRecord): Generator<Row> {
  for (const { sourceKey, idHash, expiresAt, ...rest } of rows.values())
    yield { site, ...rest, source_key: sourceKey, id_hash: idHash, expires_at: maybe(expiresAt) };
}

function* skipped({ skippedOfSource }: SiteRecord): Generator<Row> {
  for (const rows of skippedOfSource.values()) for (const { sourceKey, ...rest } of rows) yield { ...rest, source_key: sourceKey };
}

function* conflicts({ conflicts: rows }: SiteRecord): Generator<Row> {
  for (const [key, position] of rows) {
    const [source_key, id_hash, digest] = key.split(" ");
    yield { source_key, id_hash, digest, position };
  }
}

// There are as many identities as there were events: they are looked up where they are, not listed once more.

function ids({ ids: rows }: SiteRecord): Standing {
  const rowOf = (source_key: string, id_hash: string, { digest, position }: { readonly digest: string; readonly position: number }): Row => ({
    source_key,
    id_hash,
    digest,
    digest_version: DIGEST_VERSION,
    position,
  });
  return {
    table: "event_ids",
    size: rows.size,
    at(key) {
      const [source = "", hash = ""] = key.split(" ");
      const row = rows.get(source, hash);
      return row === undefined ? undefined : rowOf(source, hash, row);
    },
    *rows() {
      for (const { source, hash, ...row } of rows) yield rowOf(source, hash, row);
    },
  };
}

function numbers({ numbers: rows }: SiteRecord): Standing {
  const rowOf = (key: string, position: number): Row => {
    const [source_key, incarnation, epoch, sequence] = key.split(/[ .]/);
    return { source_key, incarnation, epoch, sequence, position };
  };
  return {
    table: "event_numbers",
    size: rows.size,
    at(key) {
      const [source = "", incarnation, epoch, sequence] = key.split(" ");
      // the key of a number, as decide/world-data.ts makes it
      const number = `${source} ${incarnation}.${epoch}.${sequence}`;
      const position = rows.get(number);
      return position === undefined ? undefined : rowOf(number, position);
    },
    *rows() {
      for (const [key, position] of rows) yield rowOf(key, position);
    },
  };
}

function* streams({ site, streams: rows }: SiteRecord): Generator<Row> {
  for (const [stream, { sequence, line, openedOn }] of rows) yield { site, stream, shard: site, line, opened_on: openedOn, sequence };
}

function* stations({ site, stations: rows }: SiteRecord): Generator<Row> {
  for (const { idleSeconds, ...rest } of rows.values()) yield { site, ...rest, idle_seconds: idleSeconds };
}

function* bindings({ site, bindingsOf }: SiteRecord): Generator<Row> {
  for (const rows of bindingsOf.values())
    for (const { boundAt, unbound, ...rest } of rows)
      yield { site, ...rest, bound_at: boundAt, unbound_at: unbound?.at ?? null, unbound_position: unbound?.position ?? null };
}

function* sessions({ site, sessionsAt }: SiteRecord): Generator<Row> {
  for (const rows of sessionsAt.values())
    for (const { idleSeconds, openedAt, seenAt, ended, ...rest } of rows)
      yield {
        site,
        ...rest,
        idle_seconds: idleSeconds,
        opened_at: openedAt,
        seen_at: seenAt,
        ended_at: ended?.at ?? null,
        ended_position: ended?.position ?? null,
        ended_why: ended?.why ?? null,
        ended_by: ended?.by ?? null,
      };
}

function* signing({ site, signing: rows }: SiteRecord): Generator<Row> {
  for (const [branch, one] of rows) {
    const [line, equipment] = branch.split("/");
    yield { site, line, equipment, party: one.party, signing: one };
  }
}

const maybe = (ms: number | null): string | null => (ms === null ? null : instant(ms));
