import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import type { Disk } from "./disk.file.ts";
import type { KeyRing } from "./key-ring.ts";
import { parseVerifierKey, type SigningKey, signingKey } from "./note-key.ts";

/** There is no private key at a path, and none was to be made. */
export class NoSigningKey extends Error {}

/** The public half of a key, beside the private one: `signer.pem` has `signer.vkey`, one line, to be handed to whoever verifies. */
export const verifierKeyPath = (path: string): string => `${path.replace(/\.pem$/, "")}.vkey`;

/**
 * Reads a signer's private key (Ed25519, PKCS #8 in PEM) under the name that it signs with. With `make`, a key is made where there is none, readable by its owner alone. Throws
 * NoSigningKey when there is none, and a RangeError when it is not Ed25519 or the name may not be one.
 */
export async function loadSigningKey(disk: Disk, path: string, name: string, make: boolean): Promise<SigningKey> {
  const bytes = await disk.size(path);
  if (bytes === null && !make) throw new NoSigningKey(`there is no key of the signer at ${path}`);
  const key = bytes === null ? await makeKey(disk, path, name) : signingKey(name, createPrivateKey(await disk.read(path, 0, bytes)));
  const line = Buffer.from(`${key.verifier.text}\n`);
  // a key that is put where another was gets a public half of its own
  if (!(await disk.read(verifierKeyPath(path), 0, line.length + 1)).equals(line)) await disk.replace(verifierKeyPath(path), line);
  return key;
}

/** Which of a signer's keys a file holds: `signer.pem` the first, `signer-2.pem` the second, …; null: none. */
function numberOf(file: string): number | null {
  if (file === FIRST) return 1;
  const [, number] = /^signer-([1-9][0-9]{0,5})\.pem$/.exec(file) ?? [];
  return number === undefined || number === "1" ? null : Number(number);
}

const FIRST = "signer.pem";
const keyFile = (number: number): string => (number === 1 ? FIRST : `signer-${number}.pem`);

async function numbersIn(disk: Disk, folder: string): Promise<readonly number[]> {
  return (await disk.names(folder)).flatMap((name) => numberOf(name) ?? []).sort((one, other) => one - other);
}

export interface SignerKeys {
  /** In the order in which they sign. */
  readonly keys: readonly [SigningKey, ...SigningKey[]];
  /** The first key that the signer ever had, whether or not its private half is still there. */
  readonly trust: KeyRing;
}

/**
 * A signer's keys, out of its folder. The first is made where there is none at all. The private half of one that signs no more may be taken away; its public half stays, since the
 * first notes are by it.
 */
export async function loadSigningKeys(disk: Disk, folder: string, name: string): Promise<SignerKeys> {
  const [first = 1, ...more] = await numbersIn(disk, folder);
  const load = (number: number): Promise<SigningKey> => loadSigningKey(disk, join(folder, keyFile(number)), name, number === 1);
  const keys: [SigningKey, ...SigningKey[]] = [await load(first)];
  for (const number of more) keys.push(await load(number));
  const kept = parseVerifierKey((await disk.read(join(folder, verifierKeyPath(FIRST)), 0, MOST_OF_A_KEY)).toString().trimEnd());
  return { keys, trust: [typeof kept === "string" ? keys[0].verifier : kept] };
}

const MOST_OF_A_KEY = 1_024;

/** Makes the key that is to sign next, behind all that there are; null: the signer has none yet. */
export async function makeNextKey(disk: Disk, folder: string, name: string): Promise<{ readonly path: string; readonly key: SigningKey } | null> {
  const last = (await numbersIn(disk, folder)).at(-1);
  if (last === undefined) return null;
  const path = join(folder, keyFile(last + 1));
  return { path, key: await loadSigningKey(disk, path, name, true) };
}

async function makeKey(disk: Disk, path: string, name: string): Promise<SigningKey> {
  const { privateKey } = generateKeyPairSync("ed25519");
  const key = signingKey(name, privateKey);
  await disk.replace(path, Buffer.from(privateKey.export({ format: "pem", type: "pkcs8" })), 0o400);
  return key;
}
