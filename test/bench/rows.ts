import { createHash, randomBytes } from "node:crypto";
import pg from "pg";

// The rows that the service writes of an accepted event, for those who write them without deciding anything: into tables of the same columns, checks and indexes, without foreign keys
// and triggers. Shares nothing with the service: what the rows say is copied from one event that it decided, and only what names the event differs.

/** What a delivery names. */
export interface Told {
  readonly position: number;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly sequence: string;
  readonly batch: string;
  readonly step: string | null;
  readonly raw: Buffer;
}

type Row = Readonly<Record<string, unknown>>;

const TABLES = ["signals", "event_ids", "event_numbers", "verdicts", "evidence", "facts", "outcomes", "audit_numbers", "audit_entries"] as const;

/** Columns that differ from event to event, by the name of what they are given from. Numbers that must be unique are the position, whatever counts them. */
const VARYING: Readonly<Record<(typeof TABLES)[number], Readonly<Record<string, string>>>> = {
  signals: { position: "position", source: "source", event_id: "id", type: "type", sequence: "sequence", digest: "digest", raw: "raw" },
  event_ids: { id_hash: "hash", digest: "digest", position: "position" },
  event_numbers: { sequence: "position", position: "position" },
  verdicts: {
    position: "position",
    event_position: "position",
    source: "source",
    event_id: "id",
    type: "type",
    sequence: "sequence",
    batch: "batch",
    step: "step",
    explanation: "explanation",
  },
  evidence: { batch: "batch", step: "step", position: "position", event_id: "id", source: "source" },
  facts: { position: "position", batch: "batch", number: "position", step: "step", data: "fact" },
  outcomes: { stream: "stream", sequence: "position", position: "position", causation: "id", data: "outcome" },
  audit_numbers: { batch: "batch", number: "position", position: "position" },
  audit_entries: { position: "position", entry: "entry" },
};

/** What they are given from, as the arrays that a statement takes. */
const GIVEN: readonly (readonly [name: string, type: string])[] = [
  ["position", "bigint"],
  ["id", "text"],
  ["source", "text"],
  ["type", "text"],
  ["sequence", "bigint"],
  ["batch", "text"],
  ["step", "text"],
  ["stream", "text"],
  ["raw", "bytea"],
  ["hash", "bytea"],
  ["digest", "bytea"],
  ["explanation", "jsonb"],
  ["fact", "jsonb"],
  ["outcome", "jsonb"],
  ["entry", "text"],
];

/** Makes the tables, and copies the rows of one accepted measurement. */
export async function prepareTables(client: pg.Client, site: string): Promise<void> {
  await client.query("create schema passing");
  for (const table of TABLES) await client.query(`create table passing.${table} (like public.${table} including all)`);
  const { rows } = await client.query(
    `select v.position from verdicts v join evidence e on e.site = v.site and e.position = v.position where v.site = $1 and v.status = 'accepted' and v.round = 1 order by 1 desc limit 1`,
    [site],
  );
  const position = rows[0]?.position;
  if (position === undefined) throw new Error("no measurement was accepted");
  await client.query("create table passing.sample (of text, row_of jsonb)");
  for (const table of TABLES)
    await client.query(`insert into passing.sample select '${table}', to_jsonb(t) from public.${table} t where position = $1 limit 1`, [position]);
}

/** Who writes rows of events, all of them in one statement. */
export interface Writer {
  write(events: readonly Told[]): Promise<void>;
  /** What the service says of such an event on the batch's outcome topic, of which only the two names differ. */
  outcome(event: Told): string;
}

export async function createWriter(client: pg.Client): Promise<Writer> {
  const sample = new Map<string, Row>((await client.query("select of, row_of from passing.sample")).rows.map(({ of, row_of }) => [of, row_of]));
  const of = (table: string, column: string): string => JSON.stringify(sample.get(table)?.[column] ?? null);
  const [explanation, fact, outcome] = [of("verdicts", "explanation"), of("facts", "data"), of("outcomes", "data")];
  const entry = Buffer.from(String(sample.get("audit_entries")?.["entry"] ?? "").slice(2), "hex").toString();
  const columns = await client.query(
    "select table_name, column_name, udt_schema || '.' || udt_name as type from information_schema.columns where table_schema = 'passing' and is_generated = 'NEVER' order by ordinal_position",
  );
  const insert = (table: (typeof TABLES)[number]): string => {
    const own = columns.rows.filter(({ table_name }) => table_name === table);
    const values = own.map(({ column_name, type }) => {
      const given = VARYING[table][column_name];
      const value = sample.get(table)?.[column_name] ?? null;
      if (given !== undefined) return column_name === "entry" ? "convert_to(u.entry, 'UTF8')" : `u.${given}`;
      return value === null ? "null" : `${pg.escapeLiteral(literal(value, type))}::${type}`;
    });
    const which = table === "evidence" ? " where u.type = 'signalbox.step.evidence.v1'" : "";
    return `insert into passing.${table} (${own.map(({ column_name }) => column_name).join(", ")}) select ${values.join(", ")} from u${which}`;
  };
  const text = `with u as materialized (select * from unnest(${GIVEN.map(([, type], n) => `$${n + 1}::${type}[]`).join(", ")}) as u (${GIVEN.map(([name]) => name).join(", ")})),
    ${TABLES.slice(0, -1)
      .map((table, n) => `w${n} as (${insert(table)})`)
      .join(",\n    ")}
    ${insert(TABLES[TABLES.length - 1] ?? "audit_entries")}`;
  const sha256 = (what: string | Buffer): Buffer => createHash("sha256").update(what).digest();
  // nothing is decided: a copy is another event here
  const run = randomBytes(8).toString("hex");
  return {
    async write(events) {
      const values: unknown[][] = [
        events.map(({ position }) => position),
        events.map(({ id }) => id),
        events.map(({ source }) => source),
        events.map(({ type }) => type),
        events.map(({ sequence }) => sequence),
        events.map(({ batch }) => batch),
        events.map(({ step }) => step ?? "-"),
        events.map(({ batch }) => `batch/${batch}`),
        events.map(({ raw }) => raw),
        events.map(({ id, position }) => sha256(`${run} ${position} ${id}`)),
        events.map(({ raw }) => sha256(raw)),
        events.map(() => explanation),
        events.map(() => fact),
        events.map(() => outcome),
        events.map(() => entry),
      ];
      await client.query({ name: "write", text, values });
    },
    outcome: ({ id, batch, source, position }) =>
      `{"specversion":"1.0","id":"1.${position}","source":"${source.replace(/\/line\/.*/, "")}/batch/${batch}","type":"signalbox.evidence.recorded.v1","time":"2026-01-01T00:00:00.000Z","recordedtime":"2026-01-01T00:00:00.000000Z","datacontenttype":"application/json","sequence":"${position}","causationid":"${id}","data":${outcome}}`,
  };
}

function literal(value: unknown, type: string): string {
  if (Array.isArray(value) && type.startsWith("pg_catalog._")) return `{${value.join(",")}}`;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** What an event's text names. */
export function told(payload: Buffer, position: number): Told {
  const { id, source, type, sequence, batchid, stepid } = JSON.parse(payload.toString("utf8"));
  return { position, id, source, type, sequence, batch: batchid, step: stepid ?? null, raw: payload };
}
