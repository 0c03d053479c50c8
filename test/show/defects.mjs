// The tests of defects that this programme found: their opening comment tells the story and by what it was found. Lists them and runs them.
import { spawnSync } from "node:child_process";
import { appendFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const stories = readdirSync(join(root, "test"), { recursive: true })
  .filter((name) => name.endsWith(".test.ts"))
  .flatMap((name) => {
    const text = readFileSync(join(root, "test", name), "utf8");
    const opening =
      /^(?:\/\/.*\n)+/
        .exec(text)?.[0]
        .replaceAll(/^\/\/ ?/gm, "")
        .replaceAll("\n", " ")
        .trim() ?? "";
    return /Found by /.test(opening) ? [{ file: join("test", name), opening }] : [];
  });
for (const { file, opening } of stories) console.log(`${file}\n  ${opening}`);
const { status } = spawnSync(process.execPath, [join(root, "test", "support", "run-tests.mjs"), ...stories.map(({ file }) => file)], { stdio: "inherit" });
if (process.env["SIGNALBOX_FIGURES"] !== undefined && stories.length > 0)
  appendFileSync(
    process.env["SIGNALBOX_FIGURES"],
    `${JSON.stringify({ name: "defects", figure: `${stories.length} stories, their tests ${status === 0 ? "pass" : "fail"}` })}\n`,
  );
process.exit(stories.length > 0 && status === 0 ? 0 : 1);
