// The layout is held by a tool, and the tool is held by this: each rule is broken once in a planted tree and must be reported, and the real tree breaks none.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";

const root = resolve(import.meta.dirname, "../..");
const depcruise = join(root, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs");

const report = z.object({ summary: z.object({ violations: z.array(z.object({ from: z.string(), to: z.string(), rule: z.object({ name: z.string() }) })) }) });

function violations(cwd: string): Promise<readonly string[]> {
  return new Promise((done, failed) => {
    execFile(
      process.execPath,
      [depcruise, "src", "--config", join(root, ".dependency-cruiser.cjs"), "--preserve-symlinks", "--output-type", "json"],
      { cwd, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout) => {
        if (stdout === "") failed(error ?? new Error("dependency-cruiser said nothing"));
        else
          done(
            report
              .parse(JSON.parse(stdout))
              .summary.violations.map(({ from, to, rule }) => `${rule.name}: ${from} → ${to.replace(/^node_modules\/((@[^/]+\/)?[^/]+).*/, "$1")}`),
          );
      },
    );
  });
}

/** A file, what it imports, and the rule that must say no; null: nothing may be said. */
const planted: readonly (readonly [file: string, imports: string, rule: string | null])[] = [
  ["src/sequence/looks-ahead.ts", `import { settle } from "../decide/settle.ts";`, "room-sequence-before-later-rooms"],
  ["src/decode/looks-far-ahead.ts", `import type { Relay } from "../publish/relay.ts";`, "room-decode-before-later-rooms"],
  ["src/decide/looks-back.ts", `import type { Event } from "../decode/event.ts";`, null],
  ["src/registry/knows-the-flow.ts", `import type { Event } from "../decode/event.ts";`, "ground-rooms-know-no-flow"],
  ["src/replay/knows-the-route.ts", `import { settle } from "../decide/settle.ts";`, null],
  ["src/decide/knows-what-comes-of-it.ts", `import type { Replay } from "../replay/replay.ts";`, "the-route-knows-no-replay"],
  ["src/replay/asks-the-world.ts", `import { readWorld } from "../decide/world.store.ts";`, "pure-files-touch-nothing"],
  ["src/decide/serves.ts", `import { serve } from "../api/server.http.ts";`, "entry-points-are-not-imported"],
  ["src/api/asks-the-command-line.ts", `import { main } from "../cli/main.ts";`, "entry-api-stands-alone"],
  ["src/commit/turns-round.ts", `import { route } from "../pipeline.ts";`, "joins-are-above-the-rooms"],
  ["src/ops/knows-a-type.ts", `import type { Meter } from "../drive.ts";`, null],
  ["src/api/starts-all.http.ts", `import { start } from "../main.ts";`, "main-is-started-by-the-command-line"],
  ["src/cli/serve.ts", `import { start } from "../main.ts";`, null],
  ["src/decide/speaks-sql.ts", `import { sql } from "kysely";`, "suffix-store-postgres"],
  ["src/decide/types-sql.ts", `import type { Pool } from "pg";`, "suffix-store-postgres"],
  ["src/decide/world.store.ts", `import { sql } from "kysely";`, null],
  ["src/receive/connects.ts", `import mqtt from "mqtt";`, "suffix-mqtt-broker"],
  ["src/receive/connection.mqtt.ts", `import mqtt from "mqtt";\nimport { Socket } from "node:net";`, null],
  ["src/embedded/broker-child.ts", `import { Aedes } from "aedes";`, null],
  ["src/api/listens.ts", `import fastify from "fastify";`, "suffix-http-fastify"],
  ["src/ops/health.http.ts", `import fastify from "fastify";`, "suffix-http-fastify"],
  ["src/registry/reads.ts", `import { readFile } from "node:fs/promises";`, "suffix-file-files"],
  ["src/registry/state-machines.file.ts", `import { readFile } from "node:fs/promises";`, null],
  ["src/embedded/spawns.ts", `import { spawn } from "node:child_process";`, "suffix-process-children"],
  ["src/embedded/postgres.process.ts", `import { spawn } from "node:child_process";\nimport { chmodSync } from "node:fs";`, null],
  ["src/publish/dials.ts", `import { connect } from "node:net";`, "suffix-net-sockets"],
  ["src/registry/fetches.ts", `import { get } from "node:https";`, "suffix-fetch-http"],
  ["src/commit/traces.ts", `import { trace } from "@opentelemetry/api";`, "opentelemetry-in-ops"],
  ["src/publish/logs.ts", `import { pino } from "pino";`, "pino-in-ops"],
  ["src/decide/asks-the-world.ts", `import { readWorld } from "./world.store.ts";`, "pure-files-touch-nothing"],
  ["src/decide/knows-its-type.ts", `import type { readWorld } from "./world.store.ts";`, null],
  ["src/decide/opens-it.ts", `import { openDatabase } from "../db/database.ts";`, "pure-files-open-no-database"],
  ["src/decide/left.ts", `import { right } from "./right.ts";`, "no-cycles"],
  ["src/decide/tests-itself.ts", `import { test } from "vitest";`, "no-development-tools-in-src"],
  ["src/decide/nowhere.ts", `import { nothing } from "./gone.ts";`, "resolved"],
  ["src/decide/uses-a-test.ts", `import { given } from "../../test/given.ts";`, "src-knows-no-test"],
];

/** What the planted files lead to. */
const standing: readonly (readonly [string, string])[] = [
  ["src/decide/settle.ts", ""],
  ["src/publish/relay.ts", ""],
  ["src/replay/replay.ts", ""],
  ["src/decode/event.ts", ""],
  ["src/api/server.http.ts", ""],
  ["src/cli/main.ts", ""],
  ["src/pipeline.ts", ""],
  ["src/drive.ts", ""],
  ["src/main.ts", ""],
  ["src/db/database.ts", ""],
  ["src/decide/right.ts", `import { left } from "./left.ts";`],
  ["test/given.ts", ""],
];

describe("a planted tree", () => {
  const tree = mkdtempSync(join(tmpdir(), "signalbox-rooms-"));
  let found: readonly string[] = [];
  beforeAll(async () => {
    for (const [file, text] of [...standing, ...planted.map(([file, imports]) => [file, imports] as const)]) {
      mkdirSync(dirname(join(tree, file)), { recursive: true });
      writeFileSync(join(tree, file), `${text}\nexport {};\n`);
    }
    for (const name of ["node_modules", "package.json", "tsconfig.json"]) symlinkSync(join(root, name), join(tree, name));
    found = await violations(tree);
  }, 60_000);
  afterAll(() => rmSync(tree, { recursive: true, force: true }));

  test.each(planted.filter(([, , rule]) => rule !== null))("%s (%s) breaks %s", (file, _imports, rule) => {
    expect(found.filter((line) => line.startsWith(`${rule}: ${file} →`))).not.toEqual([]);
  });

  test.each(planted.filter(([, , rule]) => rule === null))("%s (%s) breaks nothing", (file) => {
    expect(found.filter((line) => line.includes(`: ${file} →`))).toEqual([]);
  });
});

test("the source keeps to its rooms and suffixes", async () => {
  expect(await violations(root)).toEqual([]);
}, 60_000);
