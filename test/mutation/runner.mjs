// Runs the tests against mutants inside one warm process. Stryker's own vitest runner starts a new thread for every mutant, which loads all modules anew and runs them
// cold: about three seconds of a processor for each of some four thousand mutants. Here the modules are loaded once, the mutant is a switch that Stryker flips, and the
// tests that cover it run until one fails, first those that are quick and have killed many. That is sound because the rooms under test keep no state of their own between calls, and
// what a test keeps it makes itself; a mutant in code that runs only while a module is loaded is not tried (`ignoreStatic`).
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { declareClassPlugin, declareValuePlugin, PluginKind } from "@stryker-mutator/api/plugin";
import { DryRunStatus, determineHitLimitReached, TestStatus, toMutantRunResult } from "@stryker-mutator/api/test-runner";
import fc from "fast-check";
import { expect } from "vitest";
import { createViteServer } from "vitest/node";

// earlier rooms know nothing of these, so their tests cannot reach them
const FOLDERS = ["test/rooms/sequence", "test/rooms/authorise", "test/rooms/decide", "test/rooms/commit", "test/machines"];
/**
 * Tests that move thousands of events, or try a property on hundreds of lines: together three quarters of the time, and what they alone would find is rare. Left out
 * unless all are asked for (`npm run mutation -- --all`); leaving tests out can only lower the score.
 */
const SLOW = [
  "test/rooms/decide/order.test.ts#",
  "test/rooms/decide/hostile.test.ts#",
  "test/rooms/decide/not-yet.test.ts#more deferred events than one commit judges again",
  "test/rooms/decide/not-yet.test.ts#a source has only so many deferred events",
  "test/rooms/decide/gaps.test.ts#a source with too much waiting",
  "test/rooms/decide/gaps.test.ts#an early event > of more than a slice",
  "test/rooms/decide/gaps.test.ts#what restricts > gets through when the room for waiting is used up",
];
const COLLECT = fileURLToPath(new URL("./collect.mjs", import.meta.url));

class WarmRunner {
  #root = process.cwd();
  #server;
  #tests = new Map();

  capabilities() {
    // Stryker asks for a fresh environment where a mutant is also reached while modules are loaded; they are loaded before any mutant is switched on, so theirs is fresh
    return { reloadEnvironment: true };
  }

  async init() {
    process.env.PROPERTY_RUNS = "6";
    // the same cases for every mutant; a failure is enough, its smallest form is of no interest here
    fc.configureGlobal({ seed: 20_261_125, endOnFailure: true });
    globalThis.__stryker__ ??= {};
    this.#server = await createViteServer({
      configFile: false,
      root: this.#root,
      appType: "custom",
      logLevel: "error",
      cacheDir: join(this.#root, ".vite"),
      server: { middlewareMode: true, hmr: false, ws: false, watch: null },
      optimizeDeps: { noDiscovery: true },
      resolve: {
        alias: [{ find: /^vitest$/, replacement: COLLECT }],
      },
    });
    const { collected, expectWith } = await this.#server.ssrLoadModule(COLLECT);
    expectWith(expect);
    for (const folder of FOLDERS) {
      const files = readdirSync(join(this.#root, folder)).filter((name) => name.endsWith(".test.ts"));
      for (const file of files.map((name) => join(this.#root, folder, name))) {
        await this.#server.ssrLoadModule(file);
        for (const { name, body } of collected.splice(0)) {
          const id = `${relative(this.#root, file)}#${name}`;
          if (process.env.MUTATION_ALL !== "1" && SLOW.some((slow) => id.startsWith(slow))) continue;
          this.#tests.set(id, { id, name, fileName: file, body, ms: 0, kills: 0 });
        }
      }
    }
  }

  async dryRun() {
    const ns = globalThis.__stryker__;
    ns.activeMutant = undefined;
    const tests = [];
    for (const test of this.#tests.values()) {
      ns.currentTestId = test.id;
      tests.push(await run(test));
    }
    ns.currentTestId = undefined;
    return { status: DryRunStatus.Complete, tests, mutantCoverage: ns.mutantCoverage };
  }

  async mutantRun({ activeMutant, testFilter, hitLimit }) {
    const ns = globalThis.__stryker__;
    // first what is quick and has killed many before
    const wanted = (testFilter ?? [...this.#tests.keys()])
      .flatMap((id) => this.#tests.get(id) ?? [])
      .sort((a, b) => a.ms / (1 + a.kills) - b.ms / (1 + b.kills));
    Object.assign(ns, { activeMutant: activeMutant.id, hitLimit, hitCount: 0 });
    const tests = [];
    try {
      for (const test of wanted) {
        const result = await run(test);
        tests.push(result);
        const loops = determineHitLimitReached(ns.hitCount, hitLimit);
        if (loops !== undefined) return toMutantRunResult(loops);
        if (result.status === TestStatus.Failed) {
          test.kills += 1;
          break;
        }
      }
      return toMutantRunResult({ status: DryRunStatus.Complete, tests });
    } finally {
      ns.activeMutant = undefined;
    }
  }

  async dispose() {
    await this.#server?.close();
  }
}

async function run(test) {
  const { id, name, fileName, body } = test;
  const began = performance.now();
  try {
    await body();
    test.ms = performance.now() - began;
    return { id, name, fileName, timeSpentMs: test.ms, status: TestStatus.Success };
  } catch (error) {
    return { id, name, fileName, timeSpentMs: performance.now() - began, status: TestStatus.Failed, failureMessage: String(error?.message ?? error) };
  }
}

/**
 * What is no logic of these rooms: the text of a statement in SQL, which the tests on a real Postgres hold (test/promises), and what an error of the service's own says to
 * whoever reads its log. Sentences that go on record are not left alone.
 */
const wording = {
  shouldIgnore(path) {
    if (path.isTemplateLiteral() && path.parentPath.isTaggedTemplateExpression()) return "the text of a statement in SQL";
    if ((path.isTemplateLiteral() || path.isStringLiteral()) && path.parentPath.isNewExpression() && path.parent.callee.name === "Error")
      return "what an error says to whoever reads the log";
    return undefined;
  },
};

export const strykerPlugins = [declareClassPlugin(PluginKind.TestRunner, "warm", WarmRunner), declareValuePlugin(PluginKind.Ignore, "wording", wording)];
