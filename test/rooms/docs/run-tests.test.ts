// `npm test` ends with the truth: what passed, what failed, what did not run and why; and where everything has to run, what did not is a failure.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../../..");
const home = mkdtempSync(join(tmpdir(), "signalbox-run-tests-"));
symlinkSync(join(root, "node_modules"), join(home, "node_modules"));
writeFileSync(join(home, "package.json"), `{ "type": "module" }`);
afterAll(() => rmSync(home, { recursive: true, force: true }));

function run(
  name: string,
  text: string,
  env: Readonly<Record<string, string>> = {},
  config = `{ test: { include: ["${name}.case.ts"] } }`,
): Promise<{ readonly code: number | null; readonly lines: readonly string[] }> {
  writeFileSync(join(home, `${name}.case.ts`), `import { describe, expect, test } from "vitest";\n${text}`);
  writeFileSync(join(home, `${name}.config.ts`), `export default ${config};`);
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [join(root, "test/support/run-tests.mjs"), "--root", home, "--config", join(home, `${name}.config.ts`)], {
      env: { ...process.env, REQUIRE_MOSQUITTO: "", SEED: "7", ...env },
      stdio: ["ignore", "pipe", "ignore"],
    });
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.once("error", failed);
    child.once("close", (code) => done({ code, lines: out.trimEnd().split("\n") }));
  });
}

const passing = `test("adds up", () => expect(1 + 1).toBe(2));`;
const FOR_EVER = "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)";
const lacking = `${passing}
describe.runIf(false)("the broker (did not run: no mosquitto is installed)", () => { test("keeps a session", () => {}); test("drops", () => {}); });
test("python speaks", (task) => task.skip("no python3-paho"));`;

describe("npm test", () => {
  test("ends with one plain line, and exit 0, when everything ran and passed", async () => {
    const { code, lines } = await run("passing", passing);
    expect(lines.slice(-3)).toEqual(["Everything ran.", "Seed 7; SEED=7 npm test repeats it.", "1 passed, 0 failed"]);
    expect(code).toBe(0);
  });

  test("names what failed, and exits 1", async () => {
    const { code, lines } = await run("failing", `${passing}\ndescribe("a sum", () => { test("is wrong", () => expect(1 + 1).toBe(3)); });`, { NO_COLOR: "1" });
    expect(lines).toContain("  failing.case.ts > a sum > is wrong");
    expect(lines.at(-1)).toBe("1 passed, 1 failed");
    expect(code).toBe(1);
  });

  test("counts a file that cannot be loaded as a failure", async () => {
    const { code, lines } = await run("broken", `${passing}\nthrow new Error("broken at the door");`);
    expect(lines).toContain("  broken.case.ts");
    expect(lines.at(-1)).toBe("0 passed, 1 failed");
    expect(code).toBe(1);
  });

  test("names every suite and test that did not run, with the reason, and exits 0 all the same", async () => {
    const { code, lines } = await run("lacking", lacking);
    expect(lines.slice(-5)).toEqual([
      "Did not run:",
      "  lacking.case.ts > the broker: no mosquitto is installed",
      "  lacking.case.ts > python speaks: no python3-paho",
      "Seed 7; SEED=7 npm test repeats it.",
      "1 passed, 0 failed",
    ]);
    expect(code).toBe(0);
  });

  test("fails for what did not run where everything has to", async () => {
    const { code, lines } = await run("required", lacking, { REQUIRE_MOSQUITTO: "1" });
    expect(lines.at(-1)).toBe("1 passed, 2 failed");
    expect(code).toBe(1);
  });

  test("is ended where a file blocks its process for good, names it, and exits 1", async () => {
    const { code, lines } = await run("blocked", `test("waits", () => void ${FOR_EVER});`, { TESTS_SILENT_FOR: "10" });
    expect(lines).toContain("  nothing was heard for 10 s; not at their end were blocked.case.ts");
    expect(lines.at(-1)).toBe("0 passed, 1 failed");
    expect(code).toBe(1);
  }, 60_000);

  test("is ended where the runner hangs at its own exit, and has said what it found", async () => {
    writeFileSync(join(home, "teardown.ts"), `export const teardown = () => void ${FOR_EVER};`);
    const config = `{ test: { include: ["exit.case.ts"], globalSetup: ["teardown.ts"] } }`;
    const { code, lines } = await run("exit", passing, { TESTS_TO_END: "1" }, config);
    expect(lines).toContain("The tests were ended: the test runner had its summary written, and did not end.");
    expect(lines.at(-1)).toBe("1 passed, 0 failed");
    expect(code).toBe(0);
  });
});
