import { pbkdf2Sync, randomBytes, timingSafeEqual } from "node:crypto";

// Passwords of parties at the broker, made here and shown once: 256 bits of chance. What is kept is a verifier in the form that mosquitto 2 reads in its password_file.

/** mosquitto's own number. It stretches nothing: there is nothing to guess in 256 bits, and the broker checks passwords on its only thread. */
const ITERATIONS = 101;
/** mosquitto 2.0 reads salts of this length alone. */
const SALT_BYTES = 12;
const HASH_BYTES = 64;

export interface Issued {
  /** Shown once, and kept nowhere. */
  readonly password: string;
  /** `$7$…`: PBKDF2 with SHA-512. */
  readonly verifier: string;
}

export function issueCredential(random: (bytes: number) => Buffer = randomBytes): Issued {
  const password = random(32).toString("base64url");
  return { password, verifier: verifierOf(password, random(SALT_BYTES)) };
}

export function verifierOf(password: string, salt: Buffer): string {
  return `$7$${ITERATIONS}$${salt.toString("base64")}$${pbkdf2Sync(password, salt, ITERATIONS, HASH_BYTES, "sha512").toString("base64")}`;
}

/** Whether a password is the one of which a verifier was made. What is no verifier fits none. */
export function fits(verifier: string, password: Uint8Array): boolean {
  const [, iterations, salt, hash] = /^\$7\$([1-9]\d{0,6})\$([A-Za-z0-9+/]+=*)\$([A-Za-z0-9+/]+=*)$/.exec(verifier) ?? [];
  if (iterations === undefined || salt === undefined || hash === undefined) return false;
  const wanted = Buffer.from(hash, "base64");
  return timingSafeEqual(pbkdf2Sync(password, Buffer.from(salt, "base64"), Number(iterations), wanted.length, "sha512"), wanted);
}

/** A party in force, and what its password is held against; null: nothing was issued to it, or it has a certificate. */
export interface Held {
  readonly party: string;
  readonly verifier: string | null;
}

/**
 * What each user's password is held against; null: none is let in. A user of several sites has the rights of all of them, so its credential is one that was issued for all of them: the same verifier,
 * whose salt nobody chooses. Where they differ, a site has not agreed, and whoever was issued one of them would have the rights of the others.
 */
export function verifiersByUser(parties: readonly Held[]): ReadonlyMap<string, string | null> {
  const users = new Map<string, string | null>();
  for (const { party, verifier } of parties) users.set(party, !users.has(party) || users.get(party) === verifier ? verifier : null);
  return users;
}

/** The lines of mosquitto's password_file, in order of names. */
export function mosquittoPasswords(parties: readonly Held[]): string {
  return [...verifiersByUser(parties)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([party, verifier]) => (verifier === null ? "" : `${party}:${verifier}\n`))
    .join("");
}
