// `npm run mutation`: tries mutants room by room and, in a large room, a few files at a time, so that a run that was broken off goes on where it stood; then checks what
// came of it. `--room NAME` takes one room, `--files a,b` some files of it, `--all` every test instead of the quick ones, `--fresh` believes nothing found before.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Stryker } from "@stryker-mutator/core";

const root = fileURLToPath(new URL("../../", import.meta.url));
const ROOMS = ["sequence", "commit", "decide"];
const LINES = 500;

const { values } = parseArgs({
  options: { room: { type: "string" }, files: { type: "string" }, all: { type: "boolean", default: false }, fresh: { type: "boolean", default: false } },
});

function partsOf(room) {
  const wanted = values.files?.split(",").map((name) => (name.endsWith(".ts") ? name : `${name}.ts`));
  const files = readdirSync(join(root, "src", room)).filter((name) => name.endsWith(".ts") && (wanted === undefined || wanted.includes(name)));
  const parts = [];
  let lines = LINES;
  for (const file of files.sort()) {
    const long = readFileSync(join(root, "src", room, file), "utf8").split("\n").length;
    if (lines + long > LINES) {
      parts.push([]);
      lines = 0;
    }
    parts.at(-1).push(`src/${room}/${file}`);
    lines += long;
  }
  return parts;
}

process.chdir(root);
process.env.MUTATION_ALL = values.all ? "1" : "";
for (const room of values.room === undefined ? ROOMS : [values.room]) {
  for (const mutate of partsOf(room)) {
    const began = performance.now();
    await new Stryker({ configFile: "test/mutation/stryker.config.mjs", mutate, force: values.fresh }).runMutationTest();
    console.log(`${mutate.join(", ")}: ${Math.round((performance.now() - began) / 1000)} s`);
  }
}
