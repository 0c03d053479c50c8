import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Db, openDatabase } from "../db/database.ts";
import { assertMigrated } from "../db/migrate.store.ts";
import { claimDataDir, DataDirTaken } from "../embedded/data-dir.file.ts";
import { startPostgres } from "../embedded/postgres.process.ts";
import type { Config } from "../ops/config.file.ts";
import { Said } from "./said.ts";

/** For commands that read for long: a day. */
const ANSWER_MS = 24 * 60 * 60 * 1000;

/** Opens the service's database as the service does, for a command: that of DATABASE_URL, or the embedded one, whether or not a service runs on it. */
export async function withDatabase<T>({ databaseUrl, dataDir }: Config, use: (db: Db) => Promise<T>): Promise<T> {
  const embedded = databaseUrl === null ? await openEmbedded(dataDir) : null;
  return using(databaseUrl ?? embedded?.url ?? "", "signalbox", embedded, use);
}

/** The same as the tables' owner: that of DATABASE_OWNER_URL, or the embedded one. */
export async function withOwner<T>({ databaseUrl, databaseOwnerUrl, dataDir }: Config, use: (db: Db) => Promise<T>): Promise<T> {
  if (databaseUrl !== null && databaseOwnerUrl === null) throw new Said("DATABASE_OWNER_URL is not set: this is done by the database's owner.", 2);
  const embedded = databaseOwnerUrl === null ? await openEmbedded(dataDir) : null;
  return using(databaseOwnerUrl ?? embedded?.ownerUrl ?? "", "signalbox retention", embedded, use);
}

async function using<T>(url: string, applicationName: string, embedded: { stop(): Promise<void> } | null, use: (db: Db) => Promise<T>): Promise<T> {
  const { db, close } = openDatabase(url, { max: 1, applicationName, answerMs: ANSWER_MS });
  try {
    await assertMigrated(db);
    return await use(db);
  } finally {
    await close();
    await embedded?.stop();
  }
}

/** A running one is left running. */
async function openEmbedded(dataDir: string): Promise<{ readonly url: string; readonly ownerUrl: string; stop(): Promise<void> }> {
  if (!existsSync(join(dataDir, "postgres", "data", "PG_VERSION")))
    throw new Said(`There is no embedded database in ${dataDir}. Set DATABASE_URL, or DATA_DIR to where it is.`, 2);
  const claim = claimed(dataDir);
  try {
    const postgres = await startPostgres({ dataDir });
    return {
      url: postgres.runtimeUrl,
      ownerUrl: postgres.ownerUrl,
      async stop() {
        if (claim === null) return;
        await postgres.stop();
        claim.release();
      },
    };
  } catch (error) {
    claim?.release();
    throw error;
  }
}

function claimed(dataDir: string): { release(): void } | null {
  try {
    return claimDataDir(dataDir);
  } catch (error) {
    if (error instanceof DataDirTaken) return null;
    throw error;
  }
}
