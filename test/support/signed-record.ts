import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { exportBundle } from "../../src/cli/export.ts";
import { parse } from "../../src/cli/parse.ts";
import { verify } from "../../src/cli/verify.ts";
import type { Report } from "../../src/cli/verify-report.ts";
import { openDatabase } from "../../src/db/database.ts";
import { createLog } from "../../src/ops/log.ts";
import { ownTime } from "../../src/ops/time.ts";
import { createSigners } from "../../src/signers.ts";
import { BLEND } from "./blend.ts";
import { envelope, eventTopic, join, type Party, sourceOf } from "./mqtt.ts";
import { type Plant, startPlant } from "./plant.ts";
import { askAsAdministrator, freshDatabase, type TestDatabase } from "./postgres.ts";

// A site's record as a plant leaves it behind: a batch, refusals, a flood of calls that fills a tile, everything signed; and the keys, mirrors and copies of its database that attacks need.

export const SITE = "ledger";
export const BATCH = "B-1";
const SCALE = sourceOf(SITE, "4", "scale-1");
/** Belongs to no batch. */
const BUTTON = sourceOf(SITE, "4", "button-1");
/** More than a tile has leaves. */
const CALLS = 300;

export interface SignedRecord {
  /** The last position; all is signed up to it. */
  readonly last: number;
  /** Folders and files: the signer's state with its keys, the mirror, the mirror as it was in the middle of the day, the public key. */
  readonly state: string;
  readonly mirror: string;
  readonly early: string;
  readonly vkey: string;
  /** A folder for whatever a test needs. */
  readonly home: string;
  /** A copy of the database of its own. */
  copy(): Promise<Copy>;
  /** Has the signer go on on a copy while something is done, and until all of it is signed. */
  signing(copy: Copy, meanwhile: () => Promise<void>): Promise<void>;
  drop(): Promise<void>;
}

export interface Copy {
  readonly runtimeUrl: string;
  readonly ownerUrl: string;
  /** Brings back the backup of the middle of the day: every table as it was. */
  restoreBackup(): Promise<void>;
  /** As the database's administrator, past all triggers. */
  query(text: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
}

export interface Verification {
  readonly exit: number;
  readonly report: Report;
  readonly err: string;
}

/** The command as a person runs it, in this process. */
export async function runVerify(args: readonly string[], environment: Readonly<Record<string, string>>): Promise<Verification> {
  const out: string[] = [];
  const err: string[] = [];
  const parsed = parse(["verify", ...args, "--json"], [verify], environment);
  if (parsed.kind !== "run") throw new Error(`verify ${args.join(" ")} is ${parsed.kind}`);
  const exit = await parsed.command.run(parsed.call, {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    progress: () => {},
    paint: (_, text) => text,
  });
  return { exit, report: JSON.parse(out.join("\n") || "null"), err: err.join("\n") };
}

const TABLES = `select relname::text as "table" from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`;

/** Copies every table of one moment into a schema of its own; gives the site's position of that moment. */
async function backUp(database: TestDatabase): Promise<number> {
  const tables = (await database.query(TABLES)).map(({ table }) => String(table));
  await database.query(`
    begin isolation level repeatable read;
    drop schema if exists backup cascade;
    create schema backup;
    ${tables.map((table) => `create table backup.${table} as table public.${table};`).join("\n")}
    commit;`);
  const [head] = await database.query(`select position::int as position from backup.sites where site = '${SITE}'`);
  return Number(head?.["position"]);
}

export async function runExport(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<{ readonly exit: number; readonly err: string }> {
  const err: string[] = [];
  const parsed = parse(["export", ...args, "--json"], [exportBundle], environment);
  if (parsed.kind !== "run") throw new Error(`export ${args.join(" ")} is ${parsed.kind}`);
  const exit = await parsed.command.run(parsed.call, { out: () => {}, err: (line) => err.push(line), progress: () => {}, paint: (_, text) => text });
  return { exit, err: err.join("\n") };
}

/** What a day goes on with, while the service runs. */
export interface Day {
  readonly plant: Plant;
  readonly party: Party;
  /** The next number of a source; gives the event's id. */
  say(source: string, type: string, data: Record<string, unknown>, more?: Record<string, unknown>): Promise<string>;
  decided(id: string): Promise<unknown>;
}

/** `more`: what happens besides, at the end of the day. `calls`: how many there are of no account, so that a tile is filled, or none. */
export async function signedRecord(more: (day: Day) => Promise<void> = async () => {}, calls = CALLS): Promise<SignedRecord> {
  const home = mkdtempSync(path(tmpdir(), "signalbox-record-"));
  const [state, mirror, early] = [path(home, "state"), path(home, "mirror"), path(home, "early")];
  const database = await freshDatabase();
  const plant = await startPlant({ database, broker: "embedded", settings: { AUDIT_DIR: state, AUDIT_MIRROR_DIR: mirror } });
  const party = await join(plant.mqttUrl, { protocol: 4 });
  const signed = async (): Promise<number> => {
    for (let tries = 0; tries < 600; tries += 1) {
      const { position, signed } = Object((await plant.ask("GET", `/v1/audit/sites/${SITE}`)).body);
      if (position === signed) return position;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error("not all was signed within 30 s");
  };
  await plant.equipment(SITE, "scale-1", "4", "scale");
  await plant.equipment(SITE, "mixer-1", "4", "mixer");
  await plant.equipment(SITE, "button-1", "4", "button");
  await party.subscribe(`site/${SITE}/line/4/eq/+/outcome`, `site/${SITE}/line/4/eq/+/verdict`);
  await plant.ask("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND, { reason: "first recipe" });
  const order = {
    batch: BATCH,
    jobOrder: "PO-1",
    line: "4",
    recipe: "blend",
    revision: 3,
    quantity: { value: "25.000", unit: "kg" },
    equipment: { scale: "scale-1", mixer: "mixer-1" },
  };
  await plant.ask("POST", `/v1/sites/${SITE}/batches`, order, { "idempotency-key": "k-1" });
  for (const command of ["start", "release-to-floor", "start"])
    await plant.ask("POST", `/v1/sites/${SITE}/batches/${BATCH}/commands`, { command, reason: "=shift plan" });
  await signed();
  const claim = { batchid: BATCH, stepid: "weigh" };
  const sequences = new Map<string, number>();
  const say: Day["say"] = async (source, type, data, more = {}) => {
    const sequence = (sequences.get(source) ?? 0) + 1;
    sequences.set(source, sequence);
    const event = { ...envelope(source, 1, sequence, type, data), ...more };
    await party.publish(eventTopic(source), event);
    return String(event["id"]);
  };
  const decided: Day["decided"] = (id) => party.until(`the verdict on ${id}`, ({ topic, body }) => topic.endsWith("/verdict") && body.causationid === id);
  await say(SCALE, "step.start", {}, claim);
  await say(SCALE, "step.evidence", { evidence: "net-weight", value: "99", unit: "kg" }, claim);
  await decided(await say(SCALE, "step.evidence", { evidence: "net-weight", value: "12.503", unit: "kg" }, claim));
  await signed();
  for (let n = 0; n < calls / 2; n += 1) await say(BUTTON, "call.raised", { call: `c-${n}` });
  await decided(await say(SCALE, "step.complete", {}, claim));
  // what a backup of this moment holds, and the anchors of the same moment
  for (let backedUp = -1; backedUp !== (await signed()); ) {
    rmSync(early, { recursive: true, force: true });
    backedUp = await backUp(database);
    cpSync(mirror, early, { recursive: true });
  }
  // decided ten at a time, so that on a busy machine too there are commits of nothing else
  for (let n = calls / 2; n < calls; n += 10) {
    const ids: string[] = [];
    for (let more = n; more < Math.min(n + 10, calls); more += 1) ids.push(await say(BUTTON, "call.raised", { call: `c-${more}` }));
    await decided(ids.at(-1) ?? "");
  }
  await party.publish(eventTopic(SCALE), "not an event");
  await party.until("what cannot be read", ({ body }) => body.data?.code?.startsWith("ENV_") === true);
  await decided(await say(SCALE, "alarm.raised", { alarm: "a-1" }));
  await more({ plant, party, say, decided });
  await party.end();
  const last = await signed();
  await plant.stop();

  let copies = 0;
  const named = (url: string, name: string): string => url.replace(/\/signalbox$/, `/${name}`);
  const ask = (name: string, text: string, values: readonly unknown[] = []): Promise<readonly Record<string, unknown>[]> =>
    askAsAdministrator(named(database.superUrl, name), text, values);
  return {
    last,
    state,
    mirror,
    early,
    vkey: path(state, SITE, "signer.vkey"),
    home,
    async copy() {
      copies += 1;
      const name = `copy_${copies}`;
      await ask("postgres", `create database ${name} template signalbox`);
      const query: Copy["query"] = (text, values) => ask(name, text, values);
      const restoreBackup = async (): Promise<void> => {
        for (const { table } of await query(TABLES))
          await query(`delete from public.${table}`).then(() => query(`insert into public.${table} overriding system value select * from backup.${table}`));
      };
      return { runtimeUrl: named(database.runtimeUrl, name), ownerUrl: named(database.ownerUrl, name), query, restoreBackup };
    },
    async signing(copy, meanwhile) {
      const { db, close } = openDatabase(copy.runtimeUrl, { max: 2, applicationName: "signer" });
      const signers = createSigners({ db, time: ownTime, log: createLog({ level: "silent" }), directory: state, mirror, adopt: false, onSigned: () => {} });
      await signers.open(SITE);
      try {
        await meanwhile();
      } finally {
        await signers.stop();
        await close();
      }
    },
    async drop() {
      await database.drop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
