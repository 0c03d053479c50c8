import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { disk } from "../../../src/audit/disk.file.ts";
import { openNote, signNote } from "../../../src/audit/note.ts";
import { parseVerifierKey } from "../../../src/audit/note-key.ts";
import { loadSigningKey, NoSigningKey, verifierKeyPath } from "../../../src/audit/signer-key.file.ts";
import { memoryDisk, Power, PowerCut, powered } from "../../support/power.ts";

const home = mkdtempSync(join(tmpdir(), "signalbox-key-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const NAME = "signalbox/rtm1";

test("a key that is not there is made only when that is asked, for its owner's eyes alone, with its public half beside it", async () => {
  const path = join(home, "made", "signer.pem");
  await expect(loadSigningKey(disk, path, NAME, false)).rejects.toThrow(NoSigningKey);
  const made = await loadSigningKey(disk, path, NAME, true);
  expect(statSync(path).mode & 0o777).toBe(0o400);
  expect(verifierKeyPath(path)).toBe(join(home, "made", "signer.vkey"));
  expect(readFileSync(verifierKeyPath(path), "utf8")).toBe(`${made.verifier.text}\n`);

  for (const make of [true, false]) expect((await loadSigningKey(disk, path, NAME, make)).verifier.text).toBe(made.verifier.text);
  const published = parseVerifierKey(readFileSync(verifierKeyPath(path), "utf8").trimEnd());
  if (typeof published === "string") throw new Error(published);
  expect(openNote(Buffer.from(signNote("text\n", [made])), [published]).kind).toBe("opened");
});

test("a key that is put where another was gets a public half of its own; a text that is no key is refused", async () => {
  const path = join(home, "exchanged.pem");
  const first = await loadSigningKey(disk, path, NAME, true);
  chmodSync(path, 0o600);
  const other = join(home, "other.pem");
  await loadSigningKey(disk, other, NAME, true);
  writeFileSync(path, readFileSync(other));
  const second = await loadSigningKey(disk, path, NAME, false);
  expect(second.verifier.text).not.toBe(first.verifier.text);
  expect(readFileSync(verifierKeyPath(path), "utf8")).toBe(`${second.verifier.text}\n`);
  writeFileSync(path, "no key");
  await expect(loadSigningKey(disk, path, NAME, true)).rejects.toThrow();
  expect(readFileSync(path, "utf8")).toBe("no key");
});

test("wherever the power fails while a key is made, there is a whole one or none", async () => {
  for (let writes = 0; writes < 2; writes += 1) {
    const memory = memoryDisk();
    await expect(loadSigningKey(powered(memory, new Power(writes, "half")), "/key.pem", NAME, true)).rejects.toThrow(PowerCut);
    const key = await loadSigningKey(memory, "/key.pem", NAME, true);
    expect(memory.files.get("/key.vkey")?.toString()).toBe(`${key.verifier.text}\n`);
  }
});
