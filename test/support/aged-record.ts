import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { TILE_WIDTH } from "../../src/audit/tiles.ts";
import { openDatabase } from "../../src/db/database.ts";
import { createLog } from "../../src/ops/log.ts";
import { ownTime, type Time } from "../../src/ops/time.ts";
import { createSigners, type Signers } from "../../src/signers.ts";
import { BLEND } from "./blend.ts";
import { type Act, commands, creates, Line, type Speaker, speaker } from "./given.ts";
import type { ModelOptions } from "./model.ts";
import { askAsAdministrator, freshDatabase, type TestDatabase } from "./postgres.ts";
import { writeRecord } from "./written-record.ts";

// A record that is years old: closed batches, decided by the service's pure core and committed by the database's own functions under a clock that is set, so that a partition of it is due. As
// 1,000,000 positions are too many, the empty partitions are cut smaller before anything is written, by the owner of the tables; what disposes of them takes their bounds from the catalogue.

export const SITE = "old1";
/** The first position behind the oldest partition; no multiple of a tile's 256, so that one tile has leaves of both. */
export const LIMIT = 1_100;
/** And behind the next one. */
export const NEXT = 1_400;
/** The first log ends about here, within the oldest partition, and within a tile. */
const ROTATE = 1_000;

const RECIPE = {
  ...BLEND,
  steps: [BLEND.steps[0], { step: "blend", after: ["weigh"], equipment: BLEND.steps[1].equipment, evidence: BLEND.steps[1].evidence }],
};
const PLANT: ModelOptions = {
  site: SITE,
  recipes: [RECIPE],
  equipment: [
    { equipment: "scale-1", line: "4", class: "scale" },
    { equipment: "mixer-1", line: "4", class: "mixer" },
  ],
  careful: false,
  now: Date.parse("2019-03-04T08:00:00.000Z"),
};

export interface AgedRecord {
  readonly database: TestDatabase;
  /** A folder for whatever a test needs; the signer's state, the mirror, and the public key in it. */
  readonly home: string;
  readonly state: string;
  readonly mirror: string;
  readonly vkey: string;
  /** The last position that was written. */
  readonly written: number;
  /** A weight of the first batch, byte by byte: when it comes again, it is known. */
  readonly weight: { readonly topic: string; readonly payload: string };
  /** A copy of the database, and of the signer's files, of their own; or of an earlier copy. Nobody may be connected to what is copied. */
  copy(of?: AgedCopy): Promise<AgedCopy>;
  drop(): Promise<void>;
}

export interface AgedCopy {
  readonly name: string;
  readonly state: string;
  readonly mirror: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly runtimeUrl: string;
  readonly ownerUrl: string;
  /** As the database's administrator, past all triggers. */
  query(text: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
}

export async function agedRecord(): Promise<AgedRecord> {
  const home = mkdtempSync(path(tmpdir(), "signalbox-aged-"));
  const [state, mirror] = [path(home, "state"), path(home, "mirror")];
  const database = await freshDatabase();
  await cutPartitions(database);
  const writer = await writeRecord(database, PLANT);
  const line = new Line(writer.model);
  const [scale, mixer] = [speaker("scale-1", { site: SITE }), speaker("mixer-1", { site: SITE })];
  let batch = 1;
  const until = async (position: number): Promise<void> => {
    while (writer.model.position < position) {
      const acts: Act[] = [];
      for (let more = 0; more < 10; more += 1) acts.push(...lifeOf(`B-${batch + more}`, scale, mixer));
      batch += 10;
      line.together(...acts);
      writer.model.now += 3_600_000;
      await writer.flush();
    }
  };
  await until(ROTATE);
  const [first] = line.sent.flatMap((signal) =>
    signal.kind === "event" && Buffer.from(signal.delivery.payload).includes("net-weight") ? [signal.delivery] : [],
  );
  await database.query(`update sites set rotate_after = ${ROTATE}`);
  await signing(database, { state, mirror }, async () => {
    await reach(database, "select 1 from audit_logs where log = 2");
  });
  await database.query(`alter table sites disable trigger all; update sites set rotate_after = 10000000; alter table sites enable trigger all`);
  const [head] = await database.query(`select position::int as position from sites where site = '${SITE}'`);
  writer.model.position = Number(head?.["position"]);
  // the tile that has the last of them is full
  await until(NEXT + 2 * TILE_WIDTH);
  await writer.close();
  await database.query("alter role signalbox_owner reset search_path");

  let copies = 0;
  const named = (url: string, name: string): string => url.replace(/\/signalbox$/, `/${name}`);
  const ask = (name: string, text: string, values: readonly unknown[] = []): Promise<readonly Record<string, unknown>[]> =>
    askAsAdministrator(named(database.superUrl, name), text, values);
  return {
    database,
    home,
    state,
    mirror,
    vkey: path(state, SITE, "signer.vkey"),
    written: writer.model.position,
    weight: { topic: first?.topic ?? "", payload: Buffer.from(first?.payload ?? "").toString() },
    async copy(of) {
      copies += 1;
      const name = `copy_${copies}`;
      await ask("postgres", `create database ${name} template ${of?.name ?? "signalbox"} owner signalbox_owner`);
      const folder = path(home, name);
      cpSync(of?.state ?? state, path(folder, "state"), { recursive: true });
      cpSync(of?.mirror ?? mirror, path(folder, "mirror"), { recursive: true });
      const environment = {
        DATABASE_URL: named(database.runtimeUrl, name),
        DATABASE_OWNER_URL: named(database.ownerUrl, name),
        AUDIT_DIR: path(folder, "state"),
        AUDIT_MIRROR_DIR: path(folder, "mirror"),
      };
      return {
        name,
        state: environment.AUDIT_DIR,
        mirror: environment.AUDIT_MIRROR_DIR,
        environment,
        runtimeUrl: environment.DATABASE_URL,
        ownerUrl: environment.DATABASE_OWNER_URL,
        query: (text, values) => ask(name, text, values),
      };
    },
    async drop() {
      await database.drop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** A batch from its order to its closing. */
function lifeOf(batch: string, scale: Speaker, mixer: Speaker): readonly Act[] {
  const about = (step: string) => ({ batch, step });
  return [
    creates(batch),
    commands("release-to-floor", batch),
    commands("start", batch),
    scale.starts("weigh", about("weigh")),
    scale.weighs("12.503", about("weigh")),
    scale.completes("weigh", about("weigh")),
    mixer.starts("blend", about("blend")),
    mixer.gives("blend", "end-temperature", "24.5", "Cel", about("blend")),
    mixer.completes("blend", about("blend")),
    commands("close", batch),
  ];
}

async function cutPartitions(database: TestDatabase): Promise<void> {
  const bounds = [0, LIMIT, NEXT, 3_000_000];
  for (const parent of ["signals", "verdicts", "audit_entries"])
    await database.query(
      `set role signalbox_owner; ${bounds
        .slice(0, -1)
        .map(
          (from, n) => `drop table ${parent}_p${n}; create table ${parent}_p${n} partition of ${parent} for values from (${from}) to (${bounds[n + 1]});
          grant select, insert on ${parent}_p${n} to signalbox_runtime;`,
        )
        .join("\n")} reset role`,
    );
}

/** Has a signer at work while something is done. */
export async function signing(
  { runtimeUrl }: { readonly runtimeUrl: string },
  { state, mirror }: { readonly state: string; readonly mirror: string },
  meanwhile: (signers: Signers) => Promise<void>,
  time: Time = ownTime,
): Promise<void> {
  const { db, close } = openDatabase(runtimeUrl, { max: 2, applicationName: "signer" });
  const signers = createSigners({ db, time, log: createLog({ level: "silent" }), directory: state, mirror, adopt: false, onSigned: () => {} });
  await signers.open(SITE);
  try {
    await meanwhile(signers);
  } finally {
    await signers.stop();
    await close();
  }
}

/** Waits until a query gives a row. */
export async function reach(database: { query(text: string): Promise<readonly unknown[]> }, text: string): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    if ((await database.query(text)).length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not within 30 s: ${text}`);
}
