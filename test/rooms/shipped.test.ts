// Promise: nothing that is shipped can weaken a promise. Attack: look in the built files for the names of failpoints, variants and simulated parts, and for anything of the tests.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, expect, test } from "vitest";
import { repository } from "../support/repository.ts";

const WORDS = [
  /failpoint/i,
  /\bFAILPOINT_/,
  /\bVARIANT\b/,
  /\bSimProcess\b|\bSimBroker\b|\bSimDatabase\b/,
  /["']C(?:[0-9]|1[0-9])["']/,
  /test\/(?:faults|support)/,
  /module\.register|registerHooks/,
];

let built: string;
const files = (): string[] => readdirSync(built, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".js"));

beforeAll(() => {
  built = mkdtempSync(join(tmpdir(), "signalbox-shipped-"));
  const root = repository();
  const config = ts.getParsedCommandLineOfConfigFile(
    join(root, "tsconfig.build.json"),
    { outDir: built, incremental: false, noCheck: true },
    { ...ts.sys, onUnRecoverableConfigFileDiagnostic: (wrong) => expect.unreachable(ts.flattenDiagnosticMessageText(wrong.messageText, "\n")) },
  );
  if (config === undefined) throw new Error("tsconfig.build.json cannot be read");
  const { emitSkipped } = ts.createProgram(config.fileNames, config.options).emit();
  expect(emitSkipped).toBe(false);
}, 120_000);
afterAll(() => rmSync(built, { recursive: true, force: true }));

test("the whole service is there", () => {
  expect(files()).toEqual(expect.arrayContaining(["main.js", "drive.js", "pipeline.js", "shard.js", join("cli", "main.js")]));
});

test.each(WORDS.map((word) => [word]))("no built file says %s", (word) => {
  expect(files().filter((name) => word.test(readFileSync(join(built, name), "utf8")))).toEqual([]);
});

test("the same search finds them in the test's own entry point", () => {
  const entry = readFileSync(join(repository(), "test", "support", "failpoints-main.mjs"), "utf8");
  expect(WORDS.filter((word) => word.test(entry)).length).toBeGreaterThanOrEqual(3);
});
