import { writeFileSync } from "node:fs";
import type { Reporter, SerializedError, TestCase, TestModule, TestSuite } from "vitest/node";

/** What a run of the tests came to, as `run-tests.mjs` reads it. */
export interface Summary {
  readonly passed: number;
  readonly failed: number;
  /** Names of what failed, and of files that could not even be loaded. */
  readonly failures: readonly string[];
  /** Suites and tests that did not run, as high up as the reason reaches, and why. */
  readonly notRun: readonly { readonly name: string; readonly why: string }[];
}

// A suite that needs something which this machine lacks says so in its name, or in the note with which a test skips itself.
const reason = /\(did not run: ([^)]*)\)/;

/**
 * Writes the summary of a run as JSON to the file that `SIGNALBOX_TEST_SUMMARY` names, and until then, whenever something is heard of the run, the names of the files under way to the one that
 * `SIGNALBOX_TESTS_UNDER_WAY` names. Beside another reporter: this one prints nothing.
 */
export default class implements Reporter {
  readonly #underWay = new Set<string>();

  onTestModuleQueued(module: TestModule): void {
    this.#underWay.add(module.relativeModuleId);
    this.#heard();
  }

  onTestCaseResult(): void {
    this.#heard();
  }

  onTestModuleEnd(module: TestModule): void {
    this.#underWay.delete(module.relativeModuleId);
    this.#heard();
  }

  #heard(): void {
    const file = process.env["SIGNALBOX_TESTS_UNDER_WAY"];
    if (file !== undefined) writeFileSync(file, JSON.stringify([...this.#underWay]));
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const file = process.env["SIGNALBOX_TEST_SUMMARY"];
    if (file !== undefined) writeFileSync(file, JSON.stringify(summaryOf(modules, unhandled)));
  }
}

function summaryOf(modules: readonly TestModule[], unhandled: readonly SerializedError[]): Summary {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const failed = tests.filter((test) => test.result().state === "failed");
  const broken = modules.flatMap((module) => [module, ...module.children.allSuites()]).filter((part) => part.errors().length > 0);
  return {
    passed: tests.filter((test) => test.result().state === "passed").length,
    failed: failed.length + broken.length + unhandled.length,
    failures: [...failed.map(named), ...broken.map(named), ...unhandled.map((error) => `outside any test: ${error.message}`)],
    notRun: modules.flatMap((module) => notRunIn(module, named(module))),
  };
}

/** Where nothing below a suite ran, the suite is named once; otherwise each test that did not. */
function notRunIn(part: TestModule | TestSuite, name: string): Summary["notRun"][number][] {
  const tests = [...part.children.allTests()];
  const left = tests.filter((test) => test.result().state !== "passed" && test.result().state !== "failed");
  if (tests.length > 0 && left.length === tests.length && (part.type === "suite" || part.children.size > 1))
    return [{ name: plain(name), why: whyOf(name, left) }];
  return [...part.children].flatMap((child) => {
    if (child.type === "suite") return notRunIn(child, named(child));
    return left.includes(child) ? [{ name: plain(named(child)), why: whyOf(named(child), [child]) }] : [];
  });
}

function whyOf(name: string, tests: readonly TestCase[]): string {
  for (const text of [name, ...tests.map((test) => test.fullName)]) {
    const said = reason.exec(text)?.[1];
    if (said !== undefined) return said;
  }
  for (const test of tests) {
    const result = test.result();
    if (result.state === "skipped" && result.note !== undefined) return result.note;
  }
  return "skipped without a reason";
}

const plain = (name: string): string => name.replace(reason, "").trim();

function named(part: TestModule | TestSuite | TestCase): string {
  return part.type === "module" ? part.relativeModuleId : `${part.module.relativeModuleId} > ${part.fullName}`;
}
