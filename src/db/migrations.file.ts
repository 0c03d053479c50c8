import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Migration {
  readonly number: number;
  /** The file's name, `0001_record.sql`. */
  readonly name: string;
  readonly sql: string;
  readonly sha256: string;
}

/** The migrations that this version ships, from `src/db` and from `dist/db` alike. */
export const shippedMigrations = fileURLToPath(new URL("../../migrations/", import.meta.url));

/** All migrations of a directory in order. Throws when their numbers are not 1, 2, 3 …: then the order would be a matter of opinion. */
export async function readMigrations(directory: string): Promise<readonly Migration[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(".sql")).sort();
  const migrations: Migration[] = [];
  for (const name of names) {
    const number = Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(name)?.[1] ?? Number.NaN);
    if (!(number >= 1)) throw new MigrationRefused(`${name} in ${directory} is not named like 0001_what_it_does.sql. Rename it.`);
    if (number !== migrations.length + 1) {
      const expected = String(migrations.length + 1).padStart(4, "0");
      throw new MigrationRefused(
        `After ${migrations.at(-1)?.name ?? "nothing"} a migration ${expected} is expected in ${directory}, and ${name} was found. Number migrations 0001, 0002, … without holes or doubles.`,
      );
    }
    // A checkout on Windows may have other line ends; it is the same migration.
    const sql = (await readFile(join(directory, name), "utf8")).replaceAll("\r\n", "\n");
    migrations.push({ number, name, sql, sha256: createHash("sha256").update(sql).digest("hex") });
  }
  if (migrations.length === 0) throw new MigrationRefused(`No migration was found in ${directory}. The installation is incomplete: install it again.`);
  return migrations;
}

/** Nothing was changed, and a person has to do what the message says. */
export class MigrationRefused extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "MigrationRefused";
  }
}
