import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { between } from "./comparisons.ts";
import type { Cost } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import { SITE } from "./plan.ts";

// What others would build it with. Each is set up as its own documentation has it, stores the rows that the pass-through stores, and decides nothing.

/** From where the bench is built to. */
const FOLDER = new URL("../../../../test/bench/peers/", import.meta.url);

export async function peer(name: "node-red" | "dbos", options: BenchOptions, say: (text: string) => void): Promise<Cost> {
  const folder = fileURLToPath(FOLDER);
  if (!existsSync(new URL("node_modules/", FOLDER))) {
    say(`installs what stands in ${folder}package.json`);
    const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
    if (status !== 0) throw new Error("the peers could not be installed");
  }
  return between(new URL(`${name}.mjs`, FOLDER).href, options, say, [`site/${SITE}/line/+/eq/+/event`, new URL(".", import.meta.url).href]);
}
