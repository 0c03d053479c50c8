import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import type { Disk } from "./disk.file.ts";
import { type SigningKey, signingKey } from "./note-key.ts";

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

async function makeKey(disk: Disk, path: string, name: string): Promise<SigningKey> {
  const { privateKey } = generateKeyPairSync("ed25519");
  const key = signingKey(name, privateKey);
  await disk.replace(path, Buffer.from(privateKey.export({ format: "pem", type: "pkcs8" })), 0o400);
  return key;
}
