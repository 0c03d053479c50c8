import pg from "pg";
import { documentOf } from "../../src/commit/settlement.ts";
import { columnTypes } from "../../src/db/column-types.ts";
import { inHandOf } from "../../src/decide/in-hand.ts";
import type { Settlement } from "../../src/decide/settle.ts";
import type { Command, CommandSignal, Signal, Tick } from "../../src/decide/signal.ts";
import { decode } from "../../src/decode/decode.ts";
import type { Delivery } from "../../src/receive/delivery.ts";
import { createModel, MAX_BYTES, type Model } from "./model.ts";

// Judges the record of a database again: its signals in the order of their positions, in the groups in which they were committed and at the times of those commits, through
// the model in memory. Whatever then differs from what is stored is named by its position: a verdict, a fact, an outcome, or where a source, a batch or a lock stands at the
// end. What is not on record because it is master data (equipment, sources, recipes) is taken as it stands now; of a source that was heard before it was registered the record
// tells from when on it was known.

export interface Difference {
  readonly site: string;
  /** null: where something stands at the end. */
  readonly position: number | null;
  readonly what: string;
  readonly stored: unknown;
  readonly again: unknown;
}

export interface Replayed {
  readonly site: string;
  readonly signals: number;
  readonly verdicts: number;
  readonly facts: number;
  readonly outcomes: number;
  readonly commits: number;
  readonly largestCommit: number;
  readonly differences: readonly Difference[];
}

type Row = Readonly<Record<string, unknown>>;

interface SignalRow {
  readonly position: number;
  readonly kind: "event" | "command" | "tick" | "diag" | "act";
  readonly source_key: string | null;
  readonly source: string | null;
  readonly topic: string | null;
  readonly qos: 0 | 1 | 2;
  readonly retained: boolean;
  readonly protocol: "5" | "3.1.1";
  readonly content_type: string | null;
  readonly response_topic: string | null;
  readonly correlation_data: Buffer | null;
  readonly user_properties: [string, string][] | null;
  readonly raw: Buffer | null;
  readonly raw_length: number | null;
  readonly received_at: string;
  readonly actor: string | null;
  readonly body: Row | null;
}

/** Differences beyond this are not listed: one at the beginning makes many behind it. */
const MOST = 50;

/** Judges every site's record of a database again. `url`: any role that may read. */
export async function replayDatabase(url: string, options: { readonly prefix?: string } = {}): Promise<readonly Replayed[]> {
  const db = new pg.Client({ connectionString: url, types: columnTypes });
  await db.connect();
  try {
    // one snapshot of all, also while a service writes
    await db.query("begin isolation level repeatable read read only");
    await db.query("set timezone = 'UTC'");
    const sites = await rowsOf<{ site: string }>(db, "select site from sites order by site");
    const replayed: Replayed[] = [];
    for (const { site } of sites) replayed.push(await replaySite(db, site, options.prefix ?? ""));
    return replayed;
  } finally {
    await db.end();
  }
}

async function rowsOf<R>(db: pg.Client, text: string, values: readonly unknown[] = []): Promise<R[]> {
  return (await db.query(text, [...values])).rows;
}

/** Lists of a settlement's document and the tables in which they are stored; each row by its key, as text. */
interface Table {
  readonly name: string;
  readonly key: readonly string[];
  readonly columns: readonly string[];
  /** Where the document says it by another name. */
  readonly said?: Readonly<Record<string, string>>;
  /** Columns that hold a position. */
  readonly places?: readonly string[];
}

const RECORD: readonly (Table & { readonly list: string })[] = [
  {
    list: "verdicts",
    name: "verdicts",
    key: ["position"],
    columns: [
      ...["position", "event_position", "round", "status", "final", "code", "refused_by", "reason", "next", "remedy", "line", "equipment"],
      ...["verdict_topic_line", "verdict_topic_equipment", "source", "event_id", "type", "epoch", "sequence", "batch", "step", "attempt", "context_from"],
      ...["correlation", "traceparent", "first_position", "cause_position", "ahead", "flags", "facts", "explanation", "event_time"],
    ],
    said: {
      position: "ref",
      event_position: "event_ref",
      first_position: "first_ref",
      cause_position: "cause_ref",
      verdict_topic_line: "topic_line",
      verdict_topic_equipment: "topic_equipment",
    },
    places: ["position", "event_position", "first_position", "cause_position"],
  },
  {
    list: "facts",
    name: "facts",
    key: ["position", "ordinal"],
    columns: ["opened_on", "position", "ordinal", "kind", "batch", "number", "step", "attempt", "equipment", "from_state", "to_state", "state_machine", "data"],
    said: { position: "ref" },
    places: ["position"],
  },
  {
    list: "outcomes",
    name: "outcomes",
    key: ["position", "ordinal"],
    columns: ["opened_on", "stream", "sequence", "position", "ordinal", "type", "event_time", "causation", "correlation", "traceparent", "supersedes", "data"],
    said: { position: "ref" },
    places: ["position"],
  },
  {
    list: "evidence",
    name: "evidence",
    key: ["position", "batch", "step", "evidence"],
    columns: [...["batch", "step", "attempt", "evidence", "position", "supersedes", "event_id", "source", "value", "unit", "data", "within", "low", "high"]],
    said: { position: "ref" },
    places: ["position", "supersedes"],
  },
  {
    list: "exceptions",
    name: "exceptions",
    key: ["position", "ordinal"],
    columns: ["position", "ordinal", "event_position", "code", "reason", "source", "batch", "step", "attempt"],
    said: { position: "ref", event_position: "event_ref" },
    places: ["position", "event_position"],
  },
  {
    list: "answers",
    name: "idempotency_keys",
    key: ["position"],
    columns: ["key", "request", "answer", "position"],
    said: { position: "ref" },
    places: ["position"],
  },
  {
    list: "signals",
    name: "signals",
    key: ["position"],
    columns: ["position", "kind", "source", "event_id", "type", "epoch", "sequence", "topic", "actor", "body"],
    said: { position: "ref" },
    places: ["position"],
  },
];

async function replaySite(db: pg.Client, site: string, prefix: string): Promise<Replayed> {
  const differences: Difference[] = [];
  const differs = (position: number | null, what: string, stored: unknown, again: unknown): void => {
    if (differences.length < MOST) differences.push({ site, position, what, stored, again });
  };
  const model = await modelOf(db, site);
  const masterData = await readMasterData(db, site, model);
  const stored = new Map<string, Map<string, Row>>();
  for (const { name, columns, key } of RECORD) {
    const rows = await rowsOf<Row>(db, `select ${columns.join(", ")} from ${name} where site = $1`, [site]);
    stored.set(name, new Map(rows.map((row) => [key.map((column) => String(row[column])).join(" "), row])));
  }
  const signals = await rowsOf<SignalRow>(
    db,
    `select position::float8 as position, kind, source_key::text, source, topic, qos, retained, protocol, content_type, response_topic, correlation_data, user_properties, raw,
       raw_length, received_at, actor, body from signals where site = $1 order by position`,
    [site],
  );
  const keys = new Map(
    (
      await rowsOf<{ position: number; key: string; request: string; bodyDigest: string }>(
        db,
        `select position::float8 as position, key, request, encode(body_digest, 'hex') as "bodyDigest" from idempotency_keys where site = $1`,
        [site],
      )
    ).map(({ position, ...key }) => [position, key]),
  );
  const commits = await rowsOf<{ first: number; last: number; at: string }>(
    db,
    "select first_position::float8 as first, last_position::float8 as last, committed_at as at from commits where site = $1 order by first_position",
    [site],
  );
  let next = 0;
  let largestCommit = 0;
  // an act is on record by itself, and decides nothing
  const passActs = (): void => {
    for (let row = signals[next]; row?.kind === "act" && row.position === model.position + 1; row = signals[next]) {
      next += 1;
      model.position += 1;
      stored.get("signals")?.delete(String(row.position));
    }
  };
  for (const { first, last, at } of commits) {
    passActs();
    if (model.position !== first - 1) {
      differs(first, "the commits do not follow one another", first, model.position + 1);
      break;
    }
    largestCommit = Math.max(largestCommit, last - first + 1);
    model.now = Date.parse(at);
    const group: Signal[] = [];
    for (let row = signals[next]; row !== undefined && row.position <= last; row = signals[next]) {
      next += 1;
      masterData(row, stored.get("verdicts")?.get(String(row.position)));
      group.push(signalOf(row, keys.get(row.position) ?? null, prefix));
    }
    let settlement: Settlement;
    try {
      settlement = model.judge(group);
      model.commit(settlement, group);
    } catch (error) {
      differs(first, `the commit of ${first} to ${last} is not possible again`, null, error instanceof Error ? error.message : String(error));
      break;
    }
    compareRecord(stored, settlement, first - 1, differs);
    if (settlement.positions !== last - first + 1) {
      differs(first, "the commit takes another number of positions", last - first + 1, settlement.positions);
      break;
    }
  }
  passActs();
  const [head] = await rowsOf<{ position: number }>(db, "select position::float8 as position from sites where site = $1", [site]);
  if (head?.position !== model.position) differs(null, "the site's head", head?.position, model.position);
  // what was not taken out by a commit was stored and not judged again
  for (const [table, rows] of stored) for (const row of rows.values()) differs(Number(row["position"]), `${table}: stored, and not judged again`, row, null);
  if (differences.length === 0) await compareEnd(db, site, model, differs);
  return {
    site,
    signals: signals.length,
    verdicts: model.verdicts.length,
    facts: model.facts.length,
    outcomes: model.outcomes.length,
    commits: commits.length,
    largestCommit,
    differences,
  };
}

type Differs = (position: number | null, what: string, stored: unknown, again: unknown) => void;

/** Takes the rows that a commit comes to again out of what is stored, and names what is not equal. */
function compareRecord(stored: ReadonlyMap<string, Map<string, Row>>, settlement: Settlement, base: number, differs: Differs): void {
  const document: Readonly<Record<string, readonly Row[] | undefined>> = JSON.parse(documentOf(settlement, MAX_BYTES).document);
  for (const { list, name, key, columns, said = {}, places = [] } of RECORD) {
    const table = stored.get(name);
    for (const row of document[list] ?? []) {
      const again: Record<string, unknown> = {};
      for (const column of columns) {
        const value = row[said[column] ?? column] ?? null;
        again[column] = places.includes(column) && typeof value === "number" && value < 0 ? base - value : value;
      }
      const position = Number(again["position"]);
      const at = key.map((column) => String(again[column])).join(" ");
      const before = table?.get(at);
      table?.delete(at);
      if (before === undefined) {
        differs(position, `${name}: judged again, and not stored`, null, again);
        continue;
      }
      for (const column of columns) {
        if (inWords(before[column]) !== inWords(again[column])) differs(position, `${name}.${column}`, before[column], again[column]);
      }
    }
  }
}

/** The model with the site's master data as it stands. */
async function modelOf(db: pg.Client, site: string): Promise<Model> {
  const recipes = await rowsOf<{ content: { recipe: string; revision: number } }>(db, "select content from recipes order by registered_at");
  const equipment = await rowsOf<{ equipment: string; line: string; class: string }>(
    db,
    "select equipment, line, class from equipment where site = $1 order by equipment",
    [site],
  );
  const sources = await rowsOf<{ source: string; equipment: string; device: string | null; numbering: boolean; revoked: boolean }>(
    db,
    "select source, equipment, device, numbering, revoked from sources where site = $1 order by source_key",
    [site],
  );
  const model = createModel({
    site,
    recipes: recipes.map(({ content }) => content),
    equipment,
    sources: sources.flatMap(({ device, ...source }) => (device === null ? [] : [{ ...source, device }])),
  });
  for (const { source, numbering, revoked } of sources) Object.assign(model.sources.get(source) ?? {}, { numbering, revoked });
  return model;
}

/**
 * Registering is not on record, but it shows: a delivery of a source that nobody knew, or that was revoked, says so in its own verdict. Before a signal is judged again, its
 * source and equipment are made as they were then.
 */
async function readMasterData(db: pg.Client, site: string, model: Model): Promise<(row: SignalRow, verdict: Row | undefined) => void> {
  const unknown = await rowsOf<{ source: string; until: number }>(
    db,
    `select s.source, max(s.position)::float8 as until from signals s join verdicts v on v.site = s.site and v.position = s.position
     where s.site = $1 and v.code = 'IDN_UNKNOWN_PUBLISHER' group by s.source`,
    [site],
  );
  const later: { until: number; appear(): void }[] = [];
  for (const { source, until } of unknown) {
    const row = model.sources.get(source);
    if (row === undefined) continue;
    const equipment = row.device === null ? model.equipment.get(row.equipment) : undefined;
    model.sources.delete(source);
    if (equipment !== undefined) model.equipment.delete(row.equipment);
    later.push({
      until,
      appear: () => {
        model.sources.set(source, row);
        if (equipment !== undefined) model.equipment.set(row.equipment, equipment);
      },
    });
  }
  return (row, verdict) => {
    for (const one of later.filter(({ until }) => until < row.position)) {
      one.appear();
      later.splice(later.indexOf(one), 1);
    }
    const source = row.kind === "event" && row.source !== null && row.source_key !== null ? model.sources.get(row.source) : undefined;
    if (source !== undefined) source.revoked = verdict?.["code"] === "IDN_REVOKED";
  };
}

function signalOf(row: SignalRow, key: CommandSignal["key"], prefix: string): Signal {
  const receivedAt = row.received_at;
  if (row.kind === "tick") return { kind: "tick", tick: Object(row.body), receivedAt } satisfies { kind: "tick"; tick: Tick; receivedAt: string };
  if (row.kind === "command") {
    const { ifVersion, from, ...body } = Object(row.body);
    const command: Command =
      body.kind === "gap.resolve"
        ? { ...body, epoch: body.epoch === null ? null : BigInt(body.epoch), sequence: body.sequence === null ? null : BigInt(body.sequence) }
        : body;
    return { kind: "command", command, actor: row.actor ?? "", from: from ?? null, ifVersion: ifVersion ?? null, key, receivedAt };
  }
  const payload = row.raw ?? Buffer.alloc(0);
  const delivery: Delivery = {
    topic: row.topic ?? "",
    payload,
    ...(row.raw_length === null || row.raw_length === payload.byteLength ? {} : { fullLength: row.raw_length }),
    qos: row.qos,
    retained: row.retained,
    dup: false,
    protocol: row.protocol,
    contentType: row.content_type,
    responseTopic: row.response_topic,
    correlationData: row.correlation_data,
    userProperties: row.user_properties ?? [],
  };
  const decoded = decode(delivery, { prefix, maxBytes: MAX_BYTES });
  if (decoded.kind === "ignored") throw new Error(`what stands at ${row.position} is ignored now: ${decoded.why}`);
  if (decoded.kind === "diag") return { kind: "diag", delivery, diagnosis: decoded.diagnosis, receivedAt };
  return { kind: "event", delivery, inHand: inHandOf(delivery, decoded, receivedAt, prefix) };
}

/** Whether everything stands where the record has brought it. */
async function compareEnd(db: pg.Client, site: string, model: Model, differs: Differs): Promise<void> {
  const nameOf = new Map([...model.sources.values()].map((source) => [source.key, source.source]));
  const compare = async (what: string, text: string, again: readonly Row[]): Promise<void> => {
    const rows = await rowsOf<Row>(db, text, [site]);
    const of = (row: Row): string => inWords(Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null && value !== undefined)));
    const before = rows.map(of).sort();
    const after = again.map(of).sort();
    const left = new Map<string, number>();
    for (const one of before) left.set(one, (left.get(one) ?? 0) + 1);
    const lacking: string[] = [];
    for (const one of after) {
      const n = left.get(one) ?? 0;
      if (n === 0) lacking.push(one);
      else if (n === 1) left.delete(one);
      else left.set(one, n - 1);
    }
    for (const one of left.keys()) differs(null, `${what}: stands only in the database`, JSON.parse(one), null);
    for (const one of lacking) differs(null, `${what}: stands only in what was judged again`, null, JSON.parse(one));
  };
  const ms = (column: string): string => `(floor(extract(epoch from ${column}) * 1000))::bigint`;
  await compare(
    "sources",
    `select source, incarnation, epoch, through, highest, gap_position, ${ms("gap_due_at")} as gap_due, parked, parked_position, reused, waiting_count, waiting_bytes, connection, monotonic
     from sources where site = $1`,
    [...model.sources.values()].map((s) => ({
      source: s.source,
      incarnation: s.incarnation,
      epoch: s.epoch,
      through: s.through,
      highest: s.highest,
      gap_position: s.gapPosition,
      gap_due: s.gapDueAt,
      parked: s.parked,
      parked_position: s.parkedPosition,
      reused: s.reused,
      waiting_count: s.waitingCount,
      waiting_bytes: s.waitingBytes,
      connection: s.connection,
      monotonic: s.monotonic,
    })),
  );
  await compare(
    "waiting",
    `select s.source, w.incarnation, w.epoch, w.sequence, w.position, encode(w.id_hash, 'hex') as id, encode(w.digest, 'hex') as digest, w.bytes, w.ahead, ${ms("w.expires_at")} as expires
     from waiting w join sources s on s.source_key = w.source_key where w.site = $1`,
    [...model.waiting.values()].map((w) => ({
      source: nameOf.get(w.sourceKey),
      incarnation: w.incarnation,
      epoch: w.epoch,
      sequence: w.sequence,
      position: w.position,
      id: w.idHash,
      digest: w.digest,
      bytes: w.bytes,
      ahead: w.ahead,
      expires: w.expiresAt,
    })),
  );
  await compare(
    "deferrals",
    `select d.position, d.version, d.round, s.source, d.code, d.batch, d.step, d.moves, d.behind, d.bytes, ${ms("d.due_at")} as due,
       (select jsonb_agg(waits_for order by waits_for collate "C") from deferral_waits w where w.site = d.site and w.position = d.position) as waits
     from deferrals d join sources s on s.source_key = d.source_key where d.site = $1`,
    [...model.deferrals.values()].map(({ sourceKey, dueAt, waits, ...d }) => ({
      ...d,
      source: nameOf.get(sourceKey),
      due: dueAt,
      waits: waits.size === 0 ? null : [...waits].sort(),
    })),
  );
  await compare(
    "quarantine",
    "select position, version, round, code, source, batch, resolution from quarantine where site = $1",
    [...model.quarantine.values()].map(({ position, version, round, code, source, batch, resolution }) => ({
      position,
      version,
      round,
      code,
      source,
      batch,
      resolution,
    })),
  );
  await compare(
    "exceptions",
    "select position, code, reason, resolved_at is not null as resolved from exceptions where site = $1",
    model.exceptions.map(({ position, code, reason, resolved }) => ({ position, code, reason, resolved })),
  );
  await compare(
    "batches",
    `select batch, version, line, job_order, recipe || '@' || revision as recipe, batch_machine, step_machine, quantity, unit, parameters,
       roles, execution, disposition, opened_on, facts, created_at, started_at, ended_at, closed_at from batches where site = $1`,
    [...model.batches.values()].map((b) => ({
      batch: b.batch,
      version: b.version,
      line: b.line,
      job_order: b.jobOrder,
      recipe: b.recipeName,
      batch_machine: b.batchMachine,
      step_machine: b.stepMachine,
      quantity: b.quantity,
      unit: b.unit,
      parameters: b.parameters,
      roles: b.roles,
      execution: b.execution,
      disposition: b.disposition,
      opened_on: b.openedOn,
      facts: b.facts,
      created_at: b.createdAt,
      started_at: b.startedAt,
      ended_at: b.endedAt,
      closed_at: b.closedAt,
    })),
  );
  await compare(
    "steps",
    `select t.batch, t.step, t.attempt, t.ordinal, t.state, t.started_at, s.source as clock, t.start_epoch, t.start_time, t.ended_at
     from steps t left join sources s on s.source_key = t.start_source where t.site = $1`,
    [...model.stepsOfBatch.values()].flat().map((t) => ({
      batch: t.batch,
      step: t.step,
      attempt: t.attempt,
      ordinal: t.ordinal,
      state: t.state,
      started_at: t.startedAt,
      clock: t.startClock === null ? null : nameOf.get(String(t.startClock.sourceKey)),
      start_epoch: t.startClock?.epoch ?? null,
      start_time: t.startClock?.time ?? null,
      ended_at: t.endedAt,
    })),
  );
  await compare(
    "context_locks",
    "select equipment, kind, batch, step, attempt, role, locked, token, taken_position, freed_position from context_locks where site = $1",
    model.locks.map(({ takenAt, takenTime: _, freed, freedTime: __, ...lock }) => ({ ...lock, taken_position: takenAt, freed_position: freed })),
  );
  await compare(
    "equipment",
    "select equipment, token, state, state_epoch, state_sequence from equipment where site = $1",
    [...model.equipment.values()].map((e) => ({
      equipment: e.equipment,
      token: e.token,
      state: e.state,
      state_epoch: e.stateEpoch,
      state_sequence: e.stateSequence,
    })),
  );
  await compare(
    "streams",
    "select stream, sequence, line, opened_on from streams where site = $1",
    [...model.streams].map(([stream, { sequence, line, openedOn }]) => ({ stream, sequence, line, opened_on: openedOn })),
  );
  await compare(
    "awaited",
    "select awaited, version from awaited where site = $1",
    [...model.awaited].map(([awaited, version]) => ({ awaited, version })),
  );
  await compare(
    "event_numbers",
    `select s.source, n.incarnation, n.epoch, n.sequence, n.position from event_numbers n join sources s on s.source_key = n.source_key where s.site = $1`,
    [...model.numbers].map(([key, position]) => {
      const [source = "", number = ""] = key.split(" ");
      const [incarnation, epoch, sequence] = number.split(".");
      return { source: nameOf.get(source), incarnation, epoch, sequence, position };
    }),
  );
  await compare(
    "event_ids",
    `select s.source, encode(i.id_hash, 'hex') as id, encode(i.digest, 'hex') as digest, i.position from event_ids i join sources s on s.source_key = i.source_key where s.site = $1`,
    [...model.ids].map(([key, { position, digest }]) => {
      const [source = "", id = ""] = key.split(" ");
      return { source: nameOf.get(source), id, digest, position };
    }),
  );
  await compare(
    "event_conflicts",
    `select s.source, encode(c.id_hash, 'hex') as id, encode(c.digest, 'hex') as digest, c.position from event_conflicts c join sources s on s.source_key = c.source_key where s.site = $1`,
    [...model.conflicts].map(([key, position]) => {
      const [source = "", id = "", digest = ""] = key.split(" ");
      return { source: nameOf.get(source), id, digest, position };
    }),
  );
  await compare(
    "skipped_ranges",
    `select s.source, k.incarnation, k.epoch, k.first, k.last, k.reason, k.position from skipped_ranges k join sources s on s.source_key = k.source_key where s.site = $1`,
    model.skipped.map(({ sourceKey, ...range }) => ({ ...range, source: nameOf.get(sourceKey) })),
  );
}

/** Numbers as text, whether the database gave them as numbers or as big integers; keys in order. */
const inWords = (value: unknown): string =>
  JSON.stringify(value ?? null, (_, v) => {
    if (typeof v === "bigint" || typeof v === "number") return String(v);
    if (typeof v !== "object" || v === null || Array.isArray(v)) return v;
    return Object.fromEntries(Object.entries(v).sort(([x], [y]) => (x < y ? -1 : 1)));
  });
