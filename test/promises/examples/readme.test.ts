// Promise: what README.md says to type can be typed, and what it says comes back does come back.
// Attack: take the blocks out of README.md itself and run them, word for word but for the ports, against a service with nothing in it; a block that nobody here knows is a failure.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { canStart, describeWith } from "../../support/needs.ts";
import { type Plant, startPlant } from "../../support/plant.ts";

const root = resolve(import.meta.dirname, "../../..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const { scripts, engines } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** What each fenced block is; what is run here, and what somebody else runs. */
const KINDS = {
  /** `test/show/fresh-machine.mjs` runs these, on a clean copy. */
  start: (block: Block) => block.language === "sh" && block.text.startsWith("npm ci"),
  picture: (block: Block) => block.language === "" && block.text.includes("─▶"),
  listen: (block: Block) => block.language === "sh" && block.text.includes("mosquitto_sub"),
  speak: (block: Block) => block.language === "sh" && block.text.startsWith("mosquitto_pub"),
  back: (block: Block) => block.language === "json",
  ask: (block: Block) => block.language === "sh" && block.text.startsWith("curl 'localhost:8080/v1/events?"),
};

interface Block {
  readonly language: string;
  readonly text: string;
}

const blocks: readonly Block[] = [...readme.matchAll(/^```(\w*)\n([\s\S]*?)\n```$/gm)].map(([, language = "", text = ""]) => ({ language, text }));

function the(kind: keyof typeof KINDS): string {
  const found = blocks.filter(KINDS[kind]);
  if (found.length !== 1) throw new Error(`README.md has ${found.length} blocks of the kind ${kind}`);
  return found[0]?.text ?? "";
}

describe("README.md", () => {
  test("has no block that is not known here, and each that is known once", () => {
    expect((readme.match(/^\s*(```|~~~)/gm) ?? []).length).toBe(2 * blocks.length);
    for (const block of blocks)
      expect(
        Object.values(KINDS).filter((fits) => fits(block)),
        block.text,
      ).toHaveLength(1);
    expect(blocks).toHaveLength(Object.keys(KINDS).length);
  });

  test("starts and tests by commands that are there, on the Node that is required", () => {
    const lines = the("start").split("\n");
    expect(lines.map((line) => line.replace(/ *#.*/, ""))).toEqual(["npm ci && npm start", "npm ci && npm test"]);
    expect(engines.node).toBe(`>=${/Node (\d+\.\d+)/.exec(the("start"))?.[1]}`);
    const named = [...readme.matchAll(/npm (?:run )?(start|test|(?<=run )[\w-]+)/g)].map(([, name = ""]) => name);
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
    const commands = [...readme.matchAll(/npx signalbox ([\w-]+)/g)].map(([, name = ""]) => name);
    expect(commands.filter((name) => !existsSync(join(root, `src/cli/${name}.ts`)))).toEqual([]);
  });

  test("draws the route through rooms that are there", () => {
    const stages = [...the("picture").matchAll(/─▶ (?:┌ )?([a-z]+)/g)].map(([, stage = ""]) => stage);
    expect(stages).toEqual(["receive", "decode", "sequence", "authorise", "decide", "commit", "acknowledge", "publish", "broker"]);
    const rooms = stages.filter((stage) => stage !== "acknowledge" && stage !== "broker");
    expect(rooms.filter((room) => !existsSync(join(root, "src", room)))).toEqual([]);
  });
});

// typed as a reader types it: only what the PATH finds counts
const clients = Object.fromEntries(["mosquitto_pub", "mosquitto_sub", "curl"].map((command) => [command, canStart(command) ? command : null]));

describeWith(clients, "the first event of README.md, typed into a shell", () => {
  let plant: Plant;
  const shells: Typed[] = [];

  /** Types a block, with the ports of this service instead of those that it has by default. */
  const type = (block: string): Typed => {
    const ports = { rest: new URL(plant.url).port, mqtt: new URL(plant.mqttUrl).port };
    const shell = typed(block.replaceAll("localhost:8080", `localhost:${ports.rest}`).replaceAll(/\bmosquitto_(pub|sub)\b/g, `$& -p ${ports.mqtt}`));
    shells.push(shell);
    return shell;
  };
  /** What `mosquitto_sub -v` has printed so far: a topic and a payload, which may have several lines. The first follows on what curl printed. */
  const printed = (): { topic: string; body: unknown }[] =>
    (shells[0]?.out() ?? "")
      .split(/(?=\bsite\/[\w/-]+ \{)/)
      .filter((part) => part.startsWith("site/"))
      .map((part) => ({ topic: part.slice(0, part.indexOf(" ")), body: JSON.parse(part.slice(part.indexOf(" "))) }));
  const on = (branch: string, fits: object) =>
    expect
      .poll(() => printed().filter(({ topic }) => topic === `site/rtm1/line/4/eq/scale-1/${branch}`), { timeout: 15_000 })
      .toContainEqual(expect.objectContaining({ body: expect.objectContaining(fits) }));
  const data = (fits: object): object => ({ data: expect.objectContaining(fits) });

  beforeAll(async () => {
    plant = await startPlant({ broker: "embedded" });
  });
  afterAll(async () => {
    for (const shell of shells) shell.end();
    await plant?.stop();
  });

  test("registers the scale and listens; its cursor is there at once", async () => {
    const shell = type(the("listen"));
    expect(await shell.typed).toBe(0);
    expect(shell.out()).toContain('{"result":"registered"');
    await on("cursor", data({ through: "0" }));
  });

  test("brings back what README.md says, on the branches that it says", async () => {
    expect(await type(the("speak")).typed).toBe(0);
    const said = the("back")
      .split("\n")
      .map((line) => JSON.parse(line));
    const branches = [...readme.matchAll(/`site\/rtm1\/line\/4\/eq\/scale-1\/(\w+)`/g)].map(([, branch = ""]) => branch);
    expect(branches).toEqual(["verdict", "outcome", "cursor"]);
    expect(said).toHaveLength(branches.length);
    for (const [index, { data: shown, ...attributes }] of said.entries())
      await on(branches[index] ?? "", { ...attributes, ...(shown === undefined ? {} : data(shown)) });
  });

  test("calls the same event a duplicate, and lets number 3 wait while the cursor asks for number 2", async () => {
    expect(await type(the("speak")).typed).toBe(0);
    await on("verdict", data({ status: "duplicate" }));
    const third = the("speak").replace('"s1-1-1"', '"s1-1-3"').replace('"sequence": "1"', '"sequence": "3"');
    expect(await type(third.replace("alarm.raised", "alarm.cleared").replace(', "severity": "high"', "")).typed).toBe(0);
    await on("cursor", data({ through: "1", highest: "3", missing: [{ epoch: "1", from: "2", to: "2" }], parked: false }));
  });

  test("tells by curl what became of each", async () => {
    const shell = type(the("ask"));
    expect(await shell.typed).toBe(0);
    expect(JSON.parse(shell.out()).items).toMatchObject([
      { event: { id: "s1-1-1" }, status: "accepted" },
      { event: { id: "s1-1-1" }, status: "duplicate", code: "DUP_EXACT" },
      { event: { id: "s1-1-3" }, status: "deferred", code: "SEQ_GAP" },
    ]);
  });
});

interface Typed {
  /** Resolves with the exit code when the shell has come to the end of the block; what it left in the background goes on. */
  readonly typed: Promise<number | null>;
  out(): string;
  /** Ends what the block left in the background. */
  end(): void;
}

function typed(block: string): Typed {
  // a process group of its own, so that what is left in the background can be ended with it
  const child: ChildProcess = spawn("/bin/sh", ["-ec", block], { stdio: ["ignore", "pipe", "inherit"], detached: true });
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    text += chunk.toString("utf8");
  });
  return {
    // what a block without a background prints is complete only when its output is closed
    typed: new Promise((done, failed) => {
      child.once("error", failed);
      child.once(block.includes("&\n") || block.endsWith("&") ? "exit" : "close", done);
    }),
    out: () => text,
    end: () => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // nothing of the group lives any more
      }
    },
  };
}
