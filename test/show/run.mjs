// One check per line of an issue's "It must show": what is required, what was measured, whether it is met, and the command behind the figure. Exit 1 unless all are met.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const issue = process.argv[2];
const table = join(root, "test", "show", `${issue}.mjs`);
if (issue === undefined || !existsSync(table)) {
  console.error("usage: npm run show -- N     N is the number in an issue's title");
  process.exit(2);
}
const { checks } = await import(pathToFileURL(table).href);
const only = process.argv[3];

let unmet = 0;
for (const [i, check] of checks.entries()) {
  if (only !== undefined && String(i + 1) !== only) continue;
  const figures = join(mkdtempSync(join(tmpdir(), "signalbox-show-")), "figures.jsonl");
  console.log(`\n${i + 1}. ${check.required}`);
  console.log(`   command   ${check.command}`);
  const began = Date.now();
  const ran = spawnSync("/bin/sh", ["-c", check.command], {
    cwd: root,
    env: { ...process.env, ...check.env, SIGNALBOX_FIGURES: figures },
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  const seen = existsSync(figures)
    ? new Map(
        readFileSync(figures, "utf8")
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => JSON.parse(line))
          .map(({ name, figure }) => [name, figure]),
      )
    : new Map();
  const seconds = ((Date.now() - began) / 1000).toFixed(0);
  const notRun = ran.error !== undefined || check.figures.some((name) => !seen.has(name));
  const holds = ran.status === 0 && !notRun && (check.holds?.(seen) ?? true);
  console.log(`   measured  ${check.figures.map((name) => `${name}: ${seen.get(name) ?? "-"}`).join("; ") || `exit ${ran.status}`} (${seconds} s)`);
  console.log(`   ${holds ? "met" : notRun && ran.status === 0 ? "not run" : "not met"}`);
  if (!holds) {
    unmet += 1;
    console.log(
      `${ran.stdout ?? ""}${ran.stderr ?? ""}`
        .split("\n")
        .slice(-40)
        .map((line) => `   | ${line}`)
        .join("\n"),
    );
  }
}
console.log(`\n${unmet === 0 ? "all met" : `${unmet} not met`}`);
process.exit(unmet === 0 ? 0 : 1);
