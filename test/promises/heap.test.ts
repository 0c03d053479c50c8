// Promise: the service runs with the heap that it is meant to have, however it is started, and who chose another keeps it. Attack: start it plainly, with arguments, with options of Node and of the environment.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { repository } from "../support/repository.ts";

const WANTED = ["--max-semi-space-size=3", "--heap-growing-percent=90"];
/** Whether this Node can put a process in the place of another. */
const REPLACES = "execve" in process && process.platform !== "win32";
let home: string;
let program: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "signalbox-heap-"));
  program = join(home, "program.mjs");
  const heap = pathToFileURL(join(repository(), "dist/cli/heap.process.js")).href;
  writeFileSync(
    program,
    `import { runWith } from ${JSON.stringify(heap)};
     runWith(${JSON.stringify(WANTED)}, process.env);
     console.log(JSON.stringify({ pid: process.pid, node: process.execArgv, args: process.argv.slice(2), said: process.env["SAID"] }));
     process.stdin.on("data", (text) => console.log(String(text)));`,
  );
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

interface Ran {
  readonly pid: number;
  readonly node: readonly string[];
  readonly args: readonly string[];
  readonly said: string;
}

/** Runs it, says something to it, and gives what it told of itself, the process that was started, and what it answered. */
async function ran(node: readonly string[], settings: Readonly<Record<string, string>> = {}): Promise<{ told: Ran; pid: number | undefined; rest: string }> {
  const child = spawn(process.execPath, [...node, program, "serve", "--json"], {
    env: { PATH: process.env["PATH"], SAID: "in the environment", ...settings },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stdin.end("hello");
  const exit = await new Promise((resolve) => child.once("close", resolve));
  expect(exit).toBe(0);
  const [told = "", ...rest] = out.trimEnd().split("\n");
  return { told: JSON.parse(told), pid: child.pid, rest: rest.join("\n") };
}

/** What is added in front of the options of its start: nothing where Node goes on as it is. */
const added = (...options: readonly (string | undefined)[]) => (REPLACES ? options : []);

describe("a process that is to run with options of Node", () => {
  test("has them from its beginning where Node can, and is the same process with the same arguments, environment and streams", async () => {
    const { told, pid, rest } = await ran(["--stack-trace-limit=7"]);
    expect(told).toEqual({ pid, node: [...added(...WANTED), "--stack-trace-limit=7"], args: ["serve", "--json"], said: "in the environment" });
    expect(rest).toBe("hello");
  });

  test("keeps what somebody chose, as an option or in the environment, however it is written", async () => {
    expect((await ran(["--max_semi_space_size=5"])).told.node).toEqual([...added(WANTED[1]), "--max_semi_space_size=5"]);
    expect((await ran(["--heap-growing-percent=40"], { NODE_OPTIONS: "--max-semi-space-size=5" })).told.node).toEqual(["--heap-growing-percent=40"]);
  });
});
