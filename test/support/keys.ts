import { createPrivateKey } from "node:crypto";
import { type SigningKey, signingKey } from "../../src/audit/note-key.ts";

/** The key whose 32 secret bytes are these (RFC 8410 section 7 puts the same 16 bytes before each of them). */
export function keyOf(name: string, secret: Buffer): SigningKey {
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), secret]);
  return signingKey(name, createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
}

/** A key that is the same in every run. */
export const testKey = (name: string, number = 1): SigningKey => keyOf(name, Buffer.alloc(32, number));
