import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { signCheckpoint } from "../../../src/audit/checkpoint.ts";
import { disk } from "../../../src/audit/disk.file.ts";
import { leafHash, nodeHash } from "../../../src/audit/hash.ts";
import { loadSigningKey } from "../../../src/audit/signer-key.file.ts";
import { testKey } from "../../support/keys.ts";
import { measured } from "../../support/measure.ts";
import { describeWith, findCommand } from "../../support/needs.ts";

// Promise: nobody needs this programme to check what it says: `openssl` verifies a checkpoint, and `sha256sum` gives the same hashes.
// Attack: the real commands.

const home = mkdtempSync(join(tmpdir(), "signalbox-tools-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

// -rawin, without which openssl verifies no Ed25519, came with 3.0
const openssl = findCommand("openssl", (command) => /^OpenSSL ([3-9]|[1-9][0-9])\./.test(spawnSync(command, ["version"], { encoding: "utf8" }).stdout ?? ""));
const sha256sum = findCommand("sha256sum");

function run(command: string | null, args: readonly string[], input?: Buffer): { readonly status: number | null; readonly stdout: Buffer } {
  const { status, stdout, error } = spawnSync(command ?? "", args, { input });
  if (error !== undefined) throw error;
  return { status, stdout };
}

const inHome = (name: string, bytes: string | Buffer): string => {
  const path = join(home, name);
  writeFileSync(path, bytes);
  return path;
};

const key = testKey("signalbox/rtm1");
/** The 32 bytes of a verifier key, by hand: behind the second plus, without the first byte. */
const rawOf = (text: string): Buffer => Buffer.from(text.split("+").slice(2).join("+"), "base64").subarray(1);

describeWith({ sha256sum }, "sha256sum", () => {
  const sum = (bytes: Buffer): string => run(sha256sum, [], bytes).stdout.toString().slice(0, 64);

  test("gives the hashes of leaves and nodes", () => {
    for (const entry of [Buffer.alloc(0), Buffer.from("zwölf\n"), Buffer.alloc(16_384, 1), Buffer.alloc(70_000, 2), Buffer.from("short again")])
      expect(leafHash(entry).toString("hex")).toBe(sum(Buffer.concat([Buffer.of(0), entry])));
    const [left, right] = [leafHash(Buffer.from("left")), leafHash(Buffer.from("right"))];
    expect(nodeHash(left, right).toString("hex")).toBe(sum(Buffer.concat([Buffer.of(1), left, right])));
  });

  test("gives the id of a key", () => {
    expect(sum(Buffer.concat([Buffer.from("signalbox/rtm1\n"), Buffer.of(1), rawOf(key.verifier.text)])).slice(0, 8)).toBe(key.verifier.id);
  });
});

describeWith({ "openssl 3": openssl }, "openssl", () => {
  test("verifies a checkpoint by the verifier key, and not one with another size", () => {
    const note = signCheckpoint({ origin: "signalbox/rtm1/1", size: 1207, root: leafHash(Buffer.from("anything")), extensions: [] }, [key]);
    // by hand: the text is all to before the last blank line; a signature is what is behind the four bytes of the key's id
    const text = note.slice(0, note.lastIndexOf("\n\n") + 1);
    const signature = inHome("signature", Buffer.from(note.trimEnd().split(" ").at(-1) ?? "", "base64").subarray(4));
    // RFC 8410: twelve bytes make the 32 of the key a public key that openssl reads
    const publicKey = inHome("key.der", Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), rawOf(key.verifier.text)]));
    const verify = (signed: string): { readonly status: number | null; readonly stdout: Buffer } =>
      run(openssl, ["pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", publicKey, "-sigfile", signature, "-in", inHome("text", signed)]);
    const verified = verify(text);
    expect(verified.status).toBe(0);
    expect(verified.stdout.toString()).toContain("Signature Verified Successfully");
    expect(verify(text.replace("1207", "1208")).status).not.toBe(0);
    measured("openssl", "a checkpoint is verified, one with another size is not");
  });

  test("reads a key that we made, and we read one that it made", async () => {
    const theirs = join(home, "theirs.pem");
    expect(run(openssl, ["genpkey", "-algorithm", "ed25519", "-out", theirs]).status).toBe(0);
    const ours = join(home, "ours.pem");
    await loadSigningKey(disk, ours, "signalbox/rtm1", true);
    for (const path of [theirs, ours]) {
      const { verifier } = await loadSigningKey(disk, path, "signalbox/rtm1", false);
      const { status, stdout } = run(openssl, ["pkey", "-in", path, "-pubout", "-outform", "DER"]);
      expect(status).toBe(0);
      expect(stdout.subarray(-32)).toEqual(rawOf(verifier.text));
    }
  });
});
