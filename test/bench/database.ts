import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { freshDatabase, type TestDatabase } from "../support/postgres.ts";
import { nameBinaries } from "../support/postgres-binaries.ts";
import { repository } from "../support/repository.ts";

// The Postgres of the bench: with the settings that are shipped, as durable as they make it.

/** The settings with which the compose file starts Postgres. */
export function shippedSettings(): readonly string[] {
  const compose = readFileSync(join(repository(), "docker-compose.yml"), "utf8");
  return [...compose.matchAll(/^ +- -c\n +- (\S+=\S+)$/gm)].flatMap(([, setting]) => setting ?? []);
}

const INSTALLED = "/usr/lib/postgresql";

/** Has PG_BIN name the newest Postgres that is installed, unless it names one: the embedded one was built without the compression that is shipped. Where none is installed it is that one. */
export async function nameShipped(): Promise<void> {
  const versions = existsSync(INSTALLED) ? readdirSync(INSTALLED).filter((version) => existsSync(join(INSTALLED, version, "bin", "postgres"))) : [];
  const newest = versions.sort((a, b) => Number(a) - Number(b)).at(-1);
  if ((process.env["PG_BIN"] ?? "") === "" && newest !== undefined) process.env["PG_BIN"] = join(INSTALLED, newest, "bin");
  await nameBinaries();
}

/** As the binaries that are used tell it. */
export const postgresVersion = (): string => execFileSync(join(process.env["PG_BIN"] ?? "", "postgres"), ["--version"], { encoding: "utf8", cwd: "/" }).trim();

/** What is left of the settings where a Postgres was built without lz4: its own way to compress would cost more processor time than what it saves of the log. */
const withoutLz4 = (settings: readonly string[]): readonly string[] => settings.filter((setting) => !setting.endsWith("_compression=lz4"));

/** `profiled`: it counts what each statement costs. */
export async function startDatabase(profiled = false): Promise<TestDatabase> {
  const counting = ["shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track=all", "pg_stat_statements.track_planning=on"];
  const settings = [...shippedSettings(), ...(profiled ? counting : [])];
  const database = await freshDatabase({ settings }).catch((error: unknown) => {
    if (!/_compression/.test(String(error))) throw error;
    return freshDatabase({ settings: withoutLz4(settings) });
  });
  if (profiled) await database.query("create extension pg_stat_statements");
  return database;
}

/** What each statement has cost in all, the dearest first. */
export const statements = (database: TestDatabase): Promise<Record<string, unknown>[]> =>
  database.query(
    "select toplevel, calls, round((total_exec_time + total_plan_time)::numeric) as ms, round(total_plan_time::numeric) as planning, rows, shared_blks_hit, shared_blks_dirtied, wal_bytes, query from pg_stat_statements order by total_exec_time + total_plan_time desc limit 60",
  );

export const postmaster = ({ cluster }: TestDatabase): number => Number(readFileSync(join(cluster.data, "postmaster.pid"), "utf8").split("\n")[0]);

/** What Postgres has written since it was made. */
export interface Written {
  readonly walBytes: number;
  readonly walSyncs: number;
  /** Bytes by table, with its partitions and indexes. */
  readonly tables: ReadonlyMap<string, number>;
}

export async function written(database: TestDatabase): Promise<Written> {
  const [version] = await database.query("select current_setting('server_version_num')::int as number");
  // from 18 on syncs of the log are counted among all other input and output
  const syncs = Number(version?.["number"]) < 180_000 ? "(select wal_sync from pg_stat_wal)" : "(select sum(fsyncs) from pg_stat_io where object = 'wal')";
  const [wal] = await database.query(`select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as bytes, ${syncs}::float8 as syncs`);
  const tables = await database.query(
    `select coalesce(pg_partition_root(oid), oid)::regclass::text as name, sum(pg_total_relation_size(oid))::float8 as bytes
      from pg_class where relkind = 'r' and relnamespace in (select oid from pg_namespace where nspname in ('public', 'passing')) group by 1`,
  );
  return {
    walBytes: Number(wal?.["bytes"]),
    walSyncs: Number(wal?.["syncs"]),
    tables: new Map(tables.map(({ name, bytes }) => [String(name), Number(bytes)])),
  };
}
